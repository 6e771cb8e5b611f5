"""Kernels that read a surface from a signed distance grid (FlexiCubes, Shen et al. 2023): counting, numbering, values."""

# ruff: noqa: UP018 (float(0.0) declares a variable; a bare literal would be a constant to Warp)

import warp as wp

from backend.engines.builtin.kernels.flexicubes_cells import (
    LOW_BITS,
    alphas_of,
    bit,
    crossing_of,
    distance_of,
    dual_count,
    mat12x3,
    place_of,
    quad_of,
    quad_room,
    quads_before,
    squashed,
    vec12,
)

RUN = wp.constant(8)  # cubes that a thread classifies, each from the last one's upper corners and four more


@wp.func
def allowed_corners(i: int, j: int, n: int):
    """Which of a cube's four corners on the side of low z may be inside: those that do not lie on the boundary of x or y."""
    allowed = int(0xF)
    if i == 0:
        allowed &= 0xA
    if i == n - 1:
        allowed &= 0x5
    if j == 0:
        allowed &= 0xC
    if j == n - 1:
        allowed &= 0x3
    return allowed


@wp.func
def four_inside(sdf: wp.array(dtype=float), point: int, m: int):
    """Bits 0 to 3 of a cube's pattern, from its lowest corner."""
    pattern = int(0)
    if sdf[point] < 0.0:
        pattern = 1
    if sdf[point + m * m] < 0.0:
        pattern |= 2
    if sdf[point + m] < 0.0:
        pattern |= 4
    if sdf[point + m * m + m] < 0.0:
        pattern |= 8
    return pattern


@wp.func
def pattern_at(sdf: wp.array(dtype=float), place: wp.vec3i, n: int):
    """Bit b is set where corner b is inside; none is on the boundary."""
    m = n + 1
    base = (place[0] * m + place[1]) * m + place[2]
    allowed = allowed_corners(place[0], place[1], n)
    pattern = int(0)
    if place[2] > 0:
        pattern = four_inside(sdf, base, m) & allowed
    if place[2] < n - 1:
        pattern |= (four_inside(sdf, base + 1, m) & allowed) << 4
    return pattern


@wp.kernel(enable_backward=False)
def classify(
    offset: int,
    n: int,
    sdf: wp.array(dtype=float),
    pinched_face: wp.array(dtype=int),
    loop_count: wp.array(dtype=int),
    cases: wp.array(dtype=wp.int16),
    tally: wp.array(dtype=wp.int64),
):
    """Each cube's case (0 where no surface passes) and its loops + quads << 32, in runs of cubes along z.

    Where one loop would pass a face twice in both cubes at that face, both take the case that connects it the other way.
    """
    item = wp.tid() + offset
    m = n + 1
    runs = (n + RUN - 1) // RUN
    row = item // runs
    first = (item - row * runs) * RUN
    i = row // n
    j = row - i * n
    base = (i * m + j) * m
    allowed = allowed_corners(i, j, n)
    low = int(0)
    if first > 0:
        low = four_inside(sdf, base + first, m) & allowed
    for k in range(first, wp.min(first + RUN, n)):
        high = int(0)
        if k < n - 1:
            high = four_inside(sdf, base + k + 1, m) & allowed
        case = low | (high << 4)
        low = high
        cube = row * n + k
        count = wp.int64(0)
        if case == 255:
            case = 0
        if case != 0:
            face = pinched_face[case]
            if face >= 0:
                place = wp.vec3i(i, j, k)
                axis = face >> 1
                place[axis] = place[axis] + 2 * (face & 1) - 1  # a face with corners inside is not on the boundary
                if pinched_face[pattern_at(sdf, place, n)] == (face ^ 1):
                    case += 256
            count = wp.int64(loop_count[case]) + (wp.int64(quads_before(case, 3)) << wp.int64(32))
        cases[cube] = wp.int16(case)
        tally[cube] = count


@wp.kernel(enable_backward=False)
def number(
    offset: int,
    cases: wp.array(dtype=wp.int16),
    tally: wp.array(dtype=wp.int64),
    ends: wp.array(dtype=wp.int64),
    loops: wp.array(dtype=int),
    edges: wp.array(dtype=int),
    counts: wp.array(dtype=int),
):
    """Tell each dual vertex its cube and loop (4 cube + loop), each quad its edge (3 cube + axis), and count vertices and faces."""
    cube = wp.tid() + offset
    if cube == ends.shape[0] - 1:
        duals = int(ends[cube] & LOW_BITS)
        quads = int(ends[cube] >> wp.int64(32))
        counts[0] = duals + quads
        counts[1] = 4 * quads
    case = int(cases[cube])
    if case == 0:
        return
    before = ends[cube] - tally[cube]
    first = int(before & LOW_BITS)
    for loop in range(int(tally[cube] & LOW_BITS)):
        if first + loop < loops.shape[0]:
            loops[first + loop] = 4 * cube + loop
    quad = int(before >> wp.int64(32))
    for axis in range(3):
        if bit(case, 0) != bit(case, 1 << axis):
            if quad < edges.shape[0]:
                edges[quad] = 3 * cube + axis
            quad += 1


