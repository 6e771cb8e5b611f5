"""A textured object that needs no file: meshes of any size, views of it, and a folder of photographs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from backend.dataset.mesh_file import SurfaceMaps, TexturedMesh
from backend.dataset.views import Dataset, Views
from backend.export.images import write_png
from backend.geometry.mesh import Mesh
from backend.light.environment import EnvironmentLight
from backend.light.latlong import direction_of_pixel
from backend.loss.metrics import encode_srgb
from backend.render.renderer import Renderer
from backend.render.synthetic import reference_dataset

_TRIANGLES = 20_000  # of the object that is photographed
_SKY = 16  # rows of the sky's picture, and texels along a side of its cube: it is smooth


def ball(triangles: int) -> Mesh:
    """A closed unit ball of about so many triangles, with longitude and latitude as texture coordinates."""
    rings = max(3, round(0.5 + math.sqrt(0.25 + 0.25 * triangles)))
    sides = 2 * rings
    theta = torch.arange(1, rings)[:, None] * (math.pi / rings)
    phi = torch.arange(sides)[None] * (2 * math.pi / sides)
    between = torch.stack([theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos().expand(-1, sides)], -1)
    pole = torch.tensor([[0.0, 0.0, 1.0]])
    vertices = torch.cat([pole, between.reshape(-1, 3), -pole])

    row, side = torch.meshgrid(torch.arange(rings), torch.arange(sides), indexing="ij")

    def position(rows: Tensor, sides_: Tensor) -> Tensor:
        number = 1 + (rows - 1) * sides + sides_ % sides
        return number.masked_fill(rows == 0, 0).masked_fill(rows == rings, len(vertices) - 1)

    def coordinate(rows: Tensor, sides_: Tensor) -> Tensor:
        return rows * (sides + 1) + sides_

    def corners(number: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        a, b, c, d = number(row, side), number(row, side + 1), number(row + 1, side), number(row + 1, side + 1)
        upper, lower = torch.stack([a, c, b], -1)[1:], torch.stack([b, c, d], -1)[:-1]  # those at a pole have no area
        return torch.cat([upper.reshape(-1, 3), lower.reshape(-1, 3)]).int()

    v, u = torch.meshgrid(torch.linspace(0, 1, rings + 1), torch.linspace(0, 1, sides + 1), indexing="ij")
    return Mesh(vertices, corners(position), torch.stack([u, v], -1).reshape(-1, 2), corners(coordinate))


def pebble(texels: int) -> TexturedMesh:
    """The object: a ball with dents, painted with waves of every size; texture of `texels` along a side."""
    mesh = ball(_TRIANGLES)
    x, y, z = mesh.vertices.unbind(-1)
    dents = 1.0 + 0.2 * (3.0 * x + 1.0).sin() * (4.0 * y).sin() + 0.1 * (5.0 * z).cos()
    line = 2 * math.pi * (torch.arange(texels) + 0.5) / texels
    u, v = line[None, :, None], line[:, None, None]
    hue = torch.tensor([0.0, 2.0, 4.0])
    waves = sum(torch.sin(count * u + hue) * torch.cos(count * v + 2.0 * hue) for count in (3, 14, 61, texels // 8))
    assert mesh.uvs is not None and mesh.uv_faces is not None and isinstance(waves, Tensor)
    maps = SurfaceMaps((0.45 + 0.1 * waves).clamp(0.02, 0.98), torch.full((1, 1, 1), 0.6), torch.zeros(1, 1, 1))
    return TexturedMesh(mesh.vertices * dents[:, None], mesh.faces, mesh.uvs, mesh.uv_faces, None, None, maps)


def object_views(renderer: Renderer, device: torch.device, resolution: int, count: int) -> Dataset:
    """`count` views of the object to fit and a fifth as many held out, `resolution` pixels square, under a bright sky; on the CPU."""
    direction = direction_of_pixel(_SKY, "cpu")
    sky = 0.9 + 0.5 * direction[..., 2:] + 0.3 * direction[..., :1] * torch.tensor([1.0, 0.0, -1.0])
    light = EnvironmentLight.from_latlong(sky, _SKY).to(device)
    with torch.no_grad():
        return reference_dataset(renderer, pebble(2 * resolution), light, resolution, count)


def write_photographs(folder: Path, dataset: Dataset) -> Path:
    """The dataset's views as a folder that a run can read; square pixels, the centre in the middle."""
    for split, views in (("train", dataset.train), ("test", dataset.test)):
        if views is not None:
            _write_split(folder, split, views)
    return folder


def _write_split(folder: Path, split: str, views: Views) -> None:
    (folder / split).mkdir(parents=True)
    width, focal = views.canvas[1], float(views.cameras.intrinsics[0, 0])

    def write(index: int) -> dict[str, object]:
        image = views.images[index].float()
        straight = encode_srgb(image[..., :3] / image[..., 3:].clamp_min(1e-6))
        name = views.names[index]
        write_png(folder / split / f"{name}.png", torch.cat([straight, image[..., 3:]], -1))
        pose = views.cameras.camera_to_world[index].tolist()
        return {"file_path": f"./{split}/{name}", "transform_matrix": pose}

    with ThreadPoolExecutor() as pool:
        frames = list(pool.map(write, range(len(views))))
    described = {"camera_angle_x": 2 * math.atan(0.5 * width / focal), "frames": frames}
    (folder / f"transforms_{split}.json").write_text(json.dumps(described), encoding="utf-8")
