from __future__ import annotations

import torch
from torch import Tensor

from backend.engines.cube_tables import CubeTables, cube_tables
from backend.engines.interface import Capacity, Engine
from backend.geometry.lattice import AXES, Lattice
from backend.geometry.surface import Surface, sign_changes

WEIGHTS = 21
"""Weights of a cube: 8 alphas (corners), 12 betas (edges, as in `CUBE_EDGES`), 1 gamma."""


def squash(raw: Tensor) -> Tensor:
    """Raw weights of any size to their ranges: alpha and beta to (0.01, 1.99), gamma to (0.005, 0.995); zeros give 1, 1 and 0.5.

    Args:
        raw: [..., 21].

    Returns:
        [..., 21]. Differentiable.
    """
    centre = torch.ones(WEIGHTS, dtype=raw.dtype, device=raw.device)
    centre[-1] = 0.5
    return centre + 0.99 * centre * raw.tanh()


def extract(
    lattice: Lattice,
    points: Tensor,
    sdf: Tensor,
    weights: Tensor,
    centres: bool = True,
    engine: Engine | None = None,
    capacity: Capacity | None = None,
) -> Surface:
    """FlexiCubes (Shen et al. 2023): the zero level of a signed distance grid as one dual vertex a surface piece and cube.

    On a crossed edge with ends i and j, u = (s_i a_i x_j - s_j a_j x_i) / (s_i a_i - s_j a_j), with that cube's own alphas. A dual
    vertex is the mean of its loop's u weighted by beta, and each crossed edge makes one quad of the four dual vertices around it. The
    result is closed and edge-manifold for any input: where one loop would pass a face twice in both cubes at that face, both connect it
    the other way. The work is that of the surface, not of the grid.

    Args:
        lattice: the grid.
        points: [P, 3] its points' positions, displaced by less than half a cell.
        sdf: [P] in any unit, negative inside; the boundary is raised to the outside.
        weights: [C, 21] raw weights, see `squash`.
        centres: True cuts a quad into four triangles about a centre weighted by gamma, through which gamma is trained; False
            cuts it in two along the diagonal with the larger product of gammas.
        engine: makes the surface with centres by its own kernels, in float32; plain torch, in any float type, where None.
        capacity: an engine's surface with centres in tensors of these shapes, without a wait for the device.

    Returns:
        The surface; `regularity` is the mean deviation of the distances from dual vertices to their crossings (the paper's L_dev).
        Differentiable in points, sdf and weights; with `centres` False not in gamma. Vertices are ordered by cube and loop, then by quad;
        quads by the point their edge starts from and by its axis.
    """
    _check(lattice, points, weights)
    if engine is not None and centres:
        made = engine.extract_surface(points, sdf, weights, lattice.cells, capacity)
        return Surface(made.vertices, made.faces, made.regularity, made.sign_changes, made.counts)
    if capacity is not None:
        raise ValueError(f"{capacity} is for a surface with centres that an engine makes; expected None without these")
    tables = cube_tables(points.device)
    closed = lattice.closed(sdf)
    inside = closed.detach() < 0
    cases, cube, base = lattice.surface_cubes(inside)
    case = _turn_pinched(lattice, tables, cases, cube)

    # dual vertices, numbered by cube and loop
    loop = tables.loop_of_edge[case].long()  # [S, 12]
    count = tables.loop_count[case].long()
    first = count.cumsum(0) - count
    row, edge = (loop >= 0).nonzero(as_tuple=True)  # K pairs of a surface cube and one of its crossed edges
    dual = first[row] + loop[row, edge]
    owner = torch.repeat_interleave(count)  # each dual vertex's surface cube
    squashed = squash(weights.index_select(0, cube))
    vertices, regularity = _dual_vertices(
        lattice, tables, points, closed, squashed, base, row, edge, dual, owner.shape[0]
    )

    axis, point = lattice.crossing_edges(inside, AXES)
    order = (3 * point + axis).argsort()
    axis, point = axis[order], point[order]
    ends = torch.stack((point, point + lattice.strides(AXES)[axis]), 1)
    changes = sign_changes(closed.index_select(0, ends.flatten()).view(-1, 2))
    quads = _quads(lattice, tables, inside, axis, point, cube, first, loop)
    gamma = squashed[:, -1].index_select(0, owner).index_select(0, quads.flatten()).view(-1, 4)
    even, odd = gamma[:, 0] * gamma[:, 2], gamma[:, 1] * gamma[:, 3]
    if not centres:
        a, b, c, d = quads.unbind(1)
        split_even = (even > odd)[:, None, None]
        along_even = torch.stack((a, b, c, a, c, d), 1).view(-1, 2, 3)
        along_odd = torch.stack((a, b, d, b, c, d), 1).view(-1, 2, 3)
        faces = torch.where(split_even, along_even, along_odd).view(-1, 3)
        return Surface.exact(vertices, faces.int(), regularity, changes)
    corners = vertices.index_select(0, quads.flatten()).view(-1, 4, 3)
    share = (even / (even + odd)).unsqueeze(1)
    middle = 0.5 * torch.lerp(corners[:, 1] + corners[:, 3], corners[:, 0] + corners[:, 2], share)
    centre = torch.arange(quads.shape[0], device=quads.device) + vertices.shape[0]
    faces = torch.stack((quads, quads.roll(-1, 1), centre[:, None].expand(-1, 4)), 2).view(-1, 3)
    return Surface.exact(torch.cat((vertices, middle)), faces.int(), regularity, changes)


