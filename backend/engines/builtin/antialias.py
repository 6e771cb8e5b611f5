"""Silhouettes blended by where they cut between two pixels: what lets an image's gradient move them.

After Laine et al. 2020, section 3.5, which looks only at the edges of the triangle seen at the pixel. Where silhouette triangles are
narrower than a pixel that misses the silhouette and its gradient vanishes, so here the segment between the two pixel centres is followed
over neighbouring triangles until it leaves the surface (`walk` steps at most).
"""

from __future__ import annotations

from typing import Any

import torch
import warp as wp
from torch import Tensor

from backend.engines.builtin import checks
from backend.engines.builtin.kernels import antialias_kernels as kernels
from backend.engines.builtin.launch import Launcher
from backend.engines.checks import require
from backend.engines.interface import Raster


def antialias(
    color: Tensor,
    raster: Raster,
    positions: Tensor,
    faces: Tensor,
    adjacency: Tensor,
    walk: int,
    launch: Launcher,
) -> Tensor:
    """Blend each pair of neighbouring pixels that see different triangles across the silhouette edge between them.

    Args:
        color: [B, H, W, C] float32.
        raster: of `positions` and `faces` at the same size.
        positions: [B, V, 4] float32 clip positions.
        faces: [T, 3] int32.
        adjacency: [T, 3] int32 of `edge_adjacency(faces)`.
        walk: how many triangles to cross at most; 0 looks only at the triangle seen, as published.
        launch: of the tensors' device.

    Returns:
        [B, H, W, C]. Gradients reach color and positions (x, y, w), none the raster.

    Raises:
        ValueError: a shape, type, device or index is wrong; the message names what came and what was expected.
    """
    where = "antialias"
    require(f"{where}: positions", positions, (None, None, 4), launch.device, torch.float32)
    checks.check_faces(where, faces, positions.shape[1], launch.device)
    require(f"{where}: adjacency", adjacency, (faces.shape[0], 3), launch.device, torch.int32)
    checks.check_indices(where, "adjacency", adjacency, -1, 3 * faces.shape[0])
    size = tuple(raster.triangle.shape)
    require(f"{where}: raster.triangle", raster.triangle, (positions.shape[0], None, None), launch.device, torch.int32)
    require(f"{where}: raster.barycentric", raster.barycentric, (*size, 4), launch.device, torch.float32)
    require(f"{where}: color", color, (*size, None), launch.device, torch.float32)
    checks.check_indices(where, "raster.triangle", raster.triangle, -1, faces.shape[0])
    if walk < 0:
        raise ValueError(f"{where}: walk is {walk}; expected 0 or more")
    if color.numel() == 0 or faces.shape[0] == 0:
        return color
    return _Antialias.apply(
        color, positions, raster.barycentric.detach(), raster.triangle, faces, adjacency, walk, launch
    )


class _Antialias(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        color: Tensor,
        positions: Tensor,
        barycentric: Tensor,
        triangle: Tensor,
        faces: Tensor,
        adjacency: Tensor,
        walk: int,
        launch: Launcher,
    ) -> Tensor:
        color, positions, faces = color.contiguous(), positions.contiguous(), faces.contiguous()
        barycentric, triangle, adjacency = barycentric.contiguous(), triangle.contiguous(), adjacency.contiguous()
        images, height, width, channels = color.shape
        pixels = images * height * width
        weight = color.new_empty((2, pixels))
        edge = torch.empty((2, pixels), dtype=torch.int32, device=color.device)
        out = color.clone()
        screen = positions.new_empty((*positions.shape[:2], 3))
        launch.items(
            kernels.to_screen,
            screen.shape[0] * screen.shape[1],
            (
                launch.array(positions.view(-1, 4), wp.vec4),
                0.5 * width,
                0.5 * height,
                launch.array(screen.view(-1, 3), wp.vec3),
            ),
        )
        pairs = (launch.array(weight, wp.float32), launch.array(edge, wp.int32))
        launch.items(
            kernels.find_edges,
            pixels,
            (
                launch.array(screen, wp.vec3),
                launch.array(faces, wp.int32),
                launch.array(adjacency, wp.int32),
                width,
                height,
                walk,
                launch.array(barycentric.view(-1, 4), wp.vec4),
                launch.array(triangle.view(-1), wp.int32),
                *pairs,
            ),
            axes=(2,),
        )
        launch.items(
            kernels.blend,
            pixels,
            (
                launch.array(color.view(-1, channels), wp.float32),
                width,
                height,
                *pairs,
                launch.array(out.view(-1, channels), wp.float32),
            ),
        )
        ctx.launch = launch
        ctx.save_for_backward(color, screen, faces, weight, edge)
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        color, screen, faces, weight, edge = ctx.saved_tensors
        launch: Launcher = ctx.launch
        images, height, width, channels = color.shape
        gradient = gradients[0].contiguous()
        grad_out = launch.array(gradient.view(-1, channels), wp.float32)
        pairs = (launch.array(weight, wp.float32), launch.array(edge, wp.int32))
        to_color = to_positions = None
        if ctx.needs_input_grad[0]:
            to_color = gradient.clone()
            launch.items(
                kernels.blend_adjoint_color,
                weight.shape[1],
                (grad_out, width, height, *pairs, launch.array(to_color.view(-1, channels), wp.float32)),
            )
        if ctx.needs_input_grad[1]:
            copies = screen.new_zeros((launch.image_copies(images), *screen.shape[:2], 4))
            launch.image_sums(
                kernels.blend_adjoint_positions,
                images,
                height * width,
                (
                    launch.array(screen, wp.vec3),
                    launch.array(faces, wp.int32),
                    width,
                    height,
                    launch.array(color.view(-1, channels), wp.float32),
                    grad_out,
                    *pairs,
                    launch.array(copies, wp.vec4),
                ),
                axes=(2,),
            )
            to_positions = copies[0] if copies.shape[0] == 1 else copies.sum(0)
        return to_color, to_positions, *(None,) * 6
