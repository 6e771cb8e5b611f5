"""Fused shading against the composition in float64: values, every gradient, threads, blank rows, CUDA."""

import pytest
import torch

from backend.engines.reference.cube import texture_cube
from backend.engines.reference.textures import texture_2d
from backend.engines.select import select_engine
from backend.engines.shading import ShadingLight, ShadingPoints
from backend.light.environment import PrefilteredLight
from backend.material.channels import MaterialSample
from backend.render.shade import shade
from backend.render.shade_reference import composed_shade

CPU = torch.device("cpu")
TOUCHY = 1e-3  # with relief: a few points on the brink of being bent weigh on small cubes' texels
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


class ReferenceEngine:
    name = "reference"
    texture_2d = staticmethod(texture_2d)
    texture_cube = staticmethod(texture_cube)


def unit(vectors):
    return torch.nn.functional.normalize(vectors, dim=-1)


def scene(count, seed=0):
    """[points' eight tensors, five cubes] float32: grazing views and some from below, roughness 0 to 1, pure metals and dielectrics,
    normals that lean beyond the horizon, mirrored charts.
    """
    random = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.rand(*shape, generator=random)

    def directions():
        return unit(torch.randn(count, 3, generator=random))

    normal, side = directions(), directions()
    view = unit(side - (side * normal).sum(-1, keepdim=True) * normal + (1.2 * draw(count, 1) - 0.1) * normal)
    along = unit(torch.linalg.cross(normal, directions()))
    tangent = torch.cat((0.9 * along, torch.where(draw(count, 1) < 0.5, -1.0, 1.0)), -1)
    normal_map = unit(torch.tensor([0.0, 0.0, 1.0]) + 0.9 * directions())
    roughness, metallic, occlusion = draw(count, 1), draw(count, 1), draw(count, 1)
    roughness[:2], roughness[2:4] = 0.0, 1.0
    metallic[: count // 4], metallic[count // 4 : count // 2] = 0.0, 1.0
    cubes = [draw(6, size, size, 3) for size in (8, 16, 8, 4, 2)]
    return [draw(count, 3), roughness, metallic, normal, view, normal_map, tangent, occlusion, *cubes]


def run(inputs, engine, relief, shaded, dtype=torch.float32, device=CPU):
    """Diffuse and specular, then the gradients of a fixed weighing of both with respect to all inputs (None: not used)."""
    leaves = [tensor.to(device, dtype).clone().requires_grad_() for tensor in inputs]
    base_color, roughness, metallic, normal, view, normal_map, tangent, occlusion, diffuse, *levels = leaves
    light = PrefilteredLight(
        diffuse, tuple(levels), torch.tensor([0.1, 0.4, 0.7, 1.0], dtype=torch.float32, device=device).to(dtype)
    )
    sample = MaterialSample(base_color, roughness, metallic, normal_map if relief else None)
    found = shaded(
        sample, normal, view, light, engine, tangent if relief else None, occlusion=occlusion if relief else None
    )
    pair = found if isinstance(found, tuple) else (found.diffuse, found.specular)
    # drawn row by row, so that more rows change nothing for the first ones
    weights = torch.rand(len(base_color), 2, 3, generator=torch.Generator().manual_seed(1)) - 0.5
    total = (weights.to(device, dtype) * torch.stack(pair, 1)).sum()
    gradients = torch.autograd.grad(total, leaves, allow_unused=True)
    return [None if tensor is None else tensor.detach().cpu().double() for tensor in (*pair, *gradients)]


def worst(ours, theirs):
    """Greatest error of each result as a share of its greatest magnitude, leaving out the two rows in a thousand that are worst.

    Where a normal is about to be bent, or a texel to change, the last bits of a float decide, and a gradient jumps.
    """
    errors = []
    for got, want in zip(ours, theirs, strict=True):
        assert (got is None) == (want is None)
        if want is not None:
            assert got.isfinite().all()
            error = (got - want).abs().reshape(-1, want.shape[-1]).amax(-1) / want.abs().max()
            errors.append(float(error.quantile(0.998)))
    return max(errors)


@pytest.mark.parametrize("relief", [False, True])
def test_values_and_all_gradients_equal_the_composition_in_float64(relief):
    inputs = scene(2000)
    ours = run(inputs, select_engine("builtin", CPU), relief, shade)
    exact = run(inputs, ReferenceEngine(), relief, composed_shade, torch.float64)
    assert sum(tensor is not None for tensor in ours) == (15 if relief else 12)
    assert worst(ours, exact) < (TOUCHY if relief else 5e-5)


def test_threads_do_not_change_a_bit():
    inputs = scene(20000)
    first, *others = (run(inputs, select_engine("builtin", CPU, threads), True, shade) for threads in (1, 2, 7))
    for other in others:
        assert all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("relief", [False, True])
def test_blank_rows_are_dark_and_move_nothing(relief):
    """Rows of a zero normal, whatever else they hold, give exact zeros and leave the others and the light as they are."""
    inputs = scene(64)
    blank = [torch.cat((tensor, torch.zeros(40, tensor.shape[1]))) for tensor in inputs[:8]]
    blank[0][70:], blank[4][80:] = float("nan"), 0.5
    engine = select_engine("builtin", CPU)
    without, padded = (run(given, engine, relief, shade) for given in (inputs, [*blank, *inputs[8:]]))
    for alone, among in zip(without[:10], padded[:10], strict=True):
        if alone is not None:
            assert torch.equal(alone, among[:64]) and alone.any() and not among[64:].any()
    for alone, among in zip(without[10:], padded[10:], strict=True):
        torch.testing.assert_close(alone, among, rtol=1e-5, atol=1e-6)


def test_wrong_inputs_are_refused_with_what_came_and_what_was_expected():
    base_color, roughness, metallic, normal, view, normal_map, tangent, _, diffuse, *levels = scene(5)
    light = PrefilteredLight(diffuse, tuple(levels), torch.tensor([0.1, 0.4, 0.7, 1.0]))
    engine = select_engine("builtin", CPU)
    sample = MaterialSample(base_color, roughness, metallic, normal_map)
    with pytest.raises(ValueError, match=r"shade: tangent is \[5, 3\].*expected \[5, 4\]"):
        shade(sample, normal, view, light, engine, tangent[:, :3])
    with pytest.raises(ValueError, match=r"shade: view is \[4, 3\].*expected \[5, 3\]"):
        shade(sample, normal, view[:4], light, engine)
    with pytest.raises(ValueError, match="1 specular levels; expected 2 or more"):
        shade(sample, normal, view, PrefilteredLight(diffuse, (diffuse,), torch.ones(1)), engine)
    with pytest.raises(ValueError, match="only one of normal_map and tangent"):
        points = ShadingPoints(base_color, roughness, metallic, normal, view, normal_map)
        engine.shade(points, ShadingLight(diffuse, tuple(levels), light.roughness), None)


@needs_cuda
@pytest.mark.parametrize("relief", [False, True])
def test_cuda_equals_cpu(relief):
    inputs, device = scene(20000), torch.device("cuda", 0)
    ours = run(inputs, select_engine("builtin", device), relief, shade, device=device)
    assert worst(ours, run(inputs, select_engine("builtin", CPU), relief, shade)) < (TOUCHY if relief else 1e-4)


@needs_cuda
def test_a_recorded_graph_played_back_equals_eager():
    device = torch.device("cuda", 0)
    engine = select_engine("builtin", device)
    leaves = [tensor.to(device).requires_grad_() for tensor in scene(5000)]
    roughness = torch.tensor([0.1, 0.4, 0.7, 1.0], device=device)

    def step():
        sample = MaterialSample(*leaves[:3], leaves[5])
        light = PrefilteredLight(leaves[8], tuple(leaves[9:]), roughness)
        color = shade(sample, leaves[3], leaves[4], light, engine, leaves[6], leaves[7]).color
        return [color.detach(), *torch.autograd.grad(color.square().sum(), leaves)]

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        recorded = step()
    with torch.no_grad():
        for tensor in (leaves[0], leaves[7], leaves[8]):
            tensor.mul_(0.7)
    graph.replay()
    for ours, eager in zip(recorded, step(), strict=True):
        torch.testing.assert_close(ours, eager, rtol=1e-4, atol=1e-5 * float(eager.abs().max()))
