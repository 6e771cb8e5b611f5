"""Terms that look at the materials and the light alone, never at a photograph."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.material.channels import MaterialSample


def material_smoothness(here: MaterialSample, near: MaterialSample) -> tuple[Tensor, Tensor]:
    """Mean absolute difference of the material at points and at jittered ones.

    Returns:
        Two scalars: of base colour, and of roughness and metallic together. Gradients reach both samples.
    """
    color = (here.base_color - near.base_color).abs().mean()
    surface = (here.roughness - near.roughness).abs().mean() + (here.metallic - near.metallic).abs().mean()
    return color, surface


def total_variation(texture: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring texels, texture [H, W, C]. Gradients reach it."""
    rows = (texture[1:] - texture[:-1]).abs().mean()
    columns = (texture[:, 1:] - texture[:, :-1]).abs().mean()
    return rows + columns


def light_whiteness(texels: Tensor) -> Tensor:
    """Mean absolute difference of radiance [..., 3] from its own grey: a coloured light has to pay for its colour."""
    return (texels - texels.mean(-1, keepdim=True)).abs().mean()


def normal_uprightness(normal: Tensor) -> Tensor:
    """Mean of 1 - z of tangent-space normals [N, 3]: a normal map has to pay for its tilt."""
    return (1.0 - normal[..., 2]).mean()


def gain_mean(log_gains: Tensor) -> Tensor:
    """Square of the mean of per-image log gains [N, 3]: holds the overall brightness where it is."""
    return log_gains.mean(0).square().sum() if log_gains.numel() else torch.zeros((), device=log_gains.device)
