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
        level: [N] float32 mip level, 0 the texture itself, bounded to the chain; None reads the texture and makes no chain.
        wrap: repeat beyond [0, 1], else clamp.
        launch: runs the kernels; all tensors lie on its device.

    Returns:
        [N, C]. Gradients reach texture (through the mips too), uv and level.

    Raises:
        ValueError: a tensor's shape, type or device is not as above.
    """
    require("texture", texture, (None, None, None), launch.device, torch.float32)
    require("uv", uv, (None, 2), launch.device, torch.float32)
    if not texture.numel():
        raise ValueError(f"texture is {list(texture.shape)}; expected at least one texel and channel")
    if level is None:
        chain = [texture]
        level = torch.zeros(uv.shape[0], device=uv.device)
    else:
        require("level", level, (uv.shape[0],), launch.device, torch.float32)
        chain = mip_chain(texture)
    texels, levels = flatten_levels(
        [image.flatten(0, 1) for image in chain], [(image.shape[0], image.shape[1]) for image in chain]
    )
    return _Texture.apply(texels, uv, level, levels, wrap, launch)


def mip_chain(texture: Tensor) -> list[Tensor]:
    """[H, W, C] -> the texture and its halves down to one texel, each the exact box average over the one before."""
    chain = [texture]
    while max(chain[-1].shape[:2]) > 1:
        chain.append(_halve(_halve(chain[-1], 0), 1))
    return chain


def _halve(image: Tensor, axis: int) -> Tensor:
    """Half as many texels along an axis, rounded down; with an odd number each covers 2 + 1/m of them, in part with its neighbours."""
    count = image.shape[axis]
    if count == 1:
        return image
    half = count // 2
    first, second = (
        image.narrow(axis, 0, count - count % 2).unflatten(axis, (half, 2)).select(axis + 1, k) for k in (0, 1)
    )
    if count % 2 == 0:
        return (first + second) * 0.5
    place = torch.arange(half, device=image.device, dtype=image.dtype).view([-1 if i == axis else 1 for i in range(3)])
    third = image.narrow(axis, 2, count - 2)[(slice(None),) * axis + (slice(None, None, 2),)]
    return (first * (half - place) + second * half + third * (place + 1.0)) / count


def flatten_levels(images: list[Tensor], sizes: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """Levels of [texels, C], each of some number of images of (height, width) below one another, put behind one another.

    Returns:
        texels [S, C], contiguous, and levels [L, 3] int32 (offset, width, height) on the texels' device.
    """
    texels = images[0].contiguous() if len(images) == 1 else torch.cat(images)
    counts = tuple(image.shape[0] for image in images)
    return texels, _level_table(counts, tuple(sizes), texels.device)


@lru_cache(maxsize=256)
def _level_table(counts: tuple[int, ...], sizes: tuple[tuple[int, int], ...], device: torch.device) -> Tensor:
    """Kept by shape, so that a look-up copies nothing to the device and can be captured in a CUDA graph. Not to be written to."""
    offsets = [sum(counts[:index]) for index in range(len(counts))]
    rows = [(offset, width, height) for offset, (height, width) in zip(offsets, sizes, strict=True)]
    return torch.tensor(rows, dtype=torch.int32, device=device)


def owners_jobs(launch: Launcher, items: int, arguments: tuple[Any, ...]) -> list[tuple[int, tuple[Any, ...]]]:
    """Jobs of a scattering kernel: on the CPU a few owners go over all items and each adds to the texels that are its own.

    A texel sums its items in their order whatever the number of owners, so results do not depend on the threads.
    """
    owners = min(launch.threads, 8) if launch.on_cpu and items > 2048 else 1
    return [(items, (owner, owners, *arguments)) for owner in range(owners)] if items else []


class _Texture(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, texels: Tensor, uv: Tensor, level: Tensor, levels: Tensor, wrap: bool, launch: Launcher
    ) -> Tensor:
        uv, level = uv.contiguous(), level.contiguous()
        values = texels.new_empty(uv.shape[0], texels.shape[1])
        lookup = _lookup_arguments(launch, levels, uv, level, wrap)
        launch.items(
            texture_kernels.texture_values,
            uv.shape[0],
            (launch.array(texels, wp.float32), *lookup, launch.array(values, wp.float32)),
        )
        ctx.save_for_backward(texels, uv, level, levels)
        ctx.wrap, ctx.launch = wrap, launch
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output_gradient: Tensor) -> tuple[Tensor | None, ...]:
        texels, uv, level, levels = ctx.saved_tensors
        launch: Launcher = ctx.launch
        output_gradient = output_gradient.contiguous()
        given = launch.array(output_gradient, wp.float32)
        lookup = _lookup_arguments(launch, levels, uv, level, ctx.wrap)
        texel_gradient = uv_gradient = level_gradient = None
        if ctx.needs_input_grad[0]:
            texel_gradient = torch.zeros_like(texels)
            arguments = (*lookup, given, launch.array(texel_gradient, wp.float32))
            launch.run(texture_kernels.texture_texel_gradients, owners_jobs(launch, uv.shape[0], arguments))
        if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
            uv_gradient, level_gradient = torch.empty_like(uv), torch.empty_like(level)
            outputs = (launch.array(uv_gradient, wp.vec2), launch.array(level_gradient, wp.float32))
            launch.items(
                texture_kernels.texture_lookup_gradients,
                uv.shape[0],
                (launch.array(texels, wp.float32), *lookup, given, *outputs),
            )
        return texel_gradient, uv_gradient, level_gradient, None, None, None


def _lookup_arguments(launch: Launcher, levels: Tensor, uv: Tensor, level: Tensor, wrap: bool) -> tuple[Any, ...]:
    return (
        launch.array(levels, wp.int32),
        launch.array(uv, wp.vec2),
        launch.array(level, wp.float32),
        int(wrap),
    )
