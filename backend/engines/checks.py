"""Refusals the engines share: each says which argument, what came and what was expected."""

from __future__ import annotations

import torch
from torch import Tensor


def require(name: str, tensor: Tensor, shape: tuple[int | None, ...], device: torch.device, dtype: torch.dtype) -> None:
    """Refuse a tensor of another shape (None: any number), type or device.

    Raises:
        ValueError: with the argument's name, what came and what was expected.
    """
    fits = tensor.dim() == len(shape) and all(want is None or want == got for want, got in zip(shape, tensor.shape))
    if not fits or tensor.dtype != dtype or tensor.device != device:
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise ValueError(
            f"{name} is {list(tensor.shape)} {tensor.dtype} on {tensor.device}; expected [{wanted}] {dtype} on {device}"
        )
