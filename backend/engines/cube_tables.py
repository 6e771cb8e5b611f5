from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

CUBE_EDGES = tuple((low, low | 1 << axis) for axis in range(3) for low in range(8) if not low >> axis & 1)
"""The twelve edges as (lower, upper) corner: four along x, four along y, four along z."""


@dataclass(frozen=True)
class CubeTables:
    """What to do in each of 512 cases: 256 corner patterns, then the same with their pinched face connected the other way.

    Attributes:
        loop_of_edge: [512, 12] int32, which loop of crossing edges an edge belongs to, -1 where it is not crossed.
        loop_edges: [2048, 13] int32, row 4 case + loop: the loop's edges, and last how many they are.
        loop_count: [512] int32, loops in a cube, 0 to 4: each becomes one vertex.
        pinched_face: [256] int32, the face (2 axis + side) that one loop passes twice, or -1.
        edge_corners: [12, 2] int64, `CUBE_EDGES`.
        quad_edges: [3, 4] int64, for a grid edge along each axis its number in the four cubes around it.
        quad_offsets: [3, 4, 3] int64, those cubes' lowest corners relative to the edge's base point, counter-clockwise seen from the
            axis' tip.
    """

    loop_of_edge: Tensor
    loop_edges: Tensor
    loop_count: Tensor
    pinched_face: Tensor
    edge_corners: Tensor
    quad_edges: Tensor
    quad_offsets: Tensor


def face_corners(face: int) -> tuple[int, int, int, int]:
    """The corners of face 2 axis + side, in order around it."""
    axis, side = divmod(face, 2)
    b, c = 1 << (axis + 1) % 3, 1 << (axis + 2) % 3
    base = side << axis
    return base, base | b, base | b | c, base | c


def crossing_loops(case: int, turned_face: int = -1) -> tuple[list[int], int]:
    """Join the crossing edges of one corner pattern across the cube's faces into loops, the borders of the surface's pieces.

    A face with two crossings joins them. On a face with four, the two beside each inside corner are joined: the rule looks only at the
    face, so both its cubes agree. On `turned_face` it is the two beside each outside corner.

    Args:
        case: bit b set where corner b is inside.
        turned_face: the face to join the other way, or -1.

    Returns:
        (loop number of each of the twelve edges, -1 where not crossed; the face whose four crossings lie in one loop, or -1).
    """
    number = {frozenset(pair): index for index, pair in enumerate(CUBE_EDGES)}
    crossed = [(case >> low & 1) != (case >> high & 1) for low, high in CUBE_EDGES]
    root = list(range(12))  # of each edge's loop so far

    def join(first: int, second: int) -> None:
        root[:] = [root[first] if r == root[second] else r for r in root]

    ambiguous = []
    for face in range(6):
        corners = face_corners(face)
        around = [number[frozenset((corners[q], corners[q - 1]))] for q in range(4)]  # edge q ends at corner q
        crossings = [edge for edge in around if crossed[edge]]
        if len(crossings) == 2:
            join(*crossings)
        elif len(crossings) == 4:
            ambiguous.append((face, around))
            for q in range(4):
                if bool(case >> corners[q] & 1) != (face == turned_face):
                    join(around[q], around[(q + 1) % 4])
    numbers: dict[int, int] = {}
    loops = [numbers.setdefault(root[edge], len(numbers)) if crossed[edge] else -1 for edge in range(12)]
    pinched = [face for face, around in ambiguous if len({root[edge] for edge in around}) == 1]
    assert len(pinched) <= 1, f"corner pattern {case} has several pinched faces"
    return loops, (pinched[0] if pinched else -1)


@lru_cache(maxsize=8)
def cube_tables(device: torch.device) -> CubeTables:
    """The tables on a device, worked out once for each."""
    plain = [crossing_loops(case) for case in range(256)]
    turned = [crossing_loops(case, face) if face >= 0 else (loops, -1) for case, (loops, face) in enumerate(plain)]
    loops_of_case = [loops for loops, _ in plain + turned]
    loop_edges = []
    for loops in loops_of_case:
        for loop in range(4):
            members = [edge for edge in range(12) if loops[edge] == loop]
            loop_edges.append(members + [0] * (12 - len(members)) + [len(members)])
    loop_of_edge = torch.tensor(loops_of_case, dtype=torch.int32)
    number = {pair: index for index, pair in enumerate(CUBE_EDGES)}
    offsets, edges = [], []
    for axis in range(3):
        b, c = (axis + 1) % 3, (axis + 2) % 3
        around = []
        for step_b, step_c in ((-1, -1), (0, -1), (0, 0), (-1, 0)):
            offset = [0, 0, 0]
            offset[b], offset[c] = step_b, step_c
            around.append(offset)
            corner = -step_b << b | -step_c << c  # where the grid edge starts, seen from that cube
            edges.append(number[corner, corner | 1 << axis])
        offsets.append(around)
    return CubeTables(
        loop_of_edge=loop_of_edge.to(device),
        loop_edges=torch.tensor(loop_edges, dtype=torch.int32, device=device),
        loop_count=(loop_of_edge.amax(1) + 1).to(device),
        pinched_face=torch.tensor([face for _, face in plain], dtype=torch.int32, device=device),
        edge_corners=torch.tensor(CUBE_EDGES, device=device),
        quad_edges=torch.tensor(edges, device=device).view(3, 4),
        quad_offsets=torch.tensor(offsets, device=device),
    )
