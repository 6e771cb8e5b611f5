"""Kernels of the multi-resolution hash grid (Mueller et al. 2022), two features a level.

`levels` [L, 4] holds offset, resolution, size and hashed of each.
"""

# ruff: noqa: D101

import warp as wp

PRIME_Y = wp.constant(wp.uint32(2654435761))  # x goes with 1
PRIME_Z = wp.constant(wp.uint32(805459861))


@wp.struct
class Cell:
    x: int
    y: int
    z: int
    fraction: wp.vec3


@wp.func
def cell_of(point: wp.vec3, scale: float):
    """The cell of the point p * scale + 0.5 and where in it the point lies."""
    c = Cell()
    p = point * scale + wp.vec3(0.5, 0.5, 0.5)
    x = wp.floor(p[0])
    y = wp.floor(p[1])
    z = wp.floor(p[2])
    c.x = int(x)
    c.y = int(y)
    c.z = int(z)
    c.fraction = wp.vec3(p[0] - x, p[1] - y, p[2] - z)
    return c


@wp.func
def row_of(x: int, y: int, z: int, resolution: int, size: int, hashed: int):
    """Row within the level: the corner's place in the grid, or where that has no room the xor of the coordinates times three primes.

    Wraps at the size, so that points outside [0, 1] read something and never beyond.
    """
    r = wp.uint32(0)
    if hashed != 0:
        r = wp.uint32(x) ^ (wp.uint32(y) * PRIME_Y) ^ (wp.uint32(z) * PRIME_Z)
        r = r & wp.uint32(size - 1)  # the size of a hashed level is a power of two
    else:
        n = wp.uint32(resolution)
        r = wp.uint32(x) + n * (wp.uint32(y) + n * wp.uint32(z))
        if r >= wp.uint32(size):
            r = r % wp.uint32(size)
    return int(r)


@wp.func
def axis_weight(fraction: float, upper: int):
    w = 1.0 - fraction
    if upper != 0:
        w = fraction
    return w


@wp.kernel(enable_backward=False)
def hash_values(
    offset: int,
    points: wp.array(dtype=wp.vec3),
    table: wp.array(dtype=wp.vec2),
    levels: wp.array2d(dtype=int),
    scales: wp.array(dtype=float),
    values: wp.array2d(dtype=wp.vec2),
):
    level, i = wp.tid()  # level by level: its rows stay in the cache
    item = i + offset
    c = cell_of(points[item], scales[level])
    f = c.fraction
    first = levels[level, 0]
    resolution = levels[level, 1]
    size = levels[level, 2]
    hashed = levels[level, 3]
    total = wp.vec2(0.0, 0.0)
    for corner in range(8):
        bx = corner & 1
        by = (corner >> 1) & 1
        bz = corner >> 2
        w = axis_weight(f[0], bx) * axis_weight(f[1], by) * axis_weight(f[2], bz)
        total += table[first + row_of(c.x + bx, c.y + by, c.z + bz, resolution, size, hashed)] * w
    values[item, level] = total


@wp.kernel(enable_backward=False)
def hash_table_gradients(
    first_level: int,
    points: wp.array(dtype=wp.vec3),
    levels: wp.array2d(dtype=int),
    scales: wp.array(dtype=float),
    output_gradient: wp.array2d(dtype=wp.vec2),
    table_gradient: wp.array(dtype=wp.vec2),
):
    level_index, item = wp.tid()
    level = level_index + first_level
    c = cell_of(points[item], scales[level])
    f = c.fraction
    first = levels[level, 0]
    resolution = levels[level, 1]
    size = levels[level, 2]
    hashed = levels[level, 3]
    g = output_gradient[item, level]
    for corner in range(8):
        bx = corner & 1
        by = (corner >> 1) & 1
        bz = corner >> 2
        w = axis_weight(f[0], bx) * axis_weight(f[1], by) * axis_weight(f[2], bz)
        row = first + row_of(c.x + bx, c.y + by, c.z + bz, resolution, size, hashed)
        wp.atomic_add(table_gradient, row, g * w)


@wp.kernel(enable_backward=False)
def hash_point_gradients(
    offset: int,
    points: wp.array(dtype=wp.vec3),
    table: wp.array(dtype=wp.vec2),
    levels: wp.array2d(dtype=int),
    scales: wp.array(dtype=float),
    output_gradient: wp.array2d(dtype=wp.vec2),
    point_gradient: wp.array(dtype=wp.vec3),
):
    item = wp.tid() + offset
    total = wp.vec3(0.0, 0.0, 0.0)
    for level in range(levels.shape[0]):
        c = cell_of(points[item], scales[level])
        f = c.fraction
        first = levels[level, 0]
        resolution = levels[level, 1]
        size = levels[level, 2]
        hashed = levels[level, 3]
        g = output_gradient[item, level]
        slope = wp.vec3(0.0, 0.0, 0.0)
        for corner in range(8):
            bx = corner & 1
            by = (corner >> 1) & 1
            bz = corner >> 2
            wx = axis_weight(f[0], bx)
            wy = axis_weight(f[1], by)
            wz = axis_weight(f[2], bz)
            row = first + row_of(c.x + bx, c.y + by, c.z + bz, resolution, size, hashed)
            d = wp.dot(g, table[row])
            sx = float(2 * bx - 1)
            sy = float(2 * by - 1)
            sz = float(2 * bz - 1)
            slope += wp.vec3(sx * wy * wz, wx * sy * wz, wx * wy * sz) * d
        total += slope * scales[level]
    point_gradient[item] = total
