"""Adjoints of `flexicubes_kernels`. Every sum is gathered by the one thread that owns it: no atomics, and the same bits every time."""

# ruff: noqa: UP018 (float(0.0) declares a variable; a bare literal would be a constant to Warp)

import warp as wp

from backend.engines.builtin.kernels.flexicubes_cells import (
    BOUNDARY,
    WEIGHTS,
    alphas_of,
    bit,
    corner_step,
    crossing_of,
    distance_at,
    dual_count,
    first_dual,
    low_corner,
    mat12x3,
    place_of,
    quad_of,
    quad_room,
    quads_before,
    share_along,
    slot_of,
    squashed,
    vec8,
    vec12,
)

mat8x4 = wp.types.matrix(shape=(8, 4), dtype=wp.float32)
vec10 = wp.types.vector(length=10, dtype=wp.float32)


@wp.func
def slope(weight: float):
    """Derivative of a weight in (0.01, 1.99) by the raw one."""
    return 0.99 - (weight - 1.0) * (weight - 1.0) / 0.99


@wp.kernel(enable_backward=False)
def quad_gradients(
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
    vertex_gradient: wp.array(dtype=wp.vec3),
    found: wp.array(dtype=vec10),
):
    """What a quad's centre asks of its corners: the gradient of those in even slots, of those in odd slots, and of the four gammas."""
    number = wp.tid() + offset
    if number >= quad_room(counts, vertices.shape[0], edges.shape[0]):
        return
    q = quad_of(number, n, weights, cases, tally, ends, loop_of_edge, edges)
    even = q.gammas[0] * q.gammas[2]
    odd = q.gammas[1] * q.gammas[3]
    total = even + odd
    given = 0.5 * vertex_gradient[dual_count(counts) + number]
    across = vertices[q.corners[0]] + vertices[q.corners[2]] - vertices[q.corners[1]] - vertices[q.corners[3]]
    share_gradient = wp.dot(given, across) / (total * total)
    even_gradient = share_gradient * odd
    odd_gradient = -share_gradient * even
    result = vec10()
    for c in range(3):
        result[c] = given[c] * (even / total)
        result[3 + c] = given[c] * (odd / total)
    result[6] = even_gradient * q.gammas[2]
    result[7] = odd_gradient * q.gammas[3]
    result[8] = even_gradient * q.gammas[0]
    result[9] = odd_gradient * q.gammas[1]
    found[number] = result


