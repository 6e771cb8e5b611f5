"""Milliseconds of each primitive of an engine."""

from __future__ import annotations

from collections.abc import Callable

import torch
from benchmark_base import Row, milliseconds
from benchmark_object import ball

from backend.contract import Request
from backend.engines.adjacency import edge_adjacency
from backend.engines.hash_layout import hash_layout
from backend.engines.interface import Engine

_TRIANGLES = 10_000


def primitives(engine: Engine, device: torch.device, request: Request) -> list[Row]:
    """Forward, and forward with backward, of each primitive at the sizes of the request's shape stage, on a ball of 10,000 triangles."""
    views, size, texels = request.shape.views_per_step, request.views.resolution, request.asset.texture_size
    mesh = ball(_TRIANGLES).to(device)
    vertices, faces = mesh.vertices, mesh.faces
    homogeneous = torch.cat([vertices, torch.full_like(vertices[:, :1], 1.1)], -1)
    clip = homogeneous.repeat(views, 1, 1).requires_grad_()
    adjacency = edge_adjacency(faces)
    raster = engine.rasterize(clip.detach(), faces, (size, size))
    covered = raster.triangle >= 0
    barycentric, triangle = raster.barycentric[covered], raster.triangle[covered]
    pixels = int(covered.sum())
    attributes = torch.rand(len(vertices), 8, device=device, requires_grad=True)
    color = torch.rand(views, size, size, 4, device=device, requires_grad=True)
    texture = torch.rand(texels, texels, 8, device=device, requires_grad=True)
    cube = tuple(torch.rand(6, side, side, 3, device=device, requires_grad=True) for side in (32, 16, 8, 4))
    layout = hash_layout(request.shape.hash_levels, log2_size=request.shape.hash_log2_size)
    table = torch.rand(layout.entries, 2, device=device, requires_grad=True)
    uv, level = torch.rand(pixels, 2, device=device), torch.rand(pixels, device=device)
    points = torch.rand(pixels, 3, device=device)
    directions = torch.nn.functional.normalize(torch.randn(pixels, 3, device=device), dim=-1)
    calls: dict[str, Callable[[], torch.Tensor]] = {
        "rasterise": lambda: engine.rasterize(clip, faces, (size, size), derivatives=True).barycentric,
        "interpolate": lambda: engine.interpolate(attributes, faces, barycentric, triangle),
        "antialias": lambda: engine.antialias(color, raster, clip, faces, adjacency),
        "texture 2D": lambda: engine.texture_2d(texture, uv, level),
        "texture cube": lambda: engine.texture_cube(cube, directions, 3.0 * level),
        "hash grid": lambda: engine.hash_encode(points, table, layout),
    }
    shared: Row = {"engine": engine.name, "views": views, "pixels": size, "covered": pixels}
    rows: list[Row] = []
    for name, call in calls.items():
        with torch.no_grad():
            forward = milliseconds(call, device)
        both = milliseconds(lambda call=call: call().square().sum().backward(), device)
        rows.append({"primitive": name, **shared, "forward_ms": forward, "with_backward_ms": both})
    scene = engine.ray_mesh(vertices, faces)
    rays = milliseconds(lambda: scene.occluded(2.0 * directions, -directions, 0.0, 9.0), device)
    rows.append({"primitive": "rays", **shared, "forward_ms": rays, "with_backward_ms": None})
    return rows
