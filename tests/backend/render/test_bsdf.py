import math

import pytest
import torch

from backend.engines.reference.cube import texture_cube
from backend.engines.reference.textures import texture_2d
from backend.engines.select import select_engine
from backend.light.environment import PrefilteredLight
from backend.material.channels import MaterialSample
from backend.render.bsdf import bsdf_reflectance
from backend.render.bsdf_table import bsdf_table
from backend.render.microfacet import (
    fresnel_dielectric,
    fresnel_schlick_weight,
    ggx_distribution,
    smith_visibility,
)
from backend.render.shade import shade
from backend.render.shade_reference import composed_shade, specular_occlusion

CPU = torch.device("cpu")


class ReferenceEngine:
    """The plain-torch oracles: float64 passes through them."""

    name = "reference"
    texture_2d = staticmethod(texture_2d)
    texture_cube = staticmethod(texture_cube)


@pytest.fixture(scope="module")
def engine():
    return select_engine("builtin", CPU)


@pytest.mark.parametrize("roughness", [0.3, 1.0])
def test_ggx_peak_by_hand_and_unit_projected_area(roughness):
    rough = torch.tensor(roughness, dtype=torch.float64)
    cosine = torch.linspace(0, 1, 200001, dtype=torch.float64)
    density = ggx_distribution(cosine, rough)
    area = torch.trapezoid(density * cosine, cosine) * 2 * math.pi
    assert density[-1].item() == pytest.approx(1 / (math.pi * roughness**4), rel=1e-9)
    assert area.item() == pytest.approx(1.0, abs=1e-5)