@wp.kernel(enable_backward=False)
def dual_vertices(
    offset: int,
    n: int,
    points: wp.array(dtype=wp.vec3),
    sdf: wp.array(dtype=float),
    weights: wp.array2d(dtype=float),
    cases: wp.array(dtype=wp.int16),
    loop_edges: wp.array2d(dtype=int),
    loops: wp.array(dtype=int),
    counts: wp.array(dtype=int),
    vertices: wp.array(dtype=wp.vec3),
    deviation: wp.array(dtype=float),
):
    """A loop's crossings averaged by beta, and how much their distances from it deviate from their mean, summed; zeros beyond."""
    row = wp.tid() + offset
    if row >= dual_count(counts):
        vertices[row] = wp.vec3(0.0, 0.0, 0.0)
        deviation[row] = 0.0
        return
    cube = loops[row] >> 2
    entry = 4 * int(cases[cube]) + (loops[row] & 3)
    size = loop_edges[entry, 12]
    place = place_of(cube, n)
    base = (place[0] * (n + 1) + place[1]) * (n + 1) + place[2]
    alphas = alphas_of(weights, cube)
    crossings = mat12x3()
    middle = wp.vec3(0.0, 0.0, 0.0)
    total = float(0.0)
    for e in range(size):
        edge = loop_edges[entry, e]
        crossing = crossing_of(edge, base, place, alphas, points, sdf, n)
        beta = squashed(weights, cube, 8 + edge)
        crossings[e] = crossing
        middle += beta * crossing
        total += beta
    middle = middle / total
    distances = vec12()
    mean = float(0.0)
    for e in range(size):
        distances[e] = wp.length(crossings[e] - middle)
        mean += distances[e]
    mean = mean / float(size)
    spread = float(0.0)
    for e in range(size):
        spread += wp.abs(distances[e] - mean)
    vertices[row] = middle
    deviation[row] = spread


@wp.kernel(enable_backward=False)
def quads(
    offset: int,
    n: int,
    weights: wp.array2d(dtype=float),
    cases: wp.array(dtype=wp.int16),
    tally: wp.array(dtype=wp.int64),
    ends: wp.array(dtype=wp.int64),
    loop_of_edge: wp.array2d(dtype=int),
    edges: wp.array(dtype=int),
    counts: wp.array(dtype=int),
    vertices: wp.array(dtype=wp.vec3),
    sdf: wp.array(dtype=float),
    faces: wp.array(dtype=wp.vec3i),
    entropy: wp.array(dtype=float),
):
    """Each quad's centre, weighted by gamma, its four triangles and the entropy of its edge's ends.

    Where there is no quad, or no room for it, the triangles are degenerate.
    """
    number = wp.tid() + offset
    if number >= quad_room(counts, vertices.shape[0], edges.shape[0]):
        for side in range(4):
            faces[4 * number + side] = wp.vec3i(0, 0, 0)
        entropy[number] = 0.0
        return
    q = quad_of(number, n, weights, cases, tally, ends, loop_of_edge, edges)
    even = q.gammas[0] * q.gammas[2]
    odd = q.gammas[1] * q.gammas[3]
    share = even / (even + odd)
    on_even = vertices[q.corners[0]] + vertices[q.corners[2]]
    on_odd = vertices[q.corners[1]] + vertices[q.corners[3]]
    centre = dual_count(counts) + number
    vertices[centre] = 0.5 * (on_odd + share * (on_even - on_odd))
    for side in range(4):
        this = q.corners[side]
        following = q.corners[(side + 1) & 3]
        if q.forward != 0:
            faces[4 * number + side] = wp.vec3i(this, following, centre)
        else:
            this = q.corners[3 - side]
            following = q.corners[(6 - side) & 3]
            faces[4 * number + side] = wp.vec3i(this, following, centre)
    owner = edges[number] // 3
    upper = 1 << (edges[number] - 3 * owner)
    total = float(0.0)
    for end in range(2):
        value = wp.abs(distance_of(sdf, owner, end * upper, n))
        total += value + wp.log(1.0 + wp.exp(-value))
    entropy[number] = total
