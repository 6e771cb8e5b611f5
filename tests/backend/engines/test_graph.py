"""A whole step of the primitives recorded as a CUDA graph and played back gives what eager calls give."""

import pytest
import torch
from shapes import cameras, clip, icosphere

from backend.engines.adjacency import edge_adjacency
from backend.engines.builtin.engine import BuiltinEngine
from backend.engines.hash_layout import hash_layout

DEVICE = torch.device("cuda", 0)


def step(engine, positions, faces, adjacency, texture, cube, table, layout):
    """A picture from all primitives and its gradients with respect to everything that has one."""
    inputs = [positions, texture, cube, table]
    raster = engine.rasterize(positions, faces, (64, 64), derivatives=True)
    flat, triangle = raster.barycentric.view(-1, 4), raster.triangle.view(-1)
    attributes = positions[0, :, :3].contiguous()
    places = engine.interpolate(attributes, faces, flat, triangle)
    color = engine.texture_2d(texture, places[:, :2].contiguous(), places[:, 2].abs() * 3.0)
    color = color + engine.texture_cube((cube,), places + 1e-3, torch.zeros_like(places[:, 0]))
    color = color + engine.hash_encode(places.detach().clamp(0, 1), table, layout)[:, :3]
    image = engine.antialias(color.view(*raster.triangle.shape, 3), raster, positions, faces, adjacency)
    gradients = torch.autograd.grad(image.square().sum(), inputs)
    return [image.detach(), *gradients]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_replay_equals_eager():
    engine, random = BuiltinEngine(DEVICE), torch.Generator(DEVICE).manual_seed(0)
    vertices, faces = icosphere(3)
    faces = faces.to(DEVICE)
    positions = clip(vertices, cameras(2)).float().to(DEVICE).contiguous().requires_grad_()
    texture = torch.rand(32, 32, 3, device=DEVICE, generator=random).requires_grad_()
    cube = torch.rand(6, 16, 16, 3, device=DEVICE, generator=random).requires_grad_()
    layout = hash_layout(levels=4, log2_size=12)
    table = torch.rand(layout.entries, 2, device=DEVICE, generator=random).requires_grad_()
    arguments = (engine, positions, faces, edge_adjacency(faces), texture, cube, table, layout)

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step(*arguments)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        recorded = step(*arguments)
    with torch.no_grad():  # other numbers in the same places
        positions[..., :2] += 0.1
        texture.mul_(0.5)
        table.add_(0.25)
    graph.replay()
    for ours, eager in zip(recorded, step(*arguments), strict=True):
        assert torch.allclose(ours, eager, rtol=1e-4, atol=1e-5 * float(eager.abs().max()))
