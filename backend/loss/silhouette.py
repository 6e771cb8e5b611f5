from __future__ import annotations

from torch import Tensor


def mask_squared(rendered: Tensor, reference: Tensor, valid: Tensor) -> Tensor:
    """Mean squared difference of coverage. [B, H, W, 4] images, valid [B, H, W, 1] bool; gradients reach `rendered`."""
    return ((rendered[..., 3:] - reference[..., 3:]) * valid).square().sum() / valid.sum().clamp(min=1)


def mask_absolute(rendered: Tensor, reference: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute difference of coverage. [B, H, W, 4] images, valid [B, H, W, 1] bool; gradients reach `rendered`."""
    return ((rendered[..., 3:] - reference[..., 3:]) * valid).abs().sum() / valid.sum().clamp(min=1)
