"""Rendered images against photographs, all terms and their gradient in one pass each."""

from __future__ import annotations

from typing import Any

import torch
import warp as wp
from torch import Tensor

from backend.engines.builtin import checks
from backend.engines.builtin.kernels import photometric_kernels as kernels
from backend.engines.builtin.launch import Launcher
from backend.engines.checks import require

_KINDS: dict[torch.dtype, Any] = {torch.float16: wp.vec4h, torch.float32: wp.vec4}


def photometric(
    rendered: Tensor, photographs: Tensor, index: Tensor, sizes: Tensor, seed: Tensor, launch: Launcher
) -> Tensor:
    """What `Engine.photometric` describes.

    Args:
        rendered: [B, H, W, 4] float32.
        photographs: [N, H, W, 4] float16 or float32.
        index: [B] int64 into the photographs.
        sizes: [N, 2] int64 (height, width) of each photograph on the canvas.
        seed: [1] int32.
        launch: of the tensors' device.

    Returns:
        [4] sums over the photographs' pixels.

    Raises:
        ValueError: a shape, type or device is wrong; the message names what came and what was expected.
    """
    where = "photometric"
    require(f"{where}: rendered", rendered, (None, None, None, 4), launch.device, torch.float32)
    if photographs.dtype not in _KINDS:
        raise ValueError(f"{where}: photographs are {photographs.dtype}; expected torch.float16 or torch.float32")
    require(f"{where}: photographs", photographs, (None, *rendered.shape[1:]), launch.device, photographs.dtype)
    require(f"{where}: index", index, (rendered.shape[0],), launch.device, torch.int64)
    require(f"{where}: sizes", sizes, (photographs.shape[0], 2), launch.device, torch.int64)
    require(f"{where}: seed", seed, (1,), launch.device, torch.int32)
    checks.check_count(where, "pixels", rendered.numel() // 4)
    checks.check_indices(where, "index", index, 0, photographs.shape[0])
    return _Photometric.apply(rendered, photographs, index, sizes, seed, launch)


class _Photometric(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, rendered: Tensor, photographs: Tensor, index: Tensor, sizes: Tensor, seed: Tensor, launch: Launcher
    ) -> Tensor:
        rendered, photographs = rendered.contiguous(), photographs.contiguous()
        index, sizes = index.contiguous(), sizes.contiguous()
        terms = rendered.new_empty((rendered.numel() // 4, 4))
        launch.items(
            kernels.TERMS[_KINDS[photographs.dtype]],
            terms.shape[0],
            (*_inputs(rendered, photographs, index, sizes, seed, launch), launch.array(terms, wp.vec4)),
        )
        ctx.launch = launch
        ctx.save_for_backward(rendered, photographs, index, sizes, seed)
        return terms.sum(0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        launch: Launcher = ctx.launch
        rendered, photographs, index, sizes, seed = ctx.saved_tensors
        to_rendered = torch.empty_like(rendered)
        launch.items(
            kernels.ADJOINTS[_KINDS[photographs.dtype]],
            to_rendered.numel() // 4,
            (
                *_inputs(rendered, photographs, index, sizes, seed, launch),
                launch.array(gradients[0].contiguous(), wp.float32),
                launch.array(to_rendered.view(-1, 4), wp.vec4),
            ),
        )
        return to_rendered, None, None, None, None, None


def _inputs(
    rendered: Tensor, photographs: Tensor, index: Tensor, sizes: Tensor, seed: Tensor, launch: Launcher
) -> tuple[Any, ...]:
    """What both kernels read, in their order."""
    height, width = rendered.shape[1:3]
    return (
        launch.array(rendered.view(-1, 4), wp.vec4),
        launch.array(photographs.view(-1, height * width, 4), _KINDS[photographs.dtype]),
        launch.array(index, wp.int64),
        launch.array(sizes, wp.int64),
        launch.array(seed, wp.int32),
        width,
    )
