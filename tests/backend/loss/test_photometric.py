import math

import pytest
import torch

from backend.loss.photometric import color_loss, encode_srgb, over_background, psnr_of, tonemap


def pixel(*values):
    return torch.tensor(values).view(1, 1, 1, -1)


def curve(linear):
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055


def test_tone_curve_by_hand_also_above_one_and_its_slope_at_zero():
    radiance = torch.tensor([0.0, 0.001, 0.2, 1.0, 50.0], requires_grad=True)
    expected = [curve(math.log(1 + x)) for x in radiance.tolist()]
    assert expected[-1] > 1.5  # a highlight still counts
    mapped = tonemap(radiance)
    assert mapped.tolist() == pytest.approx(expected, abs=1e-5)
    (slope,) = torch.autograd.grad(mapped.sum(), radiance)
    assert slope[0].item() == pytest.approx(12.92) and slope[-1] > 0
    assert tonemap(torch.tensor(-1.0)) == 0.0


def test_color_loss_by_hand():
    """Two pixels, one of them half covered in the photograph: both sides lie over the same grey, then count by the photograph's mask."""
    rendered = torch.cat((pixel(0.4, 0.4, 0.4, 1.0), pixel(0.1, 0.0, 0.3, 0.25)), 2)
    reference = torch.cat((pixel(0.4, 0.4, 0.4, 1.0), pixel(0.2, 0.1, 0.0, 0.5)), 2)
    background = torch.full((1, 1, 2, 3), 0.6)
    ours = [(c + 0.75 * 0.6) * 0.5 for c in (0.1, 0.0, 0.3)]
    theirs = [(c + 0.5 * 0.6) * 0.5 for c in (0.2, 0.1, 0.0)]
    expected = sum(abs(curve(math.log1p(a)) - curve(math.log1p(b))) for a, b in zip(ours, theirs, strict=True)) / 6
    found = color_loss(rendered, reference, background, torch.ones(1, 1, 2, 1, dtype=torch.bool))
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_color_loss_looks_neither_beyond_the_mask_nor_beyond_the_image():
    generator = torch.Generator().manual_seed(0)
    reference = torch.rand(1, 4, 6, 4, generator=generator)
    reference[:, 2:] = 0.0  # the lower half shows no object
    valid = torch.zeros(1, 4, 6, 1, dtype=torch.bool)
    valid[:, :, :4] = True  # the canvas goes on to the right of the image
    rendered = torch.rand(1, 4, 6, 4, generator=generator, requires_grad=True)
    background = torch.rand(1, 4, 6, 3, generator=generator)
    (gradient,) = torch.autograd.grad(color_loss(rendered, reference, background, valid), rendered)
    inside = torch.zeros(1, 4, 6, 1, dtype=torch.bool)
    inside[:, :2, :4] = True
    assert (gradient[~inside.expand_as(gradient)] == 0).all()
    assert (gradient[inside.expand_as(gradient)] != 0).all()  # wrong coverage costs colour too
    garbage = torch.where(valid, reference, 7.0)  # nor is it read, or counted in the mean
    assert color_loss(rendered, garbage, background, valid) == color_loss(rendered, reference, background, valid)
    cut = color_loss(rendered[:, :, :4], reference[:, :, :4], background[:, :, :4], valid[:, :, :4])
    assert cut.item() == pytest.approx(color_loss(rendered, reference, background, valid).item(), rel=1e-6)


def test_gradient_of_a_black_render_is_finite():
    rendered = torch.zeros(1, 2, 2, 4, requires_grad=True)
    reference = torch.ones(1, 2, 2, 4)
    valid = torch.ones(1, 2, 2, 1, dtype=torch.bool)
    loss = color_loss(rendered, reference, torch.zeros(1, 2, 2, 3), valid)
    (gradient,) = torch.autograd.grad(loss, rendered)
    assert gradient.isfinite().all() and (gradient[..., :3] < 0).all()
    nothing = color_loss(rendered, reference * 0.0, torch.zeros(1, 2, 2, 3), valid & False)
    assert nothing == 0.0 and torch.autograd.grad(nothing, rendered)[0].isfinite().all()


def test_over_background_and_psnr_by_hand():
    assert over_background(pixel(0.2, 0.1, 0.0, 0.25), pixel(1.0, 0.0, 2.0)).flatten().tolist() == pytest.approx(
        [0.95, 0.1, 1.5]
    )
    assert encode_srgb(torch.tensor([0.002, 0.5])).tolist() == pytest.approx([curve(0.002), curve(0.5)])
    valid = torch.tensor([[[[True], [False]]]])
    ours, theirs = pixel(0.5, 0.5, 0.5, 1.0).repeat(1, 1, 2, 1), pixel(0.2, 0.5, 0.5, 1.0).repeat(1, 1, 2, 1)
    ours[:, :, 1] = 9.0  # not part of the photograph
    expected = -10 * math.log10((curve(0.5) - curve(0.2)) ** 2 / 3)
    assert psnr_of(ours, theirs, valid).item() == pytest.approx(expected, rel=1e-5)
    assert psnr_of(pixel(4.0, 4.0, 4.0, 1.0), pixel(1.0, 1.0, 1.0, 1.0), valid[:, :, :1]).item() == pytest.approx(100.0)
