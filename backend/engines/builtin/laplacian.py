"""Smoothing solves on a mesh: Chebyshev iteration, one kernel a step."""

from __future__ import annotations

import torch
import warp as wp
from torch import Tensor

from backend.engines.builtin.kernels import laplacian_kernels as kernels
from backend.engines.builtin.launch import Launcher
from backend.engines.checks import require


def solve_laplacian(
    values: Tensor,
    starts: Tensor,
    neighbours: Tensor,
    strength: float,
    least: float,
    iterations: int,
    launch: Launcher,
) -> Tensor:
    """x with (I + strength L) x close to values (Saad 2003, algorithm 12.1, scaled by the diagonal).

    A fixed polynomial of the matrix: no inner products, so that an iteration is one pass over the mesh, and the error falls at the rate of
    conjugate gradients' own bound.

    Args:
        values: [V, 3] float32.
        starts: [V + 1] int32 where each vertex's neighbours begin.
        neighbours: [E] int32, each joined pair in both directions.
        strength: 0 or more.
        least: lower bound of the scaled matrix's eigenvalues, whose upper bound is 2.
        iterations: 1 or more.
        launch: of the tensors' device.

    Returns:
        [V, 3], without a gradient.
    """
    require("solve_laplacian: values", values, (starts.shape[0] - 1, 3), launch.device, torch.float32)
    require("solve_laplacian: starts", starts, (None,), launch.device, torch.int32)
    require("solve_laplacian: neighbours", neighbours, (None,), launch.device, torch.int32)
    middle, half = 0.5 * (2.0 + least), 0.5 * (2.0 - least)
    diagonal = 1.0 + strength * starts.diff().unsqueeze(1)
    residual = (values.detach() / diagonal).contiguous()
    solution = torch.zeros_like(residual)
    direction, following = residual / middle, torch.empty_like(residual)
    ratio = half / middle
    for _ in range(iterations):
        next_ratio = 1.0 / (2.0 * middle / half - ratio)
        launch.items(
            kernels.chebyshev_step,
            values.shape[0],
            (
                launch.array(starts, wp.int32),
                launch.array(neighbours, wp.int32),
                strength,
                next_ratio * ratio,
                2.0 * next_ratio / half,
                *(launch.array(t, wp.vec3) for t in (direction, following, residual, solution)),
            ),
        )
        direction, following, ratio = following, direction, next_ratio
    return solution
