from __future__ import annotations

import torch
from torch import Tensor


def encode_srgb(linear: Tensor) -> Tensor:
    """The sRGB curve (IEC 61966-2-1) on values >= 0, of any shape; above 1 it goes on by its power law.

    The gradient is finite everywhere, zero included.
    """
    low = linear * 12.92
    high = 1.055 * linear.clamp(min=0.0031308).pow(1.0 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, low, high)


def tonemap(linear: Tensor) -> Tensor:
    """sRGB-encoded log(1 + x) of linear radiance: highlights weigh less, shadows as much as the eye sees."""
    return encode_srgb(torch.log1p(linear.clamp(min=0.0)))


def over_background(image: Tensor, background: Tensor) -> Tensor:
    """Premultiplied [..., 4] over a background [..., 3] -> [..., 3]."""
    return image[..., :3] + (1.0 - image[..., 3:]) * background


def color_loss(rendered: Tensor, reference: Tensor, background: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute difference of the tone-mapped colours, inside the reference mask.

    Both are laid over the same background (fresh random colour a pixel in training), so that wrong coverage costs colour too.

    Args:
        rendered: [B, H, W, 4] linear, premultiplied.
        reference: [B, H, W, 4] likewise.
        background: [B, H, W, 3] linear.
        valid: [B, H, W, 1] bool, pixels that belong to a photograph.

    Returns:
        Scalar; gradients reach `rendered`.
    """
    mask = reference[..., 3:] * valid
    ours = tonemap(over_background(rendered, background) * mask)
    theirs = tonemap(over_background(reference, background) * mask)
    return (ours - theirs).abs().sum() / (3.0 * valid.sum().clamp(min=1))


def psnr_of(rendered: Tensor, reference: Tensor, valid: Tensor) -> Tensor:
    """PSNR (dB) of a step's own views over black, sRGB-encoded and clamped to [0, 1]: for progress, no gradient.

    [B, H, W, 4] premultiplied images, valid [B, H, W, 1] bool -> scalar tensor (no host synchronisation).
    """
    with torch.no_grad():
        difference = encode_srgb(rendered[..., :3].clamp(0.0, 1.0)) - encode_srgb(reference[..., :3].clamp(0.0, 1.0))
        squared = (difference * valid).square().sum() / (3.0 * valid.sum().clamp(min=1))
        return -10.0 * torch.log10(squared.clamp(min=1e-10))