def test_dielectric_fresnel_by_hand():
    cosine = torch.tensor([1.0, math.cos(math.atan(1.5)), 0.0], dtype=torch.float64)
    # At Brewster's angle the parallel part vanishes; the other is ((1 - n^2) / (1 + n^2))^2.
    wanted = [0.04, 0.5 * ((1 - 1.5**2) / (1 + 1.5**2)) ** 2, 1.0]
    assert fresnel_dielectric(cosine).tolist() == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("roughness", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("cosine", [0.15, 0.6, 1.0])
def test_table_equals_the_bsdf_summed_by_brute_force(engine, roughness, cosine):
    """D V F cos over the light's hemisphere in float64, light directions on a plain grid: another way than the table's."""
    z = ((torch.arange(1500, dtype=torch.float64) + 0.5) / 1500)[:, None]
    turn = ((torch.arange(500, dtype=torch.float64) + 0.5) / 500 * math.pi)[None]
    light = torch.stack(((1 - z * z).sqrt() * turn.cos(), (1 - z * z).sqrt() * turn.sin(), z.expand(1500, 500)), -1)
    light = light.reshape(-1, 3)
    z = light[:, 2]
    view = torch.tensor([math.sqrt(1 - cosine**2), 0.0, cosine], dtype=torch.float64)
    half = torch.nn.functional.normalize(light + view, dim=-1)
    cos_view_half = half @ view
    rough = torch.tensor(roughness, dtype=torch.float64)
    white = ggx_distribution(half[:, 2], rough) * smith_visibility(view[2], z, rough) * z * (2 * math.pi)
    schlick, coat = fresnel_schlick_weight(cos_view_half), white * fresnel_dielectric(cos_view_half)
    row = bsdf_table(CPU).look_up(engine, torch.tensor([[cosine]]), torch.tensor([[roughness]]))[0].tolist()
    parts = [(row[0:2], white * (1 - schlick)), (row[2:4], white * schlick), (row[4:6], coat)]
    for (first, second), weight in parts:
        assert first + second == pytest.approx(weight.mean().item(), rel=0.01, abs=1e-3)
    axes = torch.tensor([[-row[8] * view[0], 0.0, row[7]], [-row[10] * view[0], 0.0, row[9]]], dtype=torch.float64)
    assert axes.norm(dim=-1).tolist() == pytest.approx([1.0, 1.0], abs=0.01)
    # All of F0 = 1 together points where the real lobe does, and so does the dielectric's own share of the two.
    # At roughness 1 the lobes stand closer than the dielectric's share leans off a grazing view: it goes as far as it can.
    coat_error = 0.03 if roughness < 1.0 else 0.35
    white_parts = [row[0] + row[2], row[1] + row[3]]
    for (first, second), weight, error in ((white_parts, white, 0.03), (row[4:6], coat, coat_error)):
        mean = (weight[:, None] * light).sum(0)[[0, 2]]
        ours = (first * axes[0] + second * axes[1])[[0, 2]]
        turned = torch.atan2(mean[0], mean[1]) - torch.atan2(ours[0], ours[1])
        assert abs(turned.item()) < error


def test_white_furnace(engine):
    """Multiscatter GGX loses nothing: white metal sends back all there is; so does white under a dielectric coat."""
    roughness = torch.linspace(0.08, 1, 40).repeat(30)[:, None]
    cosine = torch.linspace(0.05, 1, 30).repeat_interleave(40)
    view = torch.stack(((1 - cosine**2).sqrt(), torch.zeros_like(cosine), cosine), -1)
    normal = torch.tensor([0.0, 0.0, 1.0]).expand_as(view)
    white = torch.ones_like(view)
    for metallic in (0.0, 1.0, 0.4):
        full = torch.full_like(roughness, metallic)
        lobe = bsdf_reflectance(white, roughness, full, normal, view, engine)
        torch.testing.assert_close(lobe.diffuse + sum(lobe.specular), white, atol=2e-3, rtol=0)
        grey = bsdf_reflectance(0.5 * white, roughness, full, normal, view, engine)
        assert (grey.diffuse + sum(grey.specular)).max() < 1.0 - 1e-4


def random_points(dtype):
    generator = torch.Generator().manual_seed(4)

    def unit(count):
        return torch.nn.functional.normalize(torch.randn(count, 3, generator=generator, dtype=dtype), dim=-1)

    normal = unit(5)
    view = torch.nn.functional.normalize(normal + 0.8 * unit(5), dim=-1)
    tangent = torch.nn.functional.normalize(torch.linalg.cross(normal, unit(5)), dim=-1)
    tangent = torch.cat((tangent, torch.tensor([[1.0], [-1.0], [1.0], [-1.0], [1.0]], dtype=dtype)), -1)
    relief = torch.nn.functional.normalize(torch.tensor([0.0, 0.0, 1.0], dtype=dtype) + 0.2 * unit(5), dim=-1)
    base_color = torch.rand(5, 3, generator=generator, dtype=dtype)
    roughness = 0.2 + 0.7 * torch.rand(5, 1, generator=generator, dtype=dtype)
    metallic = torch.rand(5, 1, generator=generator, dtype=dtype)
    return base_color, roughness, metallic, relief, normal, view, tangent


def test_gradients_of_composed_shading_by_gradcheck():
    generator = torch.Generator().manual_seed(5)
    levels = [torch.rand(6, n, n, 3, generator=generator, dtype=torch.float64) for n in (4, 3, 2)]
    roughness = torch.tensor([0.2, 0.5, 1.0], dtype=torch.float64)

    def color(base_color, rough, metallic, relief, normal, view, tangent, *cubes):
        sample = MaterialSample(base_color, rough, metallic, relief)
        light = PrefilteredLight(cubes[2], cubes, roughness)
        return sum(composed_shade(sample, normal, view, light, ReferenceEngine(), tangent))

    given = [value.requires_grad_() for value in (*random_points(torch.float64), *levels)]
    assert torch.autograd.gradcheck(color, given, eps=1e-6, atol=1e-5, rtol=1e-3, fast_mode=True)


def test_occlusion_darkens_diffuse_as_it_says_and_specular_less_head_on(engine):
    base_color, roughness, metallic, relief, normal, view, tangent = random_points(torch.float32)
    cube = torch.ones(6, 4, 4, 3)
    light = PrefilteredLight(cube, (cube, cube), torch.tensor([0.1, 1.0]))
    sample = MaterialSample(base_color, roughness, 0 * metallic, relief)
    free = shade(sample, normal, view, light, engine, tangent)
    same = shade(sample, normal, view, light, engine, tangent, torch.ones(5, 1))
    half = shade(sample, normal, view, light, engine, tangent, torch.full((5, 1), 0.5))
    torch.testing.assert_close(same.color, free.color)
    torch.testing.assert_close(half.diffuse, 0.5 * free.diffuse)
    head_on, grazing = specular_occlusion(torch.tensor([[0.5]]), torch.tensor([[1.0], [0.1]]), torch.tensor([[0.2]]))
    assert 1.0 >= head_on > grazing > 0.0