def _check(lattice: Lattice, points: Tensor, weights: Tensor) -> None:
    if points.shape != (lattice.point_count, 3) or weights.shape != (lattice.cube_count, WEIGHTS):
        raise ValueError(
            f"points {tuple(points.shape)} and weights {tuple(weights.shape)}; {lattice.cells} cells have "
            f"{(lattice.point_count, 3)} and {(lattice.cube_count, WEIGHTS)}"
        )


def _turn_pinched(lattice: Lattice, tables: CubeTables, cases: Tensor, cube: Tensor) -> Tensor:
    """[S] cases, 256 added to both cubes at a face that both would pass twice with one loop (that edge would have four faces)."""
    case = cases[cube].long()
    face = tables.pinched_face[case].long()
    n = lattice.cells
    step = torch.tensor([-n * n, n * n, -n, n, -1, 1, 0], device=cube.device)  # the last is for -1: no such face
    neighbour = tables.pinched_face[cases[cube + step[face]].long()]
    return case + 256 * ((face >= 0) & (neighbour == (face ^ 1)))


def _dual_vertices(
    lattice: Lattice,
    tables: CubeTables,
    points: Tensor,
    sdf: Tensor,
    squashed: Tensor,
    base: Tensor,
    row: Tensor,
    edge: Tensor,
    dual: Tensor,
    dual_count: int,
) -> tuple[Tensor, Tensor]:
    """([D, 3] dual vertices, their regularity); `row`, `edge` and `dual` are the K pairs' surface cube, edge and dual vertex."""
    corner_steps = lattice.strides(tuple((b & 1, b >> 1 & 1, b >> 2 & 1) for b in range(8)))
    corners = tables.edge_corners[edge]  # [K, 2]
    ends = base[row].unsqueeze(1) + corner_steps[corners]
    gathered = torch.cat((points, sdf.unsqueeze(1)), 1).index_select(0, ends.flatten()).view(-1, 2, 4)
    column = torch.cat((corners, 8 + edge.unsqueeze(1)), 1) + WEIGHTS * row.unsqueeze(1)
    alpha_low, alpha_high, beta = squashed.flatten().index_select(0, column.flatten()).view(-1, 3).unbind(1)

    low = gathered[:, 0, 3].abs() * alpha_low
    high = gathered[:, 1, 3].abs() * alpha_high
    along = low / (low + high).clamp_min(1e-6)
    crossing = torch.lerp(gathered[:, 0, :3], gathered[:, 1, :3], along.unsqueeze(1))

    weighted = torch.cat((crossing * beta.unsqueeze(1), beta.unsqueeze(1)), 1)
    total = weighted.new_zeros(dual_count, 4).index_add(0, dual, weighted)
    vertices = total[:, :3] / total[:, 3:]
    if row.shape[0] == 0:
        return vertices, weighted.sum()
    distance = torch.linalg.vector_norm(crossing - vertices.index_select(0, dual), dim=1)
    members = torch.bincount(dual, minlength=dual_count)
    mean = distance.new_zeros(dual_count).index_add(0, dual, distance) / members
    return vertices, (distance - mean.index_select(0, dual)).abs().mean()


def _quads(
    lattice: Lattice,
    tables: CubeTables,
    inside: Tensor,
    axis: Tensor,
    point: Tensor,
    cube: Tensor,
    first: Tensor,
    loop: Tensor,
) -> Tensor:
    """[Q, 4] dual vertices around each crossed grid edge along `axis` from `point`, counter-clockwise seen from outside."""
    n, m = lattice.cells, lattice.side
    line = point // m
    lowest = point - line - (line // m) * n  # the cube whose lowest corner the edge starts from
    step = (tables.quad_offsets * torch.tensor([n * n, n, 1], device=cube.device)).sum(-1)  # [3, 4]
    place = torch.empty(lattice.cube_count, dtype=torch.int64, device=cube.device)  # read only where written
    place[cube] = torch.arange(cube.shape[0], device=cube.device)
    row = place[lowest.unsqueeze(1) + step[axis]]  # [Q, 4]
    quads = first[row] + loop[row, tables.quad_edges[axis]]
    return torch.where(inside[point].unsqueeze(1), quads, quads.flip(1))
