"""Views of a known asset, rendered by our own renderer: the truth is known, so every stage can be judged against it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from backend.dataset.image_file import resize_area
from backend.dataset.mesh_file import SurfaceMaps, TexturedMesh
from backend.dataset.normalise import similarity_of
from backend.dataset.views import Cameras, Dataset, Views
from backend.engines.adjacency import edge_adjacency
from backend.geometry.mesh import Mesh
from backend.geometry.normals import vertex_normals
from backend.geometry.tangents import tangents
from backend.light.environment import EnvironmentLight
from backend.material.channels import LEAST_ROUGHNESS, MaterialMaps, MaterialSample, flat_normal
from backend.render.renderer import Pixels, Renderer, Surface
from backend.render.supersample import render_averaged

_FIELD_OF_VIEW = math.radians(40.0)
_MARGIN = 1.05  # the cameras stand so much farther away than where the ball around the object just fills the picture
_TEST_SHARE = 0.2  # views held out, of those that are fitted
_LAYERS = (
    8  # surfaces behind one another that a pixel shows of an asset that can be seen through: as many as Cycles follows
)
_GOLDEN_ANGLE = math.pi * (3.0 - math.sqrt(5.0))


def held_out_of(count: int) -> int:
    """How many views are held out beside `count` that are fitted."""
    return max(1, round(_TEST_SHARE * count))


def reference_dataset(
    renderer: Renderer, asset: TexturedMesh, light: EnvironmentLight, resolution: int, count: int
) -> Dataset:
    """Render a known asset from cameras spread evenly over a sphere around it.

    Args:
        renderer: draws.
        asset: in its own units, Z up.
        light: environment, on the device of the run.
        resolution: side of the square images in pixels.
        count: views to fit; a fifth as many more are held out, from directions between them.

    Returns:
        A dataset on the CPU, float16.
    """
    device = light.log_texels.device
    low, high = asset.vertices.amin(0), asset.vertices.amax(0)
    similarity = similarity_of(low, high)
    vertices = similarity.to_normalised(asset.vertices).to(device)
    maps = same_size(asset.maps, max(asset.maps.base_color.shape[:2]))
    surface = asset_surface(asset, vertices, 1 if maps.opacity is None else _LAYERS)
    opacity = () if maps.opacity is None else (maps.opacity,)
    stacked = torch.cat([maps.base_color, maps.roughness, maps.metallic, maps.normal, *opacity], -1).to(device)

    def material(pixels: Pixels) -> MaterialSample:
        assert pixels.uv is not None
        assert pixels.footprint is not None
        level = (pixels.footprint + math.log2(stacked.shape[0])).clamp(min=0.0)
        values = renderer.engine.texture_2d(stacked, pixels.uv, level, wrap=True)
        normal = torch.nn.functional.normalize(values[:, 5:8], dim=-1)
        seen_through = values[:, 8:] if opacity else None
        return MaterialSample(values[:, :3], values[:, 3:4], values[:, 4:5], normal, seen_through)

    held_out = held_out_of(count)
    distance = _MARGIN * float(vertices.norm(dim=-1).max()) / math.sin(0.5 * _FIELD_OF_VIEW)
    cameras = _sphere(count + held_out, resolution, distance)
    images, prefiltered = [], light.prefiltered()
    for index in range(len(cameras)):
        one = cameras.select(torch.tensor([index])).to(device)
        canvas = (resolution, resolution)
        images.append(render_averaged(renderer, surface, material, prefiltered, one, canvas)[0].half().cpu())
    views = Views(tuple(f"view_{n:03d}" for n in range(len(cameras))), cameras, torch.stack(images))
    stride = len(cameras) / held_out
    test = torch.tensor([int((n + 0.5) * stride) for n in range(held_out)])
    train = torch.tensor([n for n in range(len(cameras)) if n not in set(test.tolist())])
    return Dataset(views.select(train), views.select(test), similarity)


def asset_surface(asset: TexturedMesh, vertices: Tensor, layers: int = 1) -> Surface:
    """A textured mesh as the renderer draws it, so many layers deep, its positions replaced by `vertices` [V, 3], on their device."""
    device = vertices.device
    mesh = Mesh(vertices, asset.faces.to(device), asset.uvs.to(device), asset.uv_faces.to(device))
    smooth = vertex_normals(mesh.vertices, mesh.faces)
    frames, frame_faces = tangents(mesh, smooth)
    split = asset.normals is not None and asset.normal_faces is not None
    return Surface(
        vertices=mesh.vertices,
        faces=mesh.faces,
        normals=asset.normals.to(device) if split and asset.normals is not None else smooth,
        adjacency=edge_adjacency(mesh.faces),
        uvs=mesh.uvs,
        uv_faces=mesh.uv_faces,
        tangents=frames,
        tangent_faces=frame_faces,
        normal_faces=asset.normal_faces.to(device) if split and asset.normal_faces is not None else None,
        layers=layers,
    )


def same_size(maps: SurfaceMaps, size: int) -> MaterialMaps:
    """A file's maps, of whatever sizes, as square ones of `size` texels; a missing normal map is flat, roughness kept fittable."""
    base_color = resize_area(maps.base_color, (size, size))
    normal = flat_normal(base_color) if maps.normal is None else resize_area(maps.normal, (size, size))
    return MaterialMaps(
        base_color,
        resize_area(maps.roughness, (size, size)).clamp(LEAST_ROUGHNESS, 1.0),
        resize_area(maps.metallic, (size, size)),
        torch.nn.functional.normalize(normal, dim=-1),
        None if maps.opacity is None else resize_area(maps.opacity, (size, size)),
    )


def _sphere(count: int, resolution: int, distance: float) -> Cameras:
    """Cameras on a Fibonacci sphere of radius `distance` about the origin, looking at it, +Z up in the image."""
    number = torch.arange(count, dtype=torch.float64)
    height = 0.98 * (1.0 - 2.0 * (number + 0.5) / count)
    ring, angle = (1.0 - height.square()).sqrt(), number * _GOLDEN_ANGLE
    backward = torch.stack([ring * angle.cos(), ring * angle.sin(), height], -1)
    right = torch.nn.functional.normalize(torch.stack([-angle.sin(), angle.cos(), torch.zeros_like(angle)], -1), dim=-1)
    poses = torch.eye(4, dtype=torch.float64).repeat(count, 1, 1)
    poses[:, :3, 0], poses[:, :3, 1] = right, torch.linalg.cross(backward, right)
    poses[:, :3, 2], poses[:, :3, 3] = backward, backward * distance
    focal = 0.5 * resolution / math.tan(0.5 * _FIELD_OF_VIEW)
    intrinsics = torch.tensor([focal, focal, 0.5 * resolution, 0.5 * resolution]).repeat(count, 1)
    return Cameras(poses.float(), intrinsics, torch.full((count, 2), resolution, dtype=torch.int64))
