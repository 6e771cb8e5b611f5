"""Milliseconds of each primitive of every engine that runs here, called as it is and played back from a CUDA graph.

    PYTHON scripts/benchmark_primitives.py [--engines builtin nvdiffrast] [--device cuda] [--output primitives.json]

A ball is seen from views all around it, and what a step reads per pixel is read in the order of the pixels: neighbours read neighbouring
cells, texels and vertices, as in a step. `primitive_rows` is for other benchmarks.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: spinning threads starve the kernels' own

import torch
from benchmark_base import Row, installed_engines, machine, table, wait
from benchmark_object import ball
from torch import Tensor

from backend.commands.device import pick_device
from backend.engines.adjacency import edge_adjacency
from backend.engines.hash_layout import hash_layout
from backend.engines.interface import Engine
from backend.light.environment import EnvironmentLight, PrefilteredLight
from backend.material.channels import MaterialSample
from backend.render.shade import shade

_DISTANCE, _FOCAL = 3.0, 2.4  # the ball fills most of a picture's height
_WINDOWS = 5


@dataclass(frozen=True)
class Primitive:
    """One call, and the tensors its gradient is taken for."""

    name: str
    call: Callable[[], Tensor]
    leaves: tuple[Tensor, ...]


def primitive_rows(
    engine: Engine, device: torch.device, views: int, size: int, triangles: int, texels: int, calls: int
) -> list[Row]:
    """Milliseconds of each primitive, forward and backward, eager and, where that is possible, inside a CUDA graph.

    Args:
        engine: measured.
        device: its own.
        views: pictures of `size` x `size` pixels a call.
        size: see `views`.
        triangles: about so many of the ball.
        texels: along a side of the texture.
        calls: how many in a row are timed together; the median over some such rows counts.

    Returns:
        A row a primitive and mode; 'backward_ms' is what forward and backward take together, less forward, None of rays, which have no
        gradient.
    """
    modes = ("eager", "graph") if device.type == "cuda" and engine.recordable else ("eager",)
    shared: Row = {"engine": engine.name, "triangles": triangles}
    rows: list[Row] = []
    for primitive in _primitives(engine, device, views, size, triangles, texels):
        with torch.no_grad():
            given = torch.randn_like(primitive.call())

        def forward(primitive: Primitive = primitive) -> None:
            with torch.no_grad():
                primitive.call()

        def both(primitive: Primitive = primitive, given: Tensor = given) -> None:
            torch.autograd.grad(primitive.call(), primitive.leaves, given)

        for mode in modes:
            works = [_recorded(work) if mode == "graph" else work for work in (forward, both)]
            ahead, together = (_milliseconds(work, device, calls) for work in works)
            figures: Row = {"forward_ms": ahead, "backward_ms": together - ahead}
            rows.append({"primitive": primitive.name, **shared, "mode": mode, **figures})
    casting = _milliseconds(_rays(engine, device, views * size * size, triangles), device, calls)
    rows.append({"primitive": "rays", **shared, "mode": "eager", "forward_ms": casting, "backward_ms": None})
    return rows


def _rays(engine: Engine, device: torch.device, count: int, triangles: int) -> Callable[[], object]:
    """The work of casting so many rays at the ball from all around it."""
    mesh = ball(triangles).to(device)
    scene = engine.ray_mesh(mesh.vertices, mesh.faces)
    drawn = torch.randn(count, 3, device=device, generator=torch.Generator(device).manual_seed(0))
    outwards = torch.nn.functional.normalize(drawn, dim=-1)
    return lambda: scene.occluded(_DISTANCE * outwards, -outwards, 0.0, 3.0 * _DISTANCE)


def _primitives(
    engine: Engine, device: torch.device, views: int, size: int, triangles: int, texels: int
) -> list[Primitive]:
    random = torch.Generator(device).manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.rand(*shape, device=device, generator=random)

    mesh = ball(triangles).to(device)
    faces, adjacency = mesh.faces, edge_adjacency(mesh.faces)
    clip = _seen_from_around(mesh.vertices, views).requires_grad_()
    attributes = mesh.vertices.repeat(1, 2).requires_grad_()
    with torch.no_grad():
        raster = engine.rasterize(clip, faces, (size, size))
        places = engine.interpolate(attributes, faces, raster.barycentric, raster.triangle)
    covered = raster.triangle >= 0
    barycentric, triangle = raster.barycentric[covered], raster.triangle[covered]
    normal = torch.nn.functional.normalize(places[covered][:, :3], dim=-1)
    count = len(normal)
    image = drawn(views, size, size, 4).requires_grad_()
    texture, uv = drawn(texels, texels, 8).requires_grad_(), (0.5 + 0.5 * normal[:, :2]).contiguous()
    level = torch.full((count,), 0.7, device=device)
    layout = hash_layout()
    table_rows = drawn(layout.entries, 2).requires_grad_()
    points = (0.5 + 0.45 * normal).contiguous()
    light = _leaves_of(EnvironmentLight(32, device=device).prefiltered())
    material = [drawn(count, 3).requires_grad_(), drawn(count, 1).requires_grad_(), drawn(count, 1).requires_grad_()]
    view = torch.nn.functional.normalize(normal + 0.5 * drawn(count, 3), dim=-1)
    photographs = drawn(views, size, size, 4).half()
    index, sizes = torch.arange(views, device=device), torch.full((views, 2), size, device=device)
    seed = torch.zeros(1, dtype=torch.int32, device=device)
    return [
        Primitive(
            "rasterise", lambda: engine.rasterize(clip, faces, (size, size), derivatives=True).barycentric, (clip,)
        ),
        Primitive("interpolate 6", lambda: engine.interpolate(attributes, faces, barycentric, triangle), (attributes,)),
        Primitive("antialias", lambda: engine.antialias(image, raster, clip, faces, adjacency), (image, clip)),
        Primitive("texture 2D 8", lambda: engine.texture_2d(texture, uv, level), (texture,)),
        Primitive("texture cube", lambda: engine.texture_cube(light.levels, normal, level), (*light.levels,)),
        Primitive("hash grid", lambda: engine.hash_encode(points, table_rows, layout), (table_rows,)),
        Primitive(
            "shade",
            lambda: shade(MaterialSample(material[0], material[1], material[2]), normal, view, light, engine).color,
            (*material, light.diffuse, *light.levels),
        ),
        Primitive("photometric", lambda: engine.photometric(image, photographs, index, sizes, seed), (image,)),
    ]


def _seen_from_around(vertices: Tensor, views: int) -> Tensor:
    """[V, 3] -> [views, V, 4] clip positions of cameras on a circle about Z that look at the origin."""
    angles = [2.0 * torch.pi * (view + 0.3) / views for view in range(views)]
    around = torch.tensor(angles, device=vertices.device)[:, None]
    x, y, z = vertices.unbind(-1)
    across, ahead = x * around.cos() + y * around.sin(), y * around.cos() - x * around.sin()
    depth = _DISTANCE + ahead
    near, far = 1.0, 5.0
    scaled = ((far + near) * depth - 2.0 * far * near) / (far - near)
    return torch.stack([_FOCAL * across, -_FOCAL * z.expand_as(across), scaled, depth], -1)


def _leaves_of(light: PrefilteredLight) -> PrefilteredLight:
    """The light with cubes that take gradients."""
    levels = tuple(level.detach().requires_grad_() for level in light.levels)
    return PrefilteredLight(light.diffuse.detach().requires_grad_(), levels, light.roughness)


def _recorded(work: Callable[[], object]) -> Callable[[], object]:
    """The work as a graph that replays it."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def _milliseconds(work: Callable[[], object], device: torch.device, calls: int) -> float:
    """Of one call, where the device is kept busy with `calls` of them; after one that warms up."""
    times = []
    work()
    for _ in range(_WINDOWS):
        wait(device)
        began = time.perf_counter()
        for _ in range(calls):
            work()
        wait(device)
        times.append(1e3 * (time.perf_counter() - began) / calls)
    return statistics.median(times)


def main(argv: list[str] | None = None) -> int:
    """Command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--engines", nargs="+", help="names (default: all that run here)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    parser.add_argument("--views", type=int, default=8, help="pictures a call (default: %(default)s)")
    parser.add_argument("--size", type=int, default=512, help="pixels along a side (default: %(default)s)")
    parser.add_argument("--triangles", type=int, nargs="+", default=[20_000, 100_000], help="default: 20000 100000")
    parser.add_argument("--texels", type=int, default=1024, help="along a side of the texture (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=20, help="timed together (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("primitives.json"), help="JSON (default: %(default)s)")
    options = parser.parse_args(argv)
    device = pick_device(options.device)
    facts, rows = machine(device), list[Row]()
    for _, engine in installed_engines(options.engines, device):
        for triangles in options.triangles:
            rows += primitive_rows(
                engine, device, options.views, options.size, triangles, options.texels, options.calls
            )
    print(json.dumps(facts, indent=2))
    print(f"\n{table(f'{options.views} views of {options.size} px', rows)}")
    sizes = {"views": options.views, "size": options.size, "texels": options.texels, "calls": options.calls}
    found = {"machine": facts, "device": str(device), **sizes, "primitives": rows}
    options.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
