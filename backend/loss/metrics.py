"""How near a picture is to another, the way the field reports it: on sRGB-encoded colours over white."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

SSIM_WINDOW, _SIGMA = 11, 1.5  # SSIM's Gaussian window in pixels (Wang et al. 2004)
_LUMINANCE, _CONTRAST = 0.01**2, 0.03**2  # its stabilising constants for values in [0, 1]
_LPIPS_BACKBONE = "vgg16-397923af.pth"  # torchvision's weights, which the lpips package would otherwise download

Lpips = Callable[[Tensor, Tensor], float]


def encode_srgb(linear: Tensor) -> Tensor:
    """Linear [0, 1] -> sRGB [0, 1] (IEC 61966-2-1), values beyond clamped; any shape. Gradients flow where not clamped."""
    linear = linear.clamp(0.0, 1.0)
    power = 1.055 * linear.clamp(min=0.0031308).pow(1.0 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, linear * 12.92, power)


def encode_over_white(premultiplied: Tensor) -> Tensor:
    """What a viewer shows on a white page: the straight colour is encoded first, then laid over white (the convention of NeRF).

    Args:
        premultiplied: [..., 4] linear colour times alpha, alpha in [0, 1].

    Returns:
        [..., 3] in [0, 1]: srgb(colour) * alpha + (1 - alpha).
    """
    alpha = premultiplied[..., 3:].clamp(0.0, 1.0)
    straight = premultiplied[..., :3] / alpha.clamp_min(1e-6)
    return encode_srgb(straight) * alpha + (1.0 - alpha)


def psnr(image: Tensor, reference: Tensor, valid: Tensor | None = None) -> Tensor:
    """Peak signal to noise ratio in dB, -10 log10 of the mean squared error, for values in [0, 1].

    Args:
        image, reference: [..., C] of one shape; all pixels given count as one picture.
        valid: [..., 1] bool, the pixels that count; all when None.

    Returns:
        A scalar; 100 at most, so that equal pictures have a figure that can be averaged and written as JSON.
    """
    if image.shape != reference.shape:
        raise ValueError(
            f"psnr: image has shape {tuple(image.shape)}, reference {tuple(reference.shape)}; expected one shape"
        )
    squared = (image - reference).square()
    error = (
        squared.mean() if valid is None else (squared * valid).sum() / (valid.sum() * squared.shape[-1]).clamp_min(1)
    )
    return -10.0 * error.clamp_min(1e-10).log10()


def ssim(image: Tensor, reference: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004): Gaussian window of 11 pixels, sigma 1.5, over the windows that lie wholly inside.

    Args:
        image, reference: [H, W, C] in [0, 1].

    Returns:
        A scalar, 1 for equal pictures; the mean over windows and channels.
    """
    if image.shape != reference.shape or min(image.shape[:2]) < SSIM_WINDOW:
        raise ValueError(
            f"ssim: image has shape {tuple(image.shape)}, reference {tuple(reference.shape)};"
            f" expected one shape of at least {SSIM_WINDOW} x {SSIM_WINDOW} pixels"
        )
    offsets = torch.arange(SSIM_WINDOW, dtype=torch.float64) - SSIM_WINDOW // 2
    weights = (-0.5 * (offsets / _SIGMA).square()).exp()
    weights = (weights / weights.sum()).to(image.device)
    x, y = (picture.movedim(-1, 0)[:, None].double() for picture in (image, reference))

    def blur(values: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(values, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))

    mean_x, mean_y = blur(x), blur(y)
    variance_x, variance_y = blur(x * x) - mean_x.square(), blur(y * y) - mean_y.square()
    covariance = blur(x * y) - mean_x * mean_y
    alike = (2.0 * mean_x * mean_y + _LUMINANCE) * (2.0 * covariance + _CONTRAST)
    scale = (mean_x.square() + mean_y.square() + _LUMINANCE) * (variance_x + variance_y + _CONTRAST)
    return (alike / scale).mean().float()


@lru_cache(maxsize=2)
def lpips_meter(device: str) -> tuple[Lpips | None, str]:
    """The learned perceptual distance (Zhang et al. 2018, VGG), where it can be had without a download.

    Returns:
        A function of two [H, W, 3] pictures in [0, 1], and ''; or None, and why it is not there and how to get it.
    """
    try:
        import lpips
    except ImportError:
        return None, "LPIPS is not measured: the package lpips is not installed (pip install lpips torchvision)"
    weights = Path(torch.hub.get_dir()) / "checkpoints" / _LPIPS_BACKBONE
    if not weights.is_file():
        return None, f"LPIPS is not measured: {weights} is missing; running lpips.LPIPS(net='vgg') once downloads it"
    network = lpips.LPIPS(net="vgg", verbose=False).to(device).eval()

    def measure(image: Tensor, reference: Tensor) -> float:
        pair = [picture.to(device).movedim(-1, 0)[None].float() for picture in (image, reference)]
        with torch.no_grad():
            return float(network(*pair, normalize=True))

    return measure, ""


def mean(values: list[float]) -> float | None:
    """The mean of figures measured view by view; None of none."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else None
