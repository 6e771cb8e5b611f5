"""Between images and the compact list of their covered pixels, without torch's own gradient of a look-up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def per_pixel(values: Tensor, index: Tensor, shape: Sequence[int]) -> Tensor:
    """What B cameras have, [B, C], for each of M pixels of their images -> [M, C].

    Args:
        values: a row a camera.
        index: [M] int64 into the flattened images, as in `Pixels`.
        shape: (L * B, H, W) of the images, L layers of B.

    Returns:
        The rows. Where gradients reach the values they are summed over whole images, in the same order each time, and blank rows are zeros.
    """
    count, each = shape[0], shape[1] * shape[2]
    if not values.requires_grad:
        return values[index // each % values.shape[0]]
    spread_out = values.repeat(count // values.shape[0], 1)[:, None].expand(-1, each, -1)
    return gather(spread_out.reshape(count * each, -1), index)


def gather(image: Tensor, index: Tensor) -> Tensor:
    """Rows of image [P, C] at index [M], each at most once, zeros where the index is P -> [M, C]. Gradients reach the image."""
    return _Gather.apply(image, index)


def spread(rows: Tensor, index: Tensor, count: int) -> Tensor:
    """The inverse of `gather`: rows [M, C] at their places in [count, C], zeros elsewhere. Gradients reach the rows."""
    return _Spread.apply(rows, index, count)


# Torch's own gradient of a row look-up adds, row by row, since an index may come twice; none does here but that of the blank rows.


def _rows_at(image: Tensor, index: Tensor) -> Tensor:
    return torch.where((index < image.shape[0])[:, None], image[index.clamp(max=image.shape[0] - 1)], 0.0)


def _at_rows(rows: Tensor, index: Tensor, count: int) -> Tensor:
    image = rows.new_zeros(count + 1, rows.shape[1])  # the last row takes what the blank rows hold
    image[index] = rows
    return image[:count]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, index: Tensor) -> Tensor:
        ctx.count = image.shape[0]
        ctx.save_for_backward(index)
        return _rows_at(image, index)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _at_rows(gradients[0], ctx.saved_tensors[0], ctx.count), None


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, index: Tensor, count: int) -> Tensor:
        ctx.save_for_backward(index)
        return _at_rows(rows, index, count)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _rows_at(gradients[0], ctx.saved_tensors[0]), None, None
