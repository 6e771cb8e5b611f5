from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from backend.geometry.lattice import TETRAHEDRAL_DIRECTIONS, Lattice, tetrahedra_of_a_cube
from backend.geometry.surface import Surface, sign_changes

TETRAHEDRON_EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))


@dataclass(frozen=True)
class TetrahedraTables:
    """Lookups of marching tetrahedra over cubes cut in six.

    Attributes:
        triangle_edges: [16, 2, 3] int64, for each pattern of inside corners (bit q is corner q) the edges of up to two triangles,
            counter-clockwise seen from outside.
        triangle_count: [16] int64, 0 to 2.
        corners: [6, 4] int64 cube corners of each tetrahedron, positively oriented.
        edge_directions: [6, 6] int64, of each tetrahedron's edges the number in `TETRAHEDRAL_DIRECTIONS`.
        edge_corners: [6, 6] int64, the cube corner each edge starts from.
    """

    triangle_edges: Tensor
    triangle_count: Tensor
    corners: Tensor
    edge_directions: Tensor
    edge_corners: Tensor


def pattern_triangles(pattern: int) -> list[tuple[int, int, int]]:
    """The triangles of one of the sixteen cases, as edge numbers, counter-clockwise seen from outside.

    A tetrahedron (0, 1, 2, 3) is positively oriented: seen from corner 0, the corners 1, 2, 3 go counter-clockwise about the way to them.
    """
    number = {pair: index for index, pair in enumerate(TETRAHEDRON_EDGES)}
    inside = [q for q in range(4) if pattern >> q & 1]
    outside = [q for q in range(4) if not pattern >> q & 1]
    order = inside + outside
    odd = sum(order[i] > order[j] for i in range(4) for j in range(i + 1, 4)) % 2 == 1

    def edge(first: int, second: int) -> int:
        return number[min(first, second), max(first, second)]

    if len(inside) in (0, 4):
        return []
    if len(inside) == 1:
        polygon = [edge(inside[0], q) for q in outside]
    elif len(inside) == 3:
        polygon = [edge(q, outside[0]) for q in inside]
    else:
        (a, b), (c, d) = inside, outside
        polygon = [edge(a, c), edge(a, d), edge(b, d), edge(b, c)]
    if odd:
        polygon.reverse()
    return [(polygon[0], polygon[i], polygon[i + 1]) for i in range(1, len(polygon) - 1)]


@lru_cache(maxsize=8)
def tetrahedra_tables(device: torch.device) -> TetrahedraTables:
    """The tables on a device, worked out once for each."""
    patterns = [pattern_triangles(pattern) for pattern in range(16)]
    padded = [triangles + [(0, 0, 0)] * (2 - len(triangles)) for triangles in patterns]
    directions, starts = [], []
    for corners in tetrahedra_of_a_cube():
        for first, second in TETRAHEDRON_EDGES:
            low, high = sorted(
                (corners[first], corners[second])
            )  # along Kuhn's paths the lower corner's bits are among the upper's
            step = high & ~low
            directions.append(TETRAHEDRAL_DIRECTIONS.index((step & 1, step >> 1 & 1, step >> 2 & 1)))
            starts.append(low)
    return TetrahedraTables(
        triangle_edges=torch.tensor(padded, device=device),
        triangle_count=torch.tensor([len(triangles) for triangles in patterns], device=device),
        corners=torch.tensor(tetrahedra_of_a_cube(), device=device),
        edge_directions=torch.tensor(directions, device=device).view(6, 6),
        edge_corners=torch.tensor(starts, device=device).view(6, 6),
    )


def extract(lattice: Lattice, points: Tensor, sdf: Tensor) -> Surface:
    """Marching tetrahedra (Shen et al. 2021, "DMTet"): the zero level of a signed distance grid, one vertex a crossed edge.

    On an edge with ends i and j the vertex is (s_i x_j - s_j x_i) / (s_i - s_j). Each cube is cut into six tetrahedra.

    Args:
        lattice: the grid.
        points: [P, 3] its points' positions, displaced by less than half a cell.
        sdf: [P] in any unit, negative inside; the boundary is raised to the outside.

    Returns:
        The surface, closed and edge-manifold, with regularity 0. Differentiable in points and sdf.
    """
    if points.shape != (lattice.point_count, 3):
        raise ValueError(f"points {tuple(points.shape)}; {lattice.cells} cells have {(lattice.point_count, 3)}")
    tables = tetrahedra_tables(points.device)
    closed = lattice.closed(sdf)
    inside = closed.detach() < 0

    direction, start = lattice.crossing_edges(inside, TETRAHEDRAL_DIRECTIONS)
    strides = lattice.strides(TETRAHEDRAL_DIRECTIONS)
    ends = torch.stack((start, start + strides[direction]), 1)
    gathered = torch.cat((points, closed.unsqueeze(1)), 1).index_select(0, ends.flatten()).view(-1, 2, 4)
    low, high = gathered[:, 0, 3].abs(), gathered[:, 1, 3].abs()
    along = low / (low + high).clamp_min(1e-6)
    vertices = torch.lerp(gathered[:, 0, :3], gathered[:, 1, :3], along.unsqueeze(1))

    _, _, base = lattice.surface_cubes(inside)
    corner_steps = lattice.strides(tuple((b & 1, b >> 1 & 1, b >> 2 & 1) for b in range(8)))
    corner_inside = inside[base.unsqueeze(1) + corner_steps].long()  # [S, 8]
    pattern = (corner_inside[:, tables.corners] << torch.arange(4, device=base.device)).sum(2)  # [S, 6]
    cube, tetrahedron, which = (
        torch.arange(2, device=base.device) < tables.triangle_count[pattern].unsqueeze(2)
    ).nonzero(as_tuple=True)
    edge = tables.triangle_edges[pattern[cube, tetrahedron], which]  # [T, 3] in the tetrahedron
    tetrahedron = tetrahedron.unsqueeze(1)
    edge_start = base[cube].unsqueeze(1) + corner_steps[tables.edge_corners[tetrahedron, edge]]
    edge_id = tables.edge_directions[tetrahedron, edge] * lattice.point_count + edge_start
    place = torch.empty(len(TETRAHEDRAL_DIRECTIONS) * lattice.point_count, dtype=torch.int32, device=base.device)
    place[direction * lattice.point_count + start] = torch.arange(start.shape[0], dtype=torch.int32, device=base.device)
    return Surface.exact(vertices, place[edge_id], vertices.new_zeros(()), sign_changes(gathered[:, :, 3]))
