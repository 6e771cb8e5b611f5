"""FlexiCubes (Shen et al. 2023) of the built-in engine: fixed shapes, no wait for the device, adjoints written by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import warp as wp
from torch import Tensor
from torch.autograd.function import once_differentiable

from backend.engines.builtin.kernels import flexicubes_adjoint_kernels as adjoints
from backend.engines.builtin.kernels import flexicubes_kernels as kernels
from backend.engines.builtin.kernels.flexicubes_cells import WEIGHTS
from backend.engines.builtin.launch import Launcher
from backend.engines.checks import require
from backend.engines.cube_tables import CubeTables, cube_tables
from backend.engines.interface import Capacity, Extraction

MOST_CELLS = 512  # 4 cube + loop is counted in int32


def extract_surface(
    points: Tensor, sdf: Tensor, weights: Tensor, cells: int, capacity: Capacity | None, launch: Launcher
) -> Extraction:
    """Read the zero level of a signed distance grid; the mathematics is that of `geometry.flexicubes.extract` with centres.

    Dual vertices come first, by cube and loop; then one centre a quad; quads are ordered by the point their edge starts from, then by
    axis.

    Args:
        points: [P, 3] float32, the (cells + 1)^3 points' positions, the last axis fastest.
        sdf: [P] float32, negative inside; below 0.1 on the boundary counts as 0.1.
        weights: [C, 21] float32, raw.
        cells: cubes along one side, 2 to 512.
        capacity: the result's shapes; None makes them exact, for which the device is waited for once.
        launch: runs the kernels; all tensors lie on its device.

    Returns:
        The surface. Vertices and faces beyond the capacity are left out, first the last quads. Gradients reach points, sdf and weights.

    Raises:
        ValueError: a tensor's shape, type or device is not as above.
    """
    if not 2 <= cells <= MOST_CELLS:
        raise ValueError(f"extract_surface: cells is {cells}; expected 2 to {MOST_CELLS}")
    require("extract_surface: points", points, ((cells + 1) ** 3, 3), launch.device, torch.float32)
    require("extract_surface: sdf", sdf, ((cells + 1) ** 3,), launch.device, torch.float32)
    require("extract_surface: weights", weights, (cells**3, WEIGHTS), launch.device, torch.float32)
    return Extraction(*_Extract.apply(points, sdf, weights, cells, capacity, launch))


@dataclass(frozen=True)
class _Numbers:
    """Who is who: cases [C] int16, loops and quads of each cube [C] and summed up to it [C] int64, and of what there is room for the
    loop of each vertex and the edge of each quad; counts [2] as in `Extraction`.
    """

    cases: Tensor
    tally: Tensor
    ends: Tensor
    loops: Tensor
    edges: Tensor
    counts: Tensor


class _Extract(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        points: Tensor,
        sdf: Tensor,
        weights: Tensor,
        cells: int,
        capacity: Capacity | None,
        launch: Launcher,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        points, sdf, weights = points.contiguous(), sdf.contiguous(), weights.contiguous()
        tables = cube_tables(points.device)
        numbers, room = _numbered(sdf, cells, capacity, tables, launch)
        vertices = points.new_empty(room.vertices, 3)
        deviation = points.new_empty(room.vertices)
        faces = torch.empty(room.faces, 3, dtype=torch.int32, device=points.device)
        entropy = points.new_empty(room.faces // 4)
        launch.items(
            kernels.dual_vertices,
            room.vertices,
            (
                cells,
                launch.array(points, wp.vec3),
                launch.array(sdf, wp.float32),
                launch.array(weights, wp.float32),
                launch.array(numbers.cases, wp.int16),
                launch.array(tables.loop_edges, wp.int32),
                launch.array(numbers.loops, wp.int32),
                launch.array(numbers.counts, wp.int32),
                launch.array(vertices, wp.vec3),
                launch.array(deviation, wp.float32),
            ),
        )
        launch.items(
            kernels.quads,
            room.faces // 4,
            (
                *_quad_arguments(launch, cells, weights, numbers, tables, vertices),
                launch.array(sdf, wp.float32),
                launch.array(faces, wp.vec3i),
                launch.array(entropy, wp.float32),
            ),
        )
        # a crossed edge, which has four faces, is crossed in four cubes: so many distances are averaged
        crossings = numbers.counts[1].clamp(min=1)
        regularity, sign_changes = deviation.sum() / crossings, 4.0 * entropy.sum() / crossings
        ctx.save_for_backward(points, sdf, weights, vertices)
        ctx.numbers, ctx.cells, ctx.launch = numbers, cells, launch
        ctx.mark_non_differentiable(faces, numbers.counts)
        return vertices, faces, regularity, sign_changes, numbers.counts

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, vertex_gradient: Tensor, _: Any, regularity_gradient: Tensor, changes_gradient: Tensor, __: Any
    ) -> tuple[Any, ...]:
        points, sdf, weights, vertices = ctx.saved_tensors
        numbers: _Numbers = ctx.numbers
        launch: Launcher = ctx.launch
        tables = cube_tables(points.device)
        given = vertex_gradient.contiguous()  # autograd may hand over an expanded one
        spread, changes = regularity_gradient.reshape(1), changes_gradient.reshape(1)
        quad_gradient = points.new_empty(numbers.edges.shape[0], 10)
        corner_gradient = points.new_empty(vertices.shape[0], 8, 4)
        point_gradient, sdf_gradient = torch.zeros_like(points), torch.zeros_like(sdf)
        weights_gradient = torch.zeros_like(weights)
        launch.items(
            adjoints.quad_gradients,
            numbers.edges.shape[0],
            (
                *_quad_arguments(launch, ctx.cells, weights, numbers, tables, vertices),
                launch.array(given, wp.vec3),
                launch.array(quad_gradient, adjoints.vec10),
            ),
        )
        surface = (
            launch.array(numbers.cases, wp.int16),
            launch.array(numbers.tally, wp.int64),
            launch.array(numbers.ends, wp.int64),
        )
        launch.items(
            adjoints.cube_gradients,
            vertices.shape[0],
            (
                ctx.cells,
                launch.array(points, wp.vec3),
                launch.array(sdf, wp.float32),
                launch.array(weights, wp.float32),
                *surface,
                launch.array(tables.loop_edges, wp.int32),
                launch.array(numbers.loops, wp.int32),
                launch.array(numbers.edges, wp.int32),
                launch.array(numbers.counts, wp.int32),
                launch.array(vertices, wp.vec3),
                launch.array(given, wp.vec3),
                launch.array(spread, wp.float32),
                launch.array(changes, wp.float32),
                launch.array(quad_gradient, adjoints.vec10),
                launch.array(corner_gradient, wp.vec4),
                launch.array(weights_gradient, wp.float32),
            ),
        )
        launch.items(
            adjoints.point_gradients,
            vertices.shape[0],
            (
                ctx.cells,
                launch.array(sdf, wp.float32),
                *surface,
                launch.array(numbers.loops, wp.int32),
                launch.array(numbers.counts, wp.int32),
                launch.array(corner_gradient, wp.vec4),
                launch.array(point_gradient, wp.vec3),
                launch.array(sdf_gradient, wp.float32),
            ),
        )
        return point_gradient, sdf_gradient, weights_gradient, None, None, None


def _numbered(
    sdf: Tensor, cells: int, capacity: Capacity | None, tables: CubeTables, launch: Launcher
) -> tuple[_Numbers, Capacity]:
    """Classify the cubes and number what they hold, in the order of the cubes."""
    count, device = cells**3, sdf.device
    cases = torch.empty(count, dtype=torch.int16, device=device)
    tally = torch.empty(count, dtype=torch.int64, device=device)
    launch.items(
        kernels.classify,
        cells**2 * -(-cells // kernels.RUN),
        (
            cells,
            launch.array(sdf, wp.float32),
            launch.array(tables.pinched_face, wp.int32),
            launch.array(tables.loop_count, wp.int32),
            launch.array(cases, wp.int16),
            launch.array(tally, wp.int64),
        ),
    )
    ends = tally.cumsum(0)
    if capacity is None:
        total = int(ends[-1])
        duals, quads = total & 0xFFFFFFFF, total >> 32
        capacity = Capacity(duals + quads, 4 * quads)
    loops = torch.empty(capacity.vertices, dtype=torch.int32, device=device)
    edges = torch.empty(capacity.faces // 4, dtype=torch.int32, device=device)
    counts = torch.empty(2, dtype=torch.int32, device=device)
    numbers = _Numbers(cases, tally, ends, loops, edges, counts)
    launch.items(
        kernels.number,
        count,
        (
            launch.array(cases, wp.int16),
            launch.array(tally, wp.int64),
            launch.array(ends, wp.int64),
            *(launch.array(t, wp.int32) for t in (loops, edges, counts)),
        ),
    )
    return numbers, capacity


def _quad_arguments(
    launch: Launcher, cells: int, weights: Tensor, numbers: _Numbers, tables: CubeTables, vertices: Tensor
) -> tuple[Any, ...]:
    return (
        cells,
        launch.array(weights, wp.float32),
        launch.array(numbers.cases, wp.int16),
        launch.array(numbers.tally, wp.int64),
        launch.array(numbers.ends, wp.int64),
        launch.array(tables.loop_of_edge, wp.int32),
        launch.array(numbers.edges, wp.int32),
        launch.array(numbers.counts, wp.int32),
        launch.array(vertices, wp.vec3),
    )
