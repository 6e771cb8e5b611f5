"""The hash grid encoding of the built-in engine, with adjoints written by hand."""

from __future__ import annotations

from typing import Any

import torch
import warp as wp
from torch import Tensor
from torch.autograd.function import once_differentiable

from backend.engines.builtin.kernels import hash_kernels
from backend.engines.builtin.launch import Launcher
from backend.engines.checks import require
from backend.engines.hash_layout import FEATURES, HashLayout


def hash_encode(points: Tensor, table: Tensor, layout: HashLayout, launch: Launcher) -> Tensor:
    """Encode points by a multi-resolution hash grid (Mueller et al. 2022).

    Args:
        points: [N, 3] float32 in [0, 1]; beyond, cells repeat in no useful way but nothing breaks.
        table: [layout.entries, 2] float32.
        layout: where the levels lie.
        launch: runs the kernels; all tensors lie on its device.

    Returns:
        [N, 2 * levels], coarse to fine. Gradients reach points and table.

    Raises:
        ValueError: a tensor's shape, type or device is not as above.
    """
    require("hash_encode: points", points, (None, 3), launch.device, torch.float32)
    require("hash_encode: table", table, (layout.entries, FEATURES), launch.device, torch.float32)
    return _Hash.apply(points, table, layout, launch)


class _Hash(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, points: Tensor, table: Tensor, layout: HashLayout, launch: Launcher) -> Tensor:
        points, table = points.contiguous(), _aligned(table.contiguous())
        count, depth = points.shape[0], len(layout.levels)
        values = points.new_empty(count, depth, FEATURES)
        arguments = (
            launch.array(points, wp.vec3),
            launch.array(table, wp.vec2),
            *_layout_arguments(launch, layout),
            launch.array(values, wp.vec2),
        )
        launch.items(hash_kernels.hash_values, count, arguments, axes=(depth,))
        ctx.save_for_backward(points, table)
        ctx.layout, ctx.launch = layout, launch
        return values.view(count, depth * FEATURES)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, output_gradient: Tensor) -> tuple[Tensor | None, ...]:
        points, table = ctx.saved_tensors
        launch: Launcher = ctx.launch
        count, depth = points.shape[0], len(ctx.layout.levels)
        output_gradient = output_gradient.contiguous().view(count, depth, FEATURES)
        given = launch.array(output_gradient, wp.vec2)
        where = launch.array(points, wp.vec3)
        grid = _layout_arguments(launch, ctx.layout)
        point_gradient = table_gradient = None
        arguments: tuple[Any, ...]
        if ctx.needs_input_grad[1]:
            table_gradient = torch.zeros_like(table)
            arguments = (where, *grid, given, launch.array(table_gradient, wp.vec2))
            if launch.on_cpu:  # levels own disjoint rows; the finest, whose rows are scattered most, first
                jobs = [((1, count), (level, *arguments)) for level in reversed(range(depth))]
            else:
                jobs = [((depth, count), (0, *arguments))]
            launch.run(hash_kernels.hash_table_gradients, jobs if count else [])
        if ctx.needs_input_grad[0]:
            point_gradient = torch.empty_like(points)
            arguments = (where, launch.array(table, wp.vec2), *grid, given, launch.array(point_gradient, wp.vec3))
            launch.items(hash_kernels.hash_point_gradients, count, arguments)
        return point_gradient, table_gradient, None, None


def _layout_arguments(launch: Launcher, layout: HashLayout) -> tuple[Any, Any]:
    levels, scales = layout.tensors(launch.device)
    return launch.array(levels, wp.int32), launch.array(scales, wp.float32)


def _aligned(table: Tensor) -> Tensor:
    """The table, copied where its rows do not start at multiples of their size: the kernels read a row at once."""
    return table if table.data_ptr() % (FEATURES * table.element_size()) == 0 else table.clone()
