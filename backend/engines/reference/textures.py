"""The plain-torch oracle of the 2D mip texture: any float type, gradients by autograd, slow."""

from __future__ import annotations

import torch
from torch import Tensor


def texture_2d(texture: Tensor, uv: Tensor, level: Tensor | None = None, wrap: bool = False) -> Tensor:
    """texture [H, W, C], uv [N, 2] (v down), level [N] -> [N, C]; as `Engine.texture_2d`."""
    if level is None:
        return _bilinear(texture, uv, wrap)
    chain = [texture]
    while max(chain[-1].shape[:2]) > 1:
        chain.append(_box_half(chain[-1]))
    values = torch.stack([_bilinear(image, uv, wrap) for image in chain])
    return blend_levels(values, level)


def blend_levels(values: Tensor, level: Tensor) -> Tensor:
    """values [L, N, C] read from each level, level [N] -> [N, C], linear between the two levels about `level`."""
    last = values.shape[0] - 1
    bounded = level.clamp(0, last)
    fine = bounded.detach().floor().long()
    fraction = (bounded - fine)[:, None]
    item = torch.arange(level.shape[0], device=level.device)
    return values[fine, item] * (1 - fraction) + values[(fine + 1).clamp(max=last), item] * fraction


def _box_half(image: Tensor) -> Tensor:
    """Both axes halved (rounded down, 1 stays) by the exact average over each new texel's box."""
    rows, columns = (_box_matrix(size, image) for size in image.shape[:2])
    return torch.einsum("ah,bw,hwc->abc", rows, columns, image)


def _box_matrix(size: int, like: Tensor) -> Tensor:
    """[max(1, size // 2), size]: the share of each old interval in each new one."""
    half = max(1, size // 2)
    edges = torch.arange(half + 1, dtype=like.dtype, device=like.device) * (size / half)
    old = torch.arange(size, dtype=like.dtype, device=like.device)
    overlap = torch.minimum(edges[1:, None], old + 1) - torch.maximum(edges[:-1, None], old)
    return overlap.clamp(min=0) * (half / size)


def _bilinear(image: Tensor, uv: Tensor, wrap: bool) -> Tensor:
    height, width = image.shape[:2]
    place = uv * torch.tensor([width, height], dtype=uv.dtype, device=uv.device) - 0.5
    corner = place.detach().floor()
    fx, fy = (place - corner).split(1, dim=1)
    x, y = corner.long().unbind(1)

    def texel(column: Tensor, row: Tensor) -> Tensor:
        if wrap:
            return image[row % height, column % width]
        return image[row.clamp(0, height - 1), column.clamp(0, width - 1)]

    upper = texel(x, y) * (1 - fx) + texel(x + 1, y) * fx
    lower = texel(x, y + 1) * (1 - fx) + texel(x + 1, y + 1) * fx
    return upper * (1 - fy) + lower * fy
