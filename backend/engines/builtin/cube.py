"""The cube texture of the built-in engine: seamless, linear between levels, adjoints written by hand."""

from __future__ import annotations

from typing import Any

import torch
import warp as wp
from torch import Tensor
from torch.autograd.function import once_differentiable

from backend.engines.builtin.kernels import cube_kernels
from backend.engines.builtin.launch import Launcher
from backend.engines.builtin.textures import level_table, scatter_jobs
from backend.engines.checks import require


def texture_cube(levels: tuple[Tensor, ...], directions: Tensor, level: Tensor, launch: Launcher) -> Tensor:
    """Look a cube texture up.

    Args:
        levels: one or more of [6, n, n, C] float32, fine to coarse, any sizes; faces +X -X +Y -Y +Z -Z, OpenGL's (s, t), row 0 at t = -1.
        directions: [N, 3] float32 of any length but 0.
        level: [N] float32, 0 the first of `levels`, bounded to the last.
        launch: runs the kernels; all tensors lie on its device.

    Returns:
        [N, C], continuous over edges and corners. Gradients reach levels, directions and level.

    Raises:
        ValueError: a tensor's shape, type or device is not as above.
    """
    if not levels:
        raise ValueError("texture_cube: levels is empty; expected one or more tensors [6, n, n, C]")
    rows = []
    offset = 0
    for index, image in enumerate(levels):
        size = image.shape[1] if image.dim() == 4 else None
        name = f"texture_cube: levels[{index}]"
        require(name, image, (6, size, size, levels[0].shape[-1]), launch.device, torch.float32)
        if not image.numel():
            raise ValueError(f"{name} is {list(image.shape)}; expected at least one texel and channel")
        rows.append((offset, image.shape[1], image.shape[1]))
        offset += 6 * image.shape[1] ** 2
    require("texture_cube: directions", directions, (None, 3), launch.device, torch.float32)
    require("texture_cube: level", level, (directions.shape[0],), launch.device, torch.float32)
    texels = torch.cat([image.flatten(0, 2) for image in levels])
    return _Cube.apply(texels, directions, level, level_table(tuple(rows), launch.device), launch)


class _Cube(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, texels: Tensor, directions: Tensor, level: Tensor, levels: Tensor, launch: Launcher
    ) -> Tensor:
        directions, level = directions.contiguous(), level.contiguous()
        values = texels.new_empty(directions.shape[0], texels.shape[1])
        lookup = _lookup_arguments(launch, levels, directions, level)
        launch.items(
            cube_kernels.cube_values,
            directions.shape[0],
            (launch.array(texels, wp.float32), *lookup, launch.array(values, wp.float32)),
        )
        ctx.save_for_backward(texels, directions, level, levels)
        ctx.launch = launch
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output_gradient: Tensor) -> tuple[Tensor | None, ...]:
        texels, directions, level, levels = ctx.saved_tensors
        launch: Launcher = ctx.launch
        output_gradient = output_gradient.contiguous()
        given = launch.array(output_gradient, wp.float32)
        lookup = _lookup_arguments(launch, levels, directions, level)
        texel_gradient = direction_gradient = level_gradient = None
        if ctx.needs_input_grad[0]:
            texel_gradient = torch.zeros_like(texels)
            arguments = (*lookup, given, launch.array(texel_gradient.view(-1), wp.float32))
            launch.run(cube_kernels.cube_texel_gradients, scatter_jobs(launch, directions.shape[0], arguments))
        if ctx.needs_input_grad[1] or ctx.needs_input_grad[2]:
            direction_gradient, level_gradient = torch.empty_like(directions), torch.empty_like(level)
            outputs = (launch.array(direction_gradient, wp.vec3), launch.array(level_gradient, wp.float32))
            launch.items(
                cube_kernels.cube_lookup_gradients,
                directions.shape[0],
                (launch.array(texels, wp.float32), *lookup, given, *outputs),
            )
        return texel_gradient, direction_gradient, level_gradient, None, None


def _lookup_arguments(launch: Launcher, levels: Tensor, directions: Tensor, level: Tensor) -> tuple[Any, ...]:
    return launch.array(levels, wp.int32), launch.array(directions, wp.vec3), launch.array(level, wp.float32)
