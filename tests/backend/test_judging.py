"""Figures of a render: over the mask the surround does not count, and a planted exposure is found and judged without."""

import math

import pytest
import torch

from backend.loss.judging import Figures, best_gains, judge, means

GAINS = torch.tensor([2.4, 1.0, 0.7])


def disc(side=48, radius=14):
    """A photograph [side, side, 4] of a disc with a soft edge, linear and premultiplied."""
    generator = torch.Generator().manual_seed(5)
    axis = torch.arange(side) - side / 2 + 0.5
    alpha = (radius + 0.5 - (axis[:, None] ** 2 + axis**2).sqrt()).clamp(0, 1)[..., None]
    color = 0.1 + 0.4 * torch.rand(side, side, 3, generator=generator)
    return torch.cat([color * alpha, alpha], -1)


def test_the_surround_does_not_count_in_the_mask():
    photo = disc()
    dark = photo * torch.tensor([0.8, 0.8, 0.8, 1.0])
    found = judge(dark, photo)
    share = float((photo[..., 3] > 0.5).float().mean())
    assert found.psnr_mask < found.psnr - 5
    assert found.psnr - found.psnr_mask == pytest.approx(-10 * math.log10(share), abs=0.3)  # all the error lies in it
    beside = photo.clone()
    beside[:6, :6] = torch.tensor([0.0, 0.0, 0.0, 1.0])  # a floater
    assert judge(beside, photo).psnr < 20 and judge(beside, photo).psnr_mask == 100.0


def test_an_empty_mask_has_no_figure_and_the_mean_leaves_it_out():
    nothing = torch.zeros(24, 24, 4)
    found = judge(nothing, nothing)
    assert found.psnr == 100.0 and found.psnr_mask is None
    assert means([found, Figures(20.0, 10.0)])["psnr_mask"] == 10.0 and means([found])["psnr_mask"] is None


def test_a_planted_exposure_is_found_though_some_of_it_was_clipped():
    render = disc()
    photo = render.clone()
    photo[..., :3] = (render[..., :3] * GAINS).minimum(render[..., 3:])  # the brightest pixels are clipped
    assert torch.allclose(best_gains(render, photo), GAINS, rtol=1e-4)
    beside = render.clone()
    beside[:6, :6] = 1.0  # a floater, which the photograph does not share
    assert torch.allclose(best_gains(beside, photo), GAINS, rtol=1e-4)
    thin = render.clone()
    thin[20:28, 20:28] = torch.tensor([0.2, 0.0, 0.1, 0.2])  # the render has all but a hole there
    assert torch.allclose(best_gains(thin, photo), GAINS, rtol=1e-4)
    photo[..., :3] = render[..., :3] * GAINS
    found = judge(render, photo, gains=best_gains(render, photo))
    assert found.psnr < 25 and found.psnr_exposed == 100.0
    assert judge(render, photo).psnr_exposed is None


def test_gains_stay_in_bounds_and_are_one_of_nothing():
    render, photo = disc(), disc()
    photo[..., :3] *= 0.01
    assert best_gains(render, photo).tolist() == pytest.approx([1 / math.e] * 3)
    assert best_gains(torch.zeros_like(render), photo).tolist() == [1.0] * 3
