"""Interpolation of corner values in plain torch, differentiable by autograd."""

from __future__ import annotations

import torch
from torch import Tensor


def interpolate(attributes: Tensor, faces: Tensor, barycentric: Tensor, triangle: Tensor) -> Tensor:
    """u a0 + v a1 + (1 - u - v) a2 in the inputs' precision.

    Args:
        attributes: [V, C].
        faces: [T, 3].
        barycentric: [..., 4] u, v first.
        triangle: [...], -1 where none.

    Returns:
        [..., C], zeros where `triangle` is -1.
    """
    corners = attributes[faces.long()[triangle.clamp(min=0).long()]]  # [..., 3, C]
    u, v = barycentric[..., 0], barycentric[..., 1]
    weights = torch.stack((u, v, 1.0 - u - v), -1)
    return torch.where((triangle >= 0)[..., None], (weights[..., None] * corners).sum(-2), 0.0)
