import math

import pytest
import torch

from backend.engines.select import select_engine
from backend.render.relief import mirroring_normal, perturb_normal, relieve_diffuse, relieve_specular

CPU = torch.device("cpu")


def unit(*values):
    return torch.nn.functional.normalize(torch.tensor([values]), dim=-1)


def test_normal_map_by_hand_and_mirrored():
    """Red leans along the tangent, green along the bitangent, which a mirrored chart turns round."""
    leaning = unit(0.6, 0.3, 1.0)
    normal, tangent = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[1.0, 0.0, 0.0, 1.0]])
    torch.testing.assert_close(perturb_normal(leaning, tangent, normal), unit(0.6, 0.3, 1.0))
    mirrored = torch.tensor([[1.0, 0.0, 0.0, -1.0]])
    torch.testing.assert_close(perturb_normal(leaning, mirrored, normal), unit(0.6, -0.3, 1.0))
    # an interpolated frame is shorter than 1 and is used as it is: b = n x t shrinks with both
    torch.testing.assert_close(
        perturb_normal(leaning, torch.tensor([[0.8, 0.0, 0.0, 1.0]]), 0.9 * normal), unit(0.6 * 0.8, 0.3 * 0.72, 0.9)
    )


def test_flat_relief_changes_nothing():
    engine = select_engine("builtin", CPU)
    generator = torch.Generator().manual_seed(0)
    normal, other = torch.nn.functional.normalize(torch.randn(2, 200, 3, generator=generator), dim=-1)
    direction, share = relieve_diffuse(normal, normal, engine)
    torch.testing.assert_close(direction, normal, atol=2e-5, rtol=0)
    torch.testing.assert_close(share, torch.ones_like(share), atol=2e-3, rtol=0)
    direction, share = relieve_specular(other, torch.rand(200, 1, generator=generator), normal, normal, engine)
    torch.testing.assert_close(direction, other, atol=2e-5, rtol=0)
    torch.testing.assert_close(
        share[(other * normal).sum(-1) > 0.1], torch.ones(1, 1).expand(200, 1)[(other * normal).sum(-1) > 0.1]
    )


@pytest.mark.parametrize("degrees", [10.0, 35.0])
def test_diffuse_share_and_direction_by_brute_force(degrees):
    tilt = math.radians(degrees)
    smooth = torch.tensor([[math.sin(tilt), 0.0, math.cos(tilt)]], dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    light = torch.nn.functional.normalize(torch.randn(400000, 3, generator=generator, dtype=torch.float64), dim=-1)
    rise = (light @ smooth[0]).clamp_min(0.0)
    alpha_squared = math.tan(tilt) ** 2 / 8
    shadow = 2 / (1 + (1 + alpha_squared * (1 / rise.clamp_min(1e-6).square() - 1)).sqrt()) * (rise > 0)
    weight = light[:, 2].clamp_min(0.0) * shadow
    mean = (weight[:, None] * light).mean(0)
    normal = torch.tensor([[0.0, 0.0, 1.0]])
    direction, share = relieve_diffuse(normal, smooth.float(), select_engine("builtin", CPU))
    assert share.item() == pytest.approx(4 * weight.mean().item(), abs=0.005)
    torch.testing.assert_close(direction[0].double(), mean / mean.norm(), atol=0.01, rtol=0)


def test_bent_normal_mirrors_the_view_above_the_horizon_and_no_farther():
    generator = torch.Generator().manual_seed(2)
    smooth = torch.tensor([[0.0, 0.0, 1.0]]).expand(2000, 3)
    normal, view = torch.nn.functional.normalize(torch.randn(2, 2000, 3, generator=generator), dim=-1)
    normal, view = (torch.cat((v[:, :2], v[:, 2:].abs().clamp_min(0.02)), -1) for v in (normal, view))
    normal, view = torch.nn.functional.normalize(normal, dim=-1), torch.nn.functional.normalize(view, dim=-1)
    facing = (normal * view).sum(-1) > 0.0

    def mirrored_height(n):
        return (2 * (n * view).sum(-1, keepdim=True) * n - view)[:, 2]

    bent = mirroring_normal(normal, smooth, view)
    needed = (mirrored_height(normal) < (0.9 * view[:, 2]).clamp_max(0.01)) & facing
    assert 100 < needed.sum() < 1900
    torch.testing.assert_close(bent[~needed & facing], normal[~needed & facing])
    least = (0.9 * view[needed, 2]).clamp_max(0.01)
    torch.testing.assert_close(mirrored_height(bent)[needed], least, atol=1e-3, rtol=0)


def test_specular_below_the_horizon_is_lost():
    engine = select_engine("builtin", CPU)
    normal, smooth = unit(0.5, 0.0, 1.0), unit(0.0, 0.0, 1.0)
    for roughness in (0.2, 0.6):
        rough = torch.full((1, 1), roughness)
        high, low = unit(0.3, 0.0, 1.0), unit(1.0, 0.0, 0.0)
        assert relieve_specular(high, rough, normal, smooth, engine)[1].item() > 0.95
        direction, share = relieve_specular(low, rough, normal, smooth, engine)
        assert (
            0.4 < share.item() < 0.75
        )  # half of the lobe, over what the perturbed normal's own horizon has left of it
        assert direction[0, 2] > 0.02
