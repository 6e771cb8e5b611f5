"""What the kernels of FlexiCubes (Shen et al. 2023) share: how a grid's cubes, corners, edges and quads are numbered, what they hold.

The cube (i, j, k) of n^3 has index (i n + j) n + k and its lowest corner is the point (i m + j) m + k, m = n + 1. Its corner b lies at
(b & 1, b >> 1 & 1, b >> 2); edge 4 axis + r runs along that axis from the r-th corner whose bit of that axis is not set. A cube owns the
three edges from its lowest corner, and a crossed one makes the quad of the four dual vertices around it, in the slots (both bits of the
other axes, the second alone, none, the first alone), counter-clockwise seen from the axis' tip.
"""

# ruff: noqa: D101, UP018 (float(0.0) declares a variable; a bare literal would be a constant to Warp)

import warp as wp

BOUNDARY = wp.constant(0.1)  # what the boundary's distances are raised to
LOW_BITS = wp.constant(wp.int64(0xFFFFFFFF))
WEIGHTS = wp.constant(21)

vec8 = wp.types.vector(length=8, dtype=wp.float32)
vec12 = wp.types.vector(length=12, dtype=wp.float32)
mat12x3 = wp.types.matrix(shape=(12, 3), dtype=wp.float32)


@wp.func
def bit(pattern: int, number: int):
    return (pattern >> number) & 1


@wp.func
def place_of(cube: int, n: int):
    """Coordinates of a cube's lowest corner."""
    row = cube // n
    i = row // n
    return wp.vec3i(i, row - i * n, cube - row * n)


@wp.func
def corner_step(corner: int, m: int):
    """From a lowest corner's index to another corner's, among m points a side; with m cells for m points, from cube to cube."""
    return (bit(corner, 0) * m + bit(corner, 1)) * m + bit(corner, 2)


@wp.func
def low_corner(edge: int):
    axis = edge >> 2
    r = edge & 3
    return ((r >> axis) << (axis + 1)) | (r & ((1 << axis) - 1))


@wp.func
def edge_from(axis: int, corner: int):
    """The edge along an axis from a corner whose bit of that axis is not set."""
    return 4 * axis + (((corner >> (axis + 1)) << axis) | (corner & ((1 << axis) - 1)))


@wp.func
def slot_corner(axis: int, slot: int):
    """Where the quad's edge starts, seen from the cube in a slot of the quad."""
    first = 1 << ((axis + 1) % 3)
    second = 1 << ((axis + 2) % 3)
    corner = int(0)
    if slot == 0:
        corner = first | second
    elif slot == 1:
        corner = second
    elif slot == 3:
        corner = first
    return corner


@wp.func
def slot_of(axis: int, corner: int):
    """The slot that `slot_corner` gives this corner."""
    first = bit(corner, (axis + 1) % 3)
    second = bit(corner, (axis + 2) % 3)
    return 2 + first - second * (1 + 2 * first)


@wp.func
def distance_at(sdf: wp.array(dtype=float), point: int, place: wp.vec3i, corner: int, n: int):
    """The distance at a cube's corner, raised on the boundary so that no surface can leave the lattice."""
    value = sdf[point]
    x = place[0] + bit(corner, 0)
    y = place[1] + bit(corner, 1)
    z = place[2] + bit(corner, 2)
    if x == 0 or y == 0 or z == 0 or x == n or y == n or z == n:
        value = wp.max(value, BOUNDARY)
    return value


@wp.func
def quads_before(case: int, axis: int):
    """How many of the first `axis` edges that a cube owns are crossed."""
    count = int(0)
    for a in range(axis):
        if bit(case, 0) != bit(case, 1 << a):
            count += 1
    return count


@wp.func
def first_dual(ends: wp.array(dtype=wp.int64), tally: wp.array(dtype=wp.int64), cube: int):
    return int((ends[cube] - tally[cube]) & LOW_BITS)


@wp.func
def dual_count(counts: wp.array(dtype=int)):
    return counts[0] - counts[1] // 4


@wp.func
def quad_room(counts: wp.array(dtype=int), vertices: int, quads: int):
    """How many quads there are and is room for: each needs its own row and its centre, which follows all dual vertices."""
    return wp.min(wp.min(counts[1] // 4, quads), vertices - dual_count(counts))


@wp.func
def squashed(weights: wp.array2d(dtype=float), cube: int, column: int):
    """A raw weight in its range about 1: (0.01, 1.99)."""
    return 1.0 + 0.99 * wp.tanh(weights[cube, column])


@wp.func
def alphas_of(weights: wp.array2d(dtype=float), cube: int):
    alphas = vec8()
    for corner in range(8):
        alphas[corner] = squashed(weights, cube, corner)
    return alphas


@wp.func
def share_along(low: float, high: float):
    """How far along an edge the crossing lies, from the weighted distances at its ends."""
    return low / wp.max(low + high, 1.0e-6)


@wp.func
def crossing_of(
    edge: int,
    base: int,
    place: wp.vec3i,
    alphas: vec8,
    points: wp.array(dtype=wp.vec3),
    sdf: wp.array(dtype=float),
    n: int,
):
    low = low_corner(edge)
    high = low | (1 << (edge >> 2))
    start = base + corner_step(low, n + 1)
    end = base + corner_step(high, n + 1)
    along = share_along(
        wp.abs(distance_at(sdf, start, place, low, n)) * alphas[low],
        wp.abs(distance_at(sdf, end, place, high, n)) * alphas[high],
    )
    return points[start] + along * (points[end] - points[start])


@wp.struct
class Quad:
    corners: wp.vec4i  # dual vertices in the slots' order
    gammas: wp.vec4
    forward: int  # whether that order is counter-clockwise seen from outside


@wp.func
def quad_of(
    number: int,
    n: int,
    weights: wp.array2d(dtype=float),
    cases: wp.array(dtype=wp.int16),
    tally: wp.array(dtype=wp.int64),
    ends: wp.array(dtype=wp.int64),
    loop_of_edge: wp.array2d(dtype=int),
    edges: wp.array(dtype=int),
):
    q = Quad()
    owner = edges[number] // 3
    axis = edges[number] - 3 * owner
    q.forward = int(cases[owner]) & 1
    for slot in range(4):
        corner = slot_corner(axis, slot)
        cube = owner - corner_step(corner, n)
        q.corners[slot] = first_dual(ends, tally, cube) + loop_of_edge[int(cases[cube]), edge_from(axis, corner)]
        q.gammas[slot] = 0.5 * squashed(weights, cube, WEIGHTS - 1)
    return q


@wp.func
def distance_of(sdf: wp.array(dtype=float), cube: int, corner: int, n: int):
    """The distance at a cube's corner."""
    place = place_of(cube, n)
    m = n + 1
    point = (place[0] * m + place[1]) * m + place[2] + corner_step(corner, m)
    return distance_at(sdf, point, place, corner, n)
