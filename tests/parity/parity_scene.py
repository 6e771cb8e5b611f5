"""What both renderers get: a bumpy convex object with known textures, a camera that is off in every way, a light unlike on all sides."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
import torch
from PIL import Image

from backend.dataset.views import Cameras

WIDTH, HEIGHT = 108, 144
LENS, SENSOR_WIDTH, SHIFT = 40.0, 36.0, (0.03, -0.09)
CHART_REACH = 0.46  # of a chart's cell from its middle to its edge; the rest is padding
CHART_FRAMES = (  # each chart's axis, right and up
    ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    ((-1, 0, 0), (0, -1, 0), (0, 0, 1)),
    ((0, 1, 0), (-1, 0, 0), (0, 0, 1)),
    ((0, -1, 0), (1, 0, 0), (0, 0, 1)),
    ((0, 0, 1), (0, 1, 0), (-1, 0, 0)),
    ((0, 0, -1), (0, 1, 0), (1, 0, 0)),
)
INTERPRETER = "UNRENDER_BLENDER_PYTHON"


@dataclass(frozen=True)
class Case:
    """One material: base_color None is the texture."""

    name: str
    roughness: float
    metallic: float
    normal_map: bool
    base_color: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Scene:
    """Numpy arrays in the inside conventions (uv v down, pictures row 0 at the top)."""

    vertices: np.ndarray
    faces: np.ndarray
    normals: np.ndarray
    uvs: np.ndarray
    uv_faces: np.ndarray
    base_color: np.ndarray  # [H, W, 3] uint8, sRGB
    normal_map: np.ndarray  # [H, W, 3] uint8
    light: np.ndarray  # [H, 2H, 3] float32
    camera_to_world: np.ndarray


def make_scene() -> Scene:
    vertices, faces, uvs, uv_faces = cube_sphere(24)
    radii = np.array([0.9, 0.75, 1.0])
    normals = vertices / radii
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Scene(
        vertices=(vertices * radii).astype(np.float32),
        faces=faces,
        normals=normals.astype(np.float32),
        uvs=uvs.astype(np.float32),
        uv_faces=uv_faces,
        base_color=color_pattern(256, 384),
        normal_map=bump_pattern(256, 384),
        light=light_pattern(64),
        camera_to_world=look_at(np.array([1.9, -2.6, 1.1]), roll=0.35),
    )


def cube_sphere(cells: int) -> tuple[np.ndarray, ...]:
    """Unit sphere from a cube's faces: one chart a face in a 3 x 2 atlas, every other chart mirrored. Positions are welded."""
    edge = np.linspace(-1.0, 1.0, cells + 1)
    b, a = np.meshgrid(edge, edge, indexing="ij")
    corner = np.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    c00, c10, c01, c11 = (x.ravel() for x in (corner[:-1, :-1], corner[:-1, 1:], corner[1:, :-1], corner[1:, 1:]))
    triangles = np.concatenate((np.stack((c00, c10, c11), 1), np.stack((c00, c11, c01), 1)))
    points, uvs, faces = [], [], []
    for chart in range(6):
        points.append(chart_points(chart, a, b).reshape(-1, 3))
        across = (-a if chart % 2 else a) * CHART_REACH + 0.5
        down = 0.5 - CHART_REACH * b
        uvs.append(np.stack(((chart % 3 + across) / 3, (chart // 3 + down) / 2), -1).reshape(-1, 2))
        faces.append(triangles + chart * corner.size)
    points = np.concatenate(points)
    _, first, weld = np.unique(points.round(6), axis=0, return_index=True, return_inverse=True)
    uv_faces = np.concatenate(faces).astype(np.int32)
    return points[first], weld.ravel()[uv_faces].astype(np.int32), np.concatenate(uvs), uv_faces


def chart_points(chart: int | np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Unit sphere points of a chart's own coordinates, a to its right and b upwards seen from outside, both in [-1, 1]."""
    axis, right, up = np.moveaxis(np.array(CHART_FRAMES, float)[chart], -2, 0)
    point = axis + np.tan(a * np.pi / 4)[..., None] * right + np.tan(b * np.pi / 4)[..., None] * up
    return point / np.linalg.norm(point, axis=-1, keepdims=True)


def atlas(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each texel its chart and the chart's coordinates there (beyond 1 in the padding)."""
    v, u = (np.mgrid[:height, :width] + 0.5) / np.array([height, width]).reshape(2, 1, 1)
    column, row = (3 * u).astype(int), (2 * v).astype(int)
    chart = column + 3 * row
    across = (3 * u - column - 0.5) / CHART_REACH
    return chart, np.where(chart % 2, -across, across), -(2 * v - row - 0.5) / CHART_REACH


def color_pattern(height: int, width: int) -> np.ndarray:
    """Colours that run over the seams without a step, and repeat nowhere."""
    x, y, z = np.moveaxis(chart_points(*atlas(height, width)), -1, 0)
    red = 0.55 + 0.4 * np.sin(5 * x + 2 * y + 1)
    green = 0.5 + 0.4 * np.sin(3 * z - 6 * y)
    blue = 0.45 + 0.35 * np.cos(6 * x * z + 4 * y)
    return (np.stack((red, green, blue), -1).clip(0.03, 0.97) * 255).round().astype(np.uint8)


def bump_pattern(height: int, width: int) -> np.ndarray:
    """Normals of a smooth relief that lies flat at the seams; green is up."""
    chart, a, b = atlas(height, width)
    fade = ((1 - a**2).clip(0) * (1 - b**2).clip(0)) ** 0.5
    right = np.where(chart % 2, -a, a)  # of the texture, so that mirrored charts hold another relief
    lean_x = 0.4 * np.sin(7 * right + b + chart) + 0.15 * np.cos(4 * b)
    lean_y = 0.4 * np.cos(5 * b - 3 * right) + 0.15
    normal = np.stack((lean_x * fade, lean_y * fade, np.ones_like(a)), -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    return ((normal * 0.5 + 0.5) * 255).round().astype(np.uint8)


def light_pattern(height: int) -> np.ndarray:
    """A sky that changes all around, with a warm and a blue lamp and a green floor glow."""
    v, u = (np.mgrid[:height, : 2 * height] + 0.5) / np.array([height, 2 * height]).reshape(2, 1, 1)
    theta, phi = v * np.pi, (0.5 - u) * 2 * np.pi
    direction = np.stack((np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)), -1)
    sky = 0.25 + 0.2 * direction[..., 2:] + 0.12 * np.sin(2 * phi[..., None] + np.array([0.0, 1.0, 2.5]))
    lamps = (
        ((0.7, -0.5, 0.5), 60.0, (9.0, 6.0, 3.0)),
        ((-0.2, -0.9, 0.3), 90.0, (1.5, 3.0, 8.0)),
        ((0.8, 0.6, -0.1), 25.0, (2.2, 0.5, 1.5)),
        ((0.3, -0.4, -0.85), 12.0, (0.3, 1.3, 0.4)),
    )
    for axis, sharpness, color in lamps:
        axis = np.array(axis) / np.linalg.norm(axis)
        sky = sky + np.exp(sharpness * (direction @ axis - 1))[..., None] * np.array(color)
    return sky.astype(np.float32)


def look_at(eye: np.ndarray, roll: float) -> np.ndarray:
    """Camera-to-world looking at the origin, turned about its own axis."""
    back = eye / np.linalg.norm(eye)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    up = np.cross(back, right)
    pose = np.eye(4)
    pose[:3, 0] = np.cos(roll) * right + np.sin(roll) * up
    pose[:3, 1] = np.cos(roll) * up - np.sin(roll) * right
    pose[:3, 2], pose[:3, 3] = back, eye
    return pose


def cameras_of(scene: Scene) -> Cameras:
    """The camera as Blender defines it: portrait, so that the sensor's width spans the longer side (AUTO fit keeps sensor_width)."""
    view = float(HEIGHT)
    focal = LENS / SENSOR_WIDTH * view
    intrinsics = (focal, focal, WIDTH / 2 - SHIFT[0] * view, HEIGHT / 2 + SHIFT[1] * view)
    return Cameras(
        torch.tensor(scene.camera_to_world, dtype=torch.float32)[None],
        torch.tensor([intrinsics]),
        torch.tensor([[HEIGHT, WIDTH]]),
    )


def render_in_cycles(scene: Scene, cases: list[Case], folder: Path, samples: int, max_bounces: int = 0) -> None:
    """Write CASE.exr for each case into `folder`; skips the test where no Blender is told."""
    python = os.environ.get(INTERPRETER)
    if not python:
        pytest.skip(f"{INTERPRETER} is not set: give the path of a Python that can import bpy")
    names = ("vertices", "faces", "normals", "uvs", "uv_faces")
    np.savez(folder / "mesh.npz", **{name: getattr(scene, name) for name in names})
    Image.fromarray(scene.base_color).save(folder / "base_color.png")
    Image.fromarray(scene.normal_map).save(folder / "normal.png")
    write_exr(folder / "light.exr", scene.light)
    job = {
        "lens": LENS,
        "sensor_width": SENSOR_WIDTH,
        "shift": SHIFT,
        "camera_to_world": scene.camera_to_world.tolist(),
        "width": WIDTH,
        "height": HEIGHT,
        "samples": samples,
        "max_bounces": max_bounces,
        "threads": 2,
        "cases": [vars(case) for case in cases],
    }
    (folder / "job.json").write_text(json.dumps(job))
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(folder / "blender")}
    environment.pop("PYTHONPATH", None)
    command = [python, str(Path(__file__).with_name("cycles_render.py")), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    missing = [case.name for case in cases if not (folder / f"{case.name}.exr").exists()]
    assert done.returncode == 0 and not missing, (
        f"Cycles made no {missing}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    )


def write_exr(path: Path, image: np.ndarray) -> None:
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, {"RGB": np.ascontiguousarray(image, np.float32)}) as file:
        file.write(str(path))