@wp.kernel(enable_backward=False)
def cube_gradients(
    offset: int,
    n: int,
    points: wp.array(dtype=wp.vec3),
    sdf: wp.array(dtype=float),
    weights: wp.array2d(dtype=float),
    cases: wp.array(dtype=wp.int16),
    tally: wp.array(dtype=wp.int64),
    ends: wp.array(dtype=wp.int64),
    loop_edges: wp.array2d(dtype=int),
    loops: wp.array(dtype=int),
    edges: wp.array(dtype=int),
    counts: wp.array(dtype=int),
    vertices: wp.array(dtype=wp.vec3),
    vertex_gradient: wp.array(dtype=wp.vec3),
    regularity_gradient: wp.array(dtype=float),
    changes_gradient: wp.array(dtype=float),
    quad_gradient: wp.array(dtype=vec10),
    corner_gradient: wp.array2d(dtype=wp.vec4),
    weights_gradient: wp.array2d(dtype=float),
):
    """The thread of a cube's first dual vertex finds the gradients of its weights and of its corners (position, distance)."""
    row = wp.tid() + offset
    if row >= dual_count(counts):
        return
    if (loops[row] & 3) != 0:
        return
    cube = loops[row] >> 2
    case = int(cases[cube])
    place = place_of(cube, n)
    base = (place[0] * (n + 1) + place[1]) * (n + 1) + place[2]
    alphas = alphas_of(weights, cube)
    alpha_gradient = vec8()
    corner_sum = mat8x4()
    gamma_gradient = float(0.0)
    room = quad_room(counts, vertices.shape[0], edges.shape[0])
    spread_gradient = regularity_gradient[0] / float(wp.max(counts[1], 1))
    last = wp.min(row + int(tally[cube] & wp.int64(7)), vertices.shape[0])
    for dual in range(row, last):
        entry = 4 * case + dual - row
        size = loop_edges[entry, 12]
        middle = vertices[dual]
        gradient = vertex_gradient[dual]
        crossings = mat12x3()
        distances = vec12()
        total = float(0.0)
        mean = float(0.0)
        for e in range(size):
            edge = loop_edges[entry, e]
            crossing = crossing_of(edge, base, place, alphas, points, sdf, n)
            crossings[e] = crossing
            distances[e] = wp.length(crossing - middle)
            mean += distances[e]
            total += squashed(weights, cube, 8 + edge)
            axis = edge >> 2
            corner = low_corner(edge)
            owner = cube + corner_step(corner, n)
            quad = int((ends[owner] - tally[owner]) >> wp.int64(32)) + quads_before(int(cases[owner]), axis)
            if quad < room:
                asked = quad_gradient[quad]
                slot = slot_of(axis, corner)
                at = 3 * (slot & 1)
                gradient += wp.vec3(asked[at], asked[at + 1], asked[at + 2])
                gamma_gradient += asked[6 + slot]
        mean = mean / float(size)
        balance = float(0.0)
        for e in range(size):
            balance += sign_of(distances[e] - mean)
        balance = balance / float(size)
        for e in range(size):
            away = crossings[e] - middle
            if distances[e] > 0.0:
                pull = spread_gradient * (sign_of(distances[e] - mean) - balance) / distances[e]
                gradient -= pull * away
        gradient = gradient / total
        for e in range(size):
            edge = loop_edges[entry, e]
            away = crossings[e] - middle
            beta = squashed(weights, cube, 8 + edge)
            asked_here = beta * gradient
            if distances[e] > 0.0:
                pull = spread_gradient * (sign_of(distances[e] - mean) - balance) / distances[e]
                asked_here += pull * away
            weights_gradient[cube, 8 + edge] = wp.dot(gradient, away) * slope(beta)
            low = low_corner(edge)
            high = low | (1 << (edge >> 2))
            start = base + corner_step(low, n + 1)
            end = base + corner_step(high, n + 1)
            low_distance = distance_at(sdf, start, place, low, n)
            high_distance = distance_at(sdf, end, place, high, n)
            weighted_low = wp.abs(low_distance) * alphas[low]
            weighted_high = wp.abs(high_distance) * alphas[high]
            along = share_along(weighted_low, weighted_high)
            along_gradient = wp.dot(asked_here, points[end] - points[start])
            both = weighted_low + weighted_high
            low_gradient = along_gradient / 1.0e-6
            high_gradient = float(0.0)
            if both >= 1.0e-6:
                low_gradient = along_gradient * weighted_high / (both * both)
                high_gradient = -along_gradient * weighted_low / (both * both)
            alpha_gradient[low] = alpha_gradient[low] + low_gradient * wp.abs(low_distance)
            alpha_gradient[high] = alpha_gradient[high] + high_gradient * wp.abs(high_distance)
            low_gradient *= alphas[low] * sign_of(low_distance)
            high_gradient *= alphas[high] * sign_of(high_distance)
            for c in range(3):
                corner_sum[low, c] = corner_sum[low, c] + (1.0 - along) * asked_here[c]
                corner_sum[high, c] = corner_sum[high, c] + along * asked_here[c]
            corner_sum[low, 3] = corner_sum[low, 3] + low_gradient
            corner_sum[high, 3] = corner_sum[high, 3] + high_gradient
    quad = int((ends[cube] - tally[cube]) >> wp.int64(32))
    share = changes_gradient[0] / float(wp.max(counts[1] // 4, 1))
    for axis in range(3):
        upper = 1 << axis
        if bit(case, 0) != bit(case, upper):
            if quad < room:
                for end in range(2):
                    corner = end * upper
                    value = distance_at(sdf, base + corner_step(corner, n + 1), place, corner, n)
                    change = share * sign_of(value) / (1.0 + wp.exp(-wp.abs(value)))
                    corner_sum[corner, 3] = corner_sum[corner, 3] + change
            quad += 1
    for corner in range(8):
        corner_gradient[row, corner] = corner_sum[corner]
        weights_gradient[cube, corner] = alpha_gradient[corner] * slope(alphas[corner])
    weights_gradient[cube, WEIGHTS - 1] = 0.5 * gamma_gradient * slope(squashed(weights, cube, WEIGHTS - 1))


@wp.func
def sign_of(value: float):
    """-1, 0 or 1; Warp's own knows no 0."""
    result = float(0.0)
    if value > 0.0:
        result = 1.0
    elif value < 0.0:
        result = -1.0
    return result


@wp.func
def cube_below(place: wp.vec3i, corner: int, n: int):
    """The cube that has the point at `place` for this corner, -1 beyond the lattice."""
    x = place[0] - bit(corner, 0)
    y = place[1] - bit(corner, 1)
    z = place[2] - bit(corner, 2)
    cube = (x * n + y) * n + z
    if x < 0 or y < 0 or z < 0 or x == n or y == n or z == n:
        cube = -1
    return cube


@wp.kernel(enable_backward=False)
def point_gradients(
    offset: int,
    n: int,
    sdf: wp.array(dtype=float),
    cases: wp.array(dtype=wp.int16),
    tally: wp.array(dtype=wp.int64),
    ends: wp.array(dtype=wp.int64),
    loops: wp.array(dtype=int),
    counts: wp.array(dtype=int),
    corner_gradient: wp.array2d(dtype=wp.vec4),
    point_gradient: wp.array(dtype=wp.vec3),
    sdf_gradient: wp.array(dtype=float),
):
    """What the cubes around each point ask of it, found by the thread of one of them: the first, in the order of its corners.

    Nothing reaches a distance that was raised.
    """
    row = wp.tid() + offset
    if row >= dual_count(counts):
        return
    if (loops[row] & 3) != 0:
        return
    mine = loops[row] >> 2
    lowest = place_of(mine, n)
    for corner in range(8):
        place = lowest + wp.vec3i(bit(corner, 0), bit(corner, 1), bit(corner, 2))
        own = int(1)
        total = corner_gradient[row, corner]
        for other in range(8):
            cube = cube_below(place, other, n)
            if cube >= 0 and other != corner:
                if int(cases[cube]) != 0:
                    first = first_dual(ends, tally, cube)
                    if first < corner_gradient.shape[0]:  # one whose dual vertices found no room has no thread
                        if other < corner:
                            own = 0
                            break
                        total += corner_gradient[first, other]
        if own != 0:
            point = (place[0] * (n + 1) + place[1]) * (n + 1) + place[2]
            x = wp.min(place[0], n - place[0])
            y = wp.min(place[1], n - place[1])
            z = wp.min(place[2], n - place[2])
            if wp.min(wp.min(x, y), z) == 0 and sdf[point] < BOUNDARY:
                total[3] = 0.0
            point_gradient[point] = wp.vec3(total[0], total[1], total[2])
            sdf_gradient[point] = total[3]
