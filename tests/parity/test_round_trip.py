"""An asset off the origin, mirrored charts and all, written by the backend: our import of its parts looks like Blender's of its .glb."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from parity_scene import INTERPRETER, make_scene, write_exr

from backend.dataset.views import Similarity
from backend.export.asset import Asset, scene_arrays, texture_images
from backend.export.gltf import write_glb
from backend.export.images import encode_png
from backend.geometry.mesh import Mesh
from backend.material.channels import MaterialMaps, unit_normal

LEAST_PSNR = (
    80.0  # the promise is 40; the rounding of normals to 16 bits costs the rest above 90, their loss would give 63
)


def write_asset(path, scene):
    """A .glb with all four maps, its thing far from the origin and small."""
    mesh = Mesh(*(torch.from_numpy(array) for array in (scene.vertices, scene.faces, scene.uvs, scene.uv_faces)))
    color = torch.from_numpy(scene.base_color) / 255.0
    height, width = color.shape[:2]
    v, u = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    maps = MaterialMaps(
        base_color=color**2.2,
        roughness=(0.45 + 0.3 * torch.sin(20 * u + 9 * v))[..., None],
        metallic=(torch.sin(31 * v - 7 * u) > 0).float()[..., None],
        normal=unit_normal(torch.from_numpy(scene.normal_map) / 127.5 - 1.0),
    )
    asset = Asset(mesh, torch.from_numpy(scene.normals), maps, torch.from_numpy(scene.light))
    images = texture_images(maps)
    textures = {name: encode_png(images[name]) for name in ("base_color", "orm", "normal")}
    write_glb(path, scene_arrays(asset, Similarity((3.0, -2.0, 0.7), 4.0)), textures)


def test_an_import_looks_like_the_original_to_cycles_from_eight_cameras(tmp_path):
    python = os.environ.get(INTERPRETER)
    if not python:
        pytest.skip(f"{INTERPRETER} is not set: give the path of a Python that can import bpy")
    scene = make_scene()
    write_asset(tmp_path / "thing.glb", scene)
    write_exr(tmp_path / "light.exr", scene.light)
    script = Path(__file__).with_name("round_trip.py")
    files = [str(tmp_path / name) for name in ("thing.glb", "light.exr", "out")]
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path / "blender")}
    environment.pop("PYTHONPATH", None)
    command = [python, str(script), *files, "--size", "48", "--samples", "8"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    figures = json.loads((tmp_path / "out/figures.json").read_text())
    print(figures)
    assert figures["covered"] > 0.2
    assert len(figures["psnr"]) == 8 and np.min(figures["psnr"]) >= LEAST_PSNR
