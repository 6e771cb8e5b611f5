"""Rendered images against photographs in plain torch, differentiable by autograd."""

from __future__ import annotations

import torch
from torch import Tensor


def photometric(rendered: Tensor, photographs: Tensor, index: Tensor, sizes: Tensor, background: Tensor) -> Tensor:
    """The four sums of `Engine.photometric`, in the inputs' precision.

    Args:
        rendered: [B, H, W, 4].
        photographs: [N, H, W, 4].
        index: [B] into the photographs.
        sizes: [N, 2] (height, width) of each photograph on the canvas.
        background: [B, H, W, 3] what the engine draws from its seed.

    Returns:
        [4] colour, absolute coverage, squared coverage, squared screen error.
    """
    found, size = photographs[index].to(rendered), sizes[index]
    rows = torch.arange(rendered.shape[1], device=rendered.device)[None, :, None]
    columns = torch.arange(rendered.shape[2], device=rendered.device)[None, None, :]
    valid = ((rows < size[:, 0, None, None]) & (columns < size[:, 1, None, None]))[..., None]
    rendered, found = torch.where(valid, rendered, 0.0), torch.where(valid, found, 0.0)
    mask = found[..., 3:]
    ours, theirs = (image[..., :3] + (1.0 - image[..., 3:]) * background for image in (rendered, found))
    color = (_encoded((ours * mask).clamp(min=0.0).log1p()) - _encoded((theirs * mask).log1p())).abs().sum()
    cover = rendered[..., 3:] - mask
    screen = _encoded(rendered[..., :3].clamp(0.0, 1.0)) - _encoded(found[..., :3].clamp(0.0, 1.0))
    return torch.stack((color, cover.abs().sum(), cover.square().sum(), screen.square().sum().detach()))


def _encoded(linear: Tensor) -> Tensor:
    """The sRGB curve (IEC 61966-2-1) of values >= 0."""
    power = 1.055 * linear.clamp(min=0.0031308).pow(1.0 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, linear * 12.92, power)
