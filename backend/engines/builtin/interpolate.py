"""Values of a triangle's corners, spread over the pixels that see it."""

from __future__ import annotations

from typing import Any

import torch
import warp as wp
from torch import Tensor

from backend.engines.builtin import checks
from backend.engines.builtin.kernels import interpolate_kernels as kernels
from backend.engines.builtin.launch import Launcher
from backend.engines.checks import require


def interpolate(attributes: Tensor, faces: Tensor, barycentric: Tensor, triangle: Tensor, launch: Launcher) -> Tensor:
    """Mix the attributes of each pixel's triangle: u a0 + v a1 + (1 - u - v) a2.

    Args:
        attributes: [V, C] float32, shared by all images.
        faces: [T, 3] int32.
        barycentric: [..., 4] float32 as `Raster.barycentric`; u and v are used.
        triangle: [...] int32, -1 where nothing is seen.
        launch: of the tensors' device.

    Returns:
        [..., C], zeros where `triangle` is -1. Gradients reach attributes and barycentric (u, v).

    Raises:
        ValueError: a shape, type, device or index is wrong; the message names what came and what was expected.
    """
    where = "interpolate"
    require(f"{where}: attributes", attributes, (None, None), launch.device, torch.float32)
    checks.check_faces(where, faces, attributes.shape[0], launch.device)
    require(f"{where}: triangle", triangle, tuple(triangle.shape), launch.device, torch.int32)
    require(f"{where}: barycentric", barycentric, (*triangle.shape, 4), launch.device, torch.float32)
    checks.check_count(where, "pixels", triangle.numel())
    checks.check_indices(where, "triangle", triangle, -1, faces.shape[0])
    return _Interpolate.apply(attributes, faces, barycentric, triangle, launch)


class _Interpolate(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, attributes: Tensor, faces: Tensor, barycentric: Tensor, triangle: Tensor, launch: Launcher
    ) -> Tensor:
        attributes, faces = attributes.contiguous(), faces.contiguous()
        barycentric, triangle = barycentric.contiguous(), triangle.contiguous()
        channels = attributes.shape[1]
        out = attributes.new_empty((*triangle.shape, channels))
        if faces.shape[0] == 0:
            out.zero_()
        elif out.numel() > 0:
            launch.items(
                kernels.interpolate_corners,
                triangle.numel(),
                (
                    launch.array(attributes, wp.float32),
                    launch.array(faces, wp.int32),
                    launch.array(barycentric.view(-1, 4), wp.vec4),
                    launch.array(triangle.view(-1), wp.int32),
                    launch.array(out.view(-1, channels), wp.float32),
                ),
            )
        ctx.launch = launch
        ctx.save_for_backward(attributes, faces, barycentric, triangle)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        attributes, faces, barycentric, triangle = ctx.saved_tensors
        launch: Launcher = ctx.launch
        channels = attributes.shape[1]
        gradient = gradients[0].contiguous()
        empty = gradient.numel() == 0 or faces.shape[0] == 0
        to_attributes = to_barycentric = None
        if ctx.needs_input_grad[0] and empty:
            to_attributes = torch.zeros_like(attributes)
        elif ctx.needs_input_grad[0]:
            copies = attributes.new_zeros((launch.accumulators, *attributes.shape))
            launch.sums(
                kernels.interpolate_adjoint_corners,
                triangle.numel(),
                (
                    launch.array(faces, wp.int32),
                    launch.array(barycentric.view(-1, 4), wp.vec4),
                    launch.array(triangle.view(-1), wp.int32),
                    launch.array(gradient.view(-1, channels), wp.float32),
                    attributes.shape[0],
                    launch.array(copies.view(-1), wp.float32),
                ),
            )
            to_attributes = copies[0] if copies.shape[0] == 1 else copies.sum(0)
        if ctx.needs_input_grad[2] and empty:
            to_barycentric = torch.zeros_like(barycentric)
        elif ctx.needs_input_grad[2]:
            to_barycentric = torch.empty_like(barycentric)
            launch.items(
                kernels.interpolate_adjoint_weights,
                triangle.numel(),
                (
                    launch.array(attributes, wp.float32),
                    launch.array(faces, wp.int32),
                    launch.array(triangle.view(-1), wp.int32),
                    launch.array(gradient.view(-1, channels), wp.float32),
                    launch.array(to_barycentric.view(-1, 4), wp.vec4),
                ),
            )
        return to_attributes, None, to_barycentric, None, None
