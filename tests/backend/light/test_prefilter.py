import math

import pytest
import torch

from backend.engines.select import select_engine
from backend.light.cube import sample_cube, texel_directions
from backend.light.environment import EnvironmentLight
from backend.light.prefilter import Filtered, build_prefilter
from backend.render.microfacet import ggx_distribution, smith_visibility

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def prefilter():
    return build_prefilter(32)


def test_constant_light_stays_constant(prefilter):
    filtered = prefilter.apply(torch.full((6, 32, 32, 3), 0.7))
    for level in (*filtered.specular, filtered.diffuse):
        torch.testing.assert_close(level, torch.full_like(level, 0.7), rtol=2e-5, atol=0)


def test_diffuse_of_a_cosine_lobe_equals_its_integral(prefilter):
    """The mean of max(a.l, 0) under the cosine about n is 2 (sin t + (pi - t) cos t) / (3 pi), t the angle between a and n."""
    axis = torch.nn.functional.normalize(torch.tensor([0.3, -0.8, 0.5]), dim=0)
    diffuse = prefilter.apply((texel_directions(32, CPU) @ axis).clamp_min(0.0)[..., None]).diffuse[..., 0]
    angle = (texel_directions(diffuse.shape[1], CPU) @ axis).clamp(-1, 1).acos()
    exact = 2 * (angle.sin() + (math.pi - angle) * angle.cos()) / (3 * math.pi)
    assert (diffuse - exact).abs().max() < 2e-3


def test_levels_equal_the_lobe_by_brute_force(prefilter):
    """Against the BSDF's own D and V at normal incidence, summed in float64 over a fine sphere."""
    sun = torch.nn.functional.normalize(torch.tensor([0.6, 0.5, -0.4], dtype=torch.float64), dim=0)

    def radiance(directions):
        return 0.2 + 0.1 * directions[..., 2:] + 5.0 * (200.0 * (directions @ sun - 1.0)).exp()[..., None]

    filtered = prefilter.apply(radiance(texel_directions(32, CPU).double()).float())
    light = texel_directions(128, CPU, torch.float64)
    area = light.abs().amax(-1).pow(3).reshape(-1)
    light = light.reshape(-1, 3)
    at = sun + torch.randn(24, 3, generator=torch.Generator().manual_seed(1)).double() * 0.4
    at = torch.nn.functional.normalize(at, dim=-1)
    cos_light = (at @ light.T).clamp_min(0.0)[..., None]
    cos_half = (0.5 + 0.5 * cos_light).sqrt()
    for roughness, level in list(zip(prefilter.roughness, filtered.specular))[2:]:
        rough = torch.tensor(roughness, dtype=torch.float64)
        shadow = smith_visibility(torch.ones_like(cos_light), cos_light.clamp_min(1e-9), rough)
        weight = (ggx_distribution(cos_half, rough) * shadow * cos_light)[..., 0] * area
        exact = (weight @ radiance(light)) / weight.sum(1, keepdim=True)
        error = (sample_cube(level.double(), at) - exact).abs().max() / exact.max()
        assert error < 0.06, roughness


@pytest.mark.parametrize("size", [8, 32])
def test_the_adjoint_is_the_map_turned_round(size):
    prefilter = build_prefilter(size, dtype=torch.float64)
    probe = torch.rand(6, size, size, 2, dtype=torch.float64)
    moved = prefilter.apply(probe)
    given = Filtered(tuple(torch.rand_like(level) for level in moved.specular), torch.rand_like(moved.diffuse))
    pairs = zip((*moved.specular, moved.diffuse), (*given.specular, given.diffuse), strict=True)
    along = sum((output * weight).sum() for output, weight in pairs)
    assert (prefilter.adjoint(given) * probe).sum().item() == pytest.approx(along.item(), rel=1e-12)


def test_gradient_of_the_light_is_that_of_a_difference():
    light = EnvironmentLight(8)
    with torch.no_grad():
        light.log_texels.normal_(generator=torch.Generator().manual_seed(0))
    shown = light.prefiltered()
    diffuse, *levels = (torch.rand_like(cube) for cube in (shown.diffuse, *shown.levels))
    probe = torch.randn(light.log_texels.shape, generator=torch.Generator().manual_seed(1))
    ends = []
    for step in (-0.01, 0.01):
        moved = EnvironmentLight(8)
        with torch.no_grad():
            moved.log_texels.copy_(light.log_texels + step * probe)
        cubes = moved.prefiltered()
        ends.append(sum((a.double() * b).sum() for a, b in zip((cubes.diffuse, *cubes.levels), (diffuse, *levels))))
    expected = ((ends[1] - ends[0]) / 0.02).item()
    assert (light.gradient_from(diffuse, levels) * probe).sum().item() == pytest.approx(expected, rel=1e-3)


def test_other_sizes_are_refused(prefilter):
    with pytest.raises(ValueError, match=r"32, 32.*got \[6, 16, 16, 3\]"):
        prefilter.apply(torch.zeros(6, 16, 16, 3))
    with pytest.raises(ValueError, match="20; expected a power of two"):
        build_prefilter(20)


def test_lookup_by_roughness_is_continuous_and_its_gradient_right():
    generator = torch.Generator().manual_seed(2)
    light = EnvironmentLight(16)
    with torch.no_grad():
        light.log_texels.normal_(generator=generator)
    engine = select_engine("builtin", CPU)
    filtered = light.prefiltered()
    direction = torch.tensor([[0.3, 0.4, 0.7]])
    knots = filtered.roughness.tolist()
    for knot in knots[1:-1]:
        below, above = (filtered.specular(engine, direction, torch.tensor([[knot + step]])) for step in (-1e-5, 1e-5))
        assert (below - above).abs().max() < 2e-3
    roughness = torch.tensor([[0.4]], requires_grad=True)
    filtered.specular(engine, direction, roughness).sum().backward()
    step = 0.01
    ends = [filtered.specular(engine, direction, torch.tensor([[0.4 + s]])).sum() for s in (-step, step)]
    assert roughness.grad.item() == pytest.approx(((ends[1] - ends[0]) / (2 * step)).item(), rel=0.02)
