"""Image files -> tensors of linear Rec.709 values. Whatever the file holds, what leaves this module is float32 with row 0 at the top."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from backend.dataset import pixels
from backend.dataset.picture_file import Picture, read_picture


def read_image(path: Path) -> Tensor:
    """An image as light, [H, W, 4] float32: see `pixels.light_of`. A picture with an EXIF orientation is turned upright."""
    return light_of(read_picture(path).upright())


def light_of(picture: Picture) -> Tensor:
    """`pixels.light_of` as a tensor."""
    return torch.from_numpy(pixels.light_of(picture))


def read_mask(path: Path) -> Tensor:
    """A mask, [H, W] float32 in [0, 1]: see `pixels.coverage_of`. Turned upright as `read_image` does."""
    return torch.from_numpy(pixels.coverage_of(read_picture(path).upright()))


def srgb_to_linear(encoded: Tensor) -> Tensor:
    """sRGB-encoded values in [0, 1] -> linear, by the exact piecewise curve (IEC 61966-2-1)."""
    return torch.where(encoded <= 0.04045, encoded / 12.92, ((encoded.clamp(min=0.04045) + 0.055) / 1.055).pow(2.4))


def resize_area(image: Tensor, size: tuple[int, int]) -> Tensor:
    """`pixels.resize_area` of a tensor on the CPU."""
    return torch.from_numpy(pixels.resize_area(image.numpy(), size))
