from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.dataset.views import Views
from backend.engines.interface import Engine


@dataclass(frozen=True)
class Photometric:
    """How far rendered images are from the photographs; scalars, each a mean over the photographs' pixels (and channels).

    Attributes:
        color: absolute difference of the tone-mapped colours inside the photograph's mask, both over the same random background, so
            that wrong coverage costs colour too. Tone mapping is the sRGB curve of log(1 + x): highlights weigh less, shadows as much as
            the eye sees.
        mask_absolute, mask_squared: absolute and squared difference of coverage.
        pixels: how many the photographs have, as int64: what the means are over.
        psnr: dB, sRGB-encoded over black and clamped to [0, 1]: for progress. No gradient.
    """

    color: Tensor
    mask_absolute: Tensor
    mask_squared: Tensor
    pixels: Tensor
    psnr: Tensor


def photometric(engine: Engine, rendered: Tensor, views: Views, index: Tensor, seed: Tensor) -> Photometric:
    """Compare B rendered images with the photographs they stand for.

    Args:
        engine: who compares.
        rendered: [B, H, W, 4] linear, premultiplied.
        views: N photographs on the same canvas.
        index: [B] int64 which photographs.
        seed: [1] int32, of this step's random background.

    Returns:
        The terms; gradients reach `rendered`. Nothing waits for the device.
    """
    sizes = views.cameras.sizes
    sums = engine.photometric(rendered, views.images, index, sizes, seed)
    pixels = sizes.index_select(0, index).prod(1).sum()
    color, absolute, squared, error = (sums / pixels.clamp(min=1)).unbind()
    with torch.no_grad():
        psnr = -10.0 * torch.log10((error / 3.0).clamp(min=1e-10))
    return Photometric(color / 3.0, absolute, squared, pixels, psnr)
