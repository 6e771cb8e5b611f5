"""The 2D mip texture of the built-in engine: trilinear look-ups with adjoints written by hand."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import warp as wp
from torch import Tensor
from torch.autograd.function import once_differentiable

from backend.engines.builtin.kernels import texture_kernels
from backend.engines.builtin.launch import Launcher
from backend.engines.checks import require


def texture_2d(texture: Tensor, uv: Tensor, level: Tensor | None, wrap: bool, launch: Launcher) -> Tensor:
    """Look a texture up.

    Args:
        texture: [H, W, C] float32, any sizes, at least one texel.
        uv: [N, 2] float32, u to the right and v down, [0, 1] over the texture; texel centres at half texels.
        level: [N] float32 mip level, 0 the texture itself, bounded to the chain; None reads the texture and makes no chain. Each level
            halves the one before, rounded down, by exact box averages, until one texel is left.
        wrap: repeat beyond [0, 1], else clamp.
        launch: runs the kernels; all tensors lie on its device.

    Returns:
        [N, C]. Gradients reach texture (through the mips too), uv and level.

    Raises:
        ValueError: a tensor's shape, type or device is not as above.
    """
    require("texture_2d: texture", texture, (None, None, None), launch.device, torch.float32)
    require("texture_2d: uv", uv, (None, 2), launch.device, torch.float32)
    if not texture.numel():
        raise ValueError(f"texture_2d: texture is {list(texture.shape)}; expected at least one texel and channel")
    height, width = texture.shape[:2]
    sizes = [(width, height)]
    if level is None:
        level = uv.new_zeros(uv.shape[0])
    else:
        require("texture_2d: level", level, (uv.shape[0],), launch.device, torch.float32)
        while max(sizes[-1]) > 1:
            width, height = max(1, width // 2), max(1, height // 2)
            sizes.append((width, height))
    offsets = [sum(w * h for w, h in sizes[1:index]) for index in range(len(sizes))]  # the first is the texture itself
    rows = tuple((offset, *size) for offset, size in zip(offsets, sizes, strict=True))
    return _Texture.apply(texture, uv, level, rows, wrap, launch)


@lru_cache(maxsize=256)
def level_table(rows: tuple[tuple[int, ...], ...], device: torch.device) -> Tensor:
    """[L, 3] int32 of (offset, width, height), not to be written to.

    Kept by shape, so that a look-up copies nothing to the device and can be captured in a CUDA graph.
    """
    return torch.tensor(rows, dtype=torch.int32, device=device)


def scatter_jobs(launch: Launcher, items: int, arguments: tuple[Any, ...]) -> list[tuple[int, tuple[Any, ...]]]:
    """Jobs of a kernel that adds items to texels: on the CPU a few owners go over all items, and each adds to its own texels alone.

    A texel sums its items in their order whatever the number of owners, so results do not depend on the threads, and no private copies
    of a large texture are needed.
    """
    owners = min(launch.threads, 8) if launch.on_cpu and items > 2048 else 1
    return [(items, (owner, owners, *arguments)) for owner in range(owners)] if items else []


class _Texture(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        texture: Tensor,
        uv: Tensor,
        level: Tensor,
        rows: tuple[tuple[int, int, int], ...],
        wrap: bool,
        launch: Launcher,
    ) -> Tensor:
        uv, level = uv.contiguous(), level.contiguous()
        texels = texture.detach().contiguous().view(-1, texture.shape[2])
        coarse = _coarse(texels, rows, launch)
        values = texels.new_empty(uv.shape[0], texels.shape[1])
        lookup = _lookup_arguments(launch, rows, uv, level, wrap)
        read = (launch.array(texels, wp.float32), launch.array(coarse, wp.float32))
        launch.items(texture_kernels.texture_values, uv.shape[0], (*read, *lookup, launch.array(values, wp.float32)))
        ctx.save_for_backward(texels, coarse, uv, level)
        ctx.shape, ctx.rows, ctx.wrap, ctx.launch = texture.shape, rows, wrap, launch
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output_gradient: Tensor) -> tuple[Tensor | None, ...]:
        texels, coarse, uv, level = ctx.saved_tensors
        launch: Launcher = ctx.launch
        output_gradient = output_gradient.contiguous()
        given = launch.array(output_gradient, wp.float32)
        lookup = _lookup_arguments(launch, ctx.rows, uv, level, ctx.wrap)
        texture_gradient = uv_gradient = level_gradient = None
        if ctx.needs_input_grad[0]:
            fine_gradient, coarse_gradient = torch.zeros_like(texels), torch.zeros_like(coarse)
            written = tuple(launch.array(part.view(-1), wp.float32) for part in (fine_gradient, coarse_gradient))
            arguments = (*lookup, given, *written)
            launch.run(texture_kernels.texture_texel_gradients, scatter_jobs(launch, uv.shape[0], arguments))
            _carry_down(fine_gradient, coarse_gradient, ctx.rows, launch)
            texture_gradient = fine_gradient.view(ctx.shape)
        if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
            uv_gradient, level_gradient = torch.empty_like(uv), torch.empty_like(level)
            outputs = (launch.array(uv_gradient, wp.vec2), launch.array(level_gradient, wp.float32))
            read = (launch.array(texels, wp.float32), launch.array(coarse, wp.float32))
            arguments = (*read, *lookup, given, *outputs)
            launch.items(texture_kernels.texture_lookup_gradients, uv.shape[0], arguments)
        return texture_gradient, uv_gradient, level_gradient, None, None, None


def _coarse(texels: Tensor, rows: tuple[tuple[int, int, int], ...], launch: Launcher) -> Tensor:
    """The levels after the first behind one another: [S, C]. The first is left where it is, which of a large texture is most of all."""
    last, width, height = rows[-1] if len(rows) > 1 else (0, 0, 0)
    coarse = texels.new_empty(last + width * height, texels.shape[1])
    levels, halved = launch.array(level_table(rows, texels.device), wp.int32), launch.array(coarse, wp.float32)
    for fine, (_, width, height) in enumerate(rows[1:]):
        above = launch.array(texels, wp.float32) if fine == 0 else halved
        launch.items(texture_kernels.halve_level, width * height, (fine, levels, above, halved))
    return coarse


def _carry_down(
    fine_gradient: Tensor, coarse_gradient: Tensor, rows: tuple[tuple[int, int, int], ...], launch: Launcher
) -> None:
    """Carry the coarse levels' gradients down to the first, in place."""
    levels = launch.array(level_table(rows, fine_gradient.device), wp.int32)
    halved = launch.array(coarse_gradient, wp.float32)
    for fine in reversed(range(len(rows) - 1)):
        _, width, height = rows[fine]
        above = launch.array(fine_gradient, wp.float32) if fine == 0 else halved
        launch.items(texture_kernels.halve_level_gradient, width * height, (fine, levels, above, halved))


def _lookup_arguments(
    launch: Launcher, rows: tuple[tuple[int, int, int], ...], uv: Tensor, level: Tensor, wrap: bool
) -> tuple[Any, ...]:
    levels = level_table(rows, uv.device)
    return launch.array(levels, wp.int32), launch.array(uv, wp.vec2), launch.array(level, wp.float32), int(wrap)
