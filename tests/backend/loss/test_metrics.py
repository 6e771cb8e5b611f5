import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from backend.loss.metrics import encode_over_white, encode_srgb, lpips_meter, psnr, ssim


def test_srgb_by_hand():
    linear = torch.tensor([0.0, 0.002, 0.0031308, 0.21404114, 1.0, 3.0])
    assert torch.allclose(encode_srgb(linear), torch.tensor([0.0, 0.02584, 0.04045, 0.5, 1.0, 1.0]), atol=1e-5)


def test_over_white_encodes_before_it_composes():
    """Half-covered grey of linear 0.21404: sRGB 0.5, over white 0.75. Composing first would give 0.80."""
    pixels = torch.tensor([[0.10702057, 0.10702057, 0.10702057, 0.5], [0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0]])
    expected = torch.tensor([[0.75, 0.75, 0.75], [1.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    assert torch.allclose(encode_over_white(pixels), expected, atol=1e-5)


def test_psnr_by_hand():
    """An error of 0.1 everywhere is 20 dB; pixels that are not valid do not count; equal pictures have a finite figure."""
    reference = torch.rand(5, 6, 3, generator=torch.Generator().manual_seed(0)) * 0.5
    assert psnr(reference + 0.1, reference).item() == pytest.approx(20.0, abs=1e-3)
    valid = torch.zeros(5, 6, 1, dtype=torch.bool)
    valid[:3] = True
    spoiled = reference + 0.1
    spoiled[3:] = 9.0
    assert psnr(spoiled, reference, valid).item() == pytest.approx(20.0, abs=1e-3)
    assert psnr(reference, reference).item() == pytest.approx(100.0)
    with pytest.raises(ValueError, match="one shape"):
        psnr(reference, reference[:3])


def scipy_ssim(x, y):
    """The published formula, each statistic by SciPy's Gaussian filter cut at 5 pixels, borders left out."""

    def blur(values):
        return gaussian_filter(values, 1.5, truncate=3.5)[5:-5, 5:-5]

    mx, my = blur(x), blur(y)
    vx, vy, c = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    return (((2 * mx * my + 1e-4) * (2 * c + 9e-4)) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))).mean()


def test_ssim_agrees_with_the_formula_and_by_hand():
    rng = np.random.default_rng(0)
    x = rng.random((40, 33, 3))
    y = np.clip(x + rng.normal(0, 0.1, x.shape), 0, 1)
    ours = ssim(torch.from_numpy(x).float(), torch.from_numpy(y).float()).item()
    assert ours == pytest.approx(np.mean([scipy_ssim(x[..., c], y[..., c]) for c in range(3)]), abs=1e-5)
    assert ssim(torch.from_numpy(x), torch.from_numpy(x)).item() == pytest.approx(1.0)
    flat = ssim(torch.full((16, 16, 1), 0.25), torch.full((16, 16, 1), 0.75)).item()
    assert flat == pytest.approx((2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4), abs=1e-6)
    with pytest.raises(ValueError, match="at least 11"):
        ssim(torch.zeros(8, 30, 3), torch.zeros(8, 30, 3))


def test_lpips_is_measured_or_says_why_not():
    meter, reason = lpips_meter("cpu")
    if meter is None:
        assert "LPIPS is not measured" in reason
        return
    picture = torch.rand(64, 64, 3)
    assert meter(picture, picture) == pytest.approx(0.0, abs=1e-6)
    assert meter(picture, 1 - picture) > 0.1
