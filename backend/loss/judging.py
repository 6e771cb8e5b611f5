"""How near a render is to its photograph, in every figure that is reported."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from backend.loss.metrics import SSIM_WINDOW, Lpips, encode_over_white, mean, psnr, ssim

COLUMNS = (  # a figure's name, its heading, digits that are shown
    ("psnr", "PSNR, dB", 2),
    ("psnr_mask", "PSNR in the mask, dB", 2),
    ("psnr_exposed", "PSNR with its own gain, dB", 2),
    ("ssim", "SSIM", 4),
    ("lpips", "LPIPS", 4),
)
_SATURATED = 0.985  # linear: what a photograph clipped says nothing of the gain
_MOST_GAIN = math.e  # either way


@dataclass(frozen=True)
class Figures:
    """One view's figures; None where not measured.

    Attributes:
        psnr: dB, over the whole picture, sRGB-encoded over white.
        psnr_mask: the same over the pixels of the photograph's mask alone: a white surround flatters a small object.
        psnr_exposed: dB over the whole picture once the render has the photograph's own exposure and white balance. For a held-out
            photograph these three numbers are taken from the photograph itself.
        ssim: structural similarity; lpips: perceptual distance.
    """

    psnr: float
    psnr_mask: float | None = None
    psnr_exposed: float | None = None
    ssim: float | None = None
    lpips: float | None = None


def judge(image: Tensor, photo: Tensor, lpips: Lpips | None = None, gains: Tensor | None = None) -> Figures:
    """Hold a render against its photograph.

    Args:
        image, photo: [H, W, 4] linear colour times alpha.
        lpips: perceptual distance of two [H, W, 3] pictures, or None to leave it out.
        gains: [3] what the photograph's exposure multiplies the render by, or None where exposure is not spoken of.
    """
    ours, theirs = encode_over_white(image), encode_over_white(photo)
    mask = photo[..., 3:] > 0.5
    exposed = None if gains is None else encode_over_white(image * torch.cat([gains, gains.new_ones(1)]))
    return Figures(
        psnr=float(psnr(ours, theirs)),
        psnr_mask=float(psnr(ours, theirs, mask)) if bool(mask.any()) else None,
        psnr_exposed=None if exposed is None else float(psnr(exposed, theirs)),
        ssim=float(ssim(ours, theirs)) if min(photo.shape[:2]) >= SSIM_WINDOW else None,
        lpips=None if lpips is None else lpips(ours, theirs),
    )


def best_gains(image: Tensor, photo: Tensor) -> Tensor:
    """The gains that bring a render nearest to its photograph: least squares of the straight linear colours where both show the object.

    Args:
        image, photo: [H, W, 4] linear colour times alpha.

    Returns:
        [3], within a factor of e either way; 1 in a channel where both show nothing in common. Pixels that the photograph clipped are left
        out.
    """
    both = (image[..., 3:] > 0.5) & (photo[..., 3:] > 0.5)
    ours, theirs = (picture[..., :3] / picture[..., 3:].clamp_min(1e-6) for picture in (image, photo))
    counted = (both & (theirs < _SATURATED)).double()
    product, square = ((ours * other * counted).flatten(0, 1).sum(0) for other in (theirs, ours))
    gains = torch.where(square > 1e-9, product / square.clamp_min(1e-9), 1.0)
    return gains.clamp(1.0 / _MOST_GAIN, _MOST_GAIN).to(image)


def means(figures: Sequence[Figures]) -> dict[str, float | None]:
    """Each figure's mean over the views where it was measured; None where it was in none."""
    rows = [asdict(one) for one in figures]
    return {name: mean([row[name] for row in rows if row[name] is not None]) for name, _, _ in COLUMNS}
