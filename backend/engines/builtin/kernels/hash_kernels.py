"""Kernels of the multi-resolution hash grid (Mueller et al. 2022), two features a level.

`levels` [L, 4] holds offset, resolution, size and hashed of each.
"""

# ruff: noqa: D101

import warp as wp

from backend.engines.builtin.kernels.pairs import Corners, add_pair, read_pair, sum_where_equal

vec8i = wp.types.vector(length=8, dtype=int)

PRIME_Y = wp.constant(wp.uint32(2654435761))  # x goes with 1
PRIME_Z = wp.constant(wp.uint32(805459861))
# Up to so many corners an axis, points of neighbouring pixels meet in a cell often enough to sum what they add before they add it.
MEETING = wp.constant(256)


@wp.struct
class Cell:
    fraction: wp.vec3  # where in the cell the point lies
    x: wp.vec2ui  # share of the lower and the upper corner's coordinate in the row's number, an axis each
    y: wp.vec2ui
    z: wp.vec2ui
    first: int  # the level's rows
    size: wp.uint32
    hashed: int


@wp.func
def cell_of(point: wp.vec3, scale: float, levels: wp.array2d(dtype=int), level: int):
    """The cell of the point p * scale + 0.5.

    Its corners' rows: the corner's place in the grid, or where that has no room the xor of the coordinates times three primes.
    """
    c = Cell()
    c.first = levels[level, 0]
    c.size = wp.uint32(levels[level, 2])
    c.hashed = levels[level, 3]
    p = point * scale + wp.vec3(0.5, 0.5, 0.5)
    x = wp.floor(p[0])
    y = wp.floor(p[1])
    z = wp.floor(p[2])
    c.fraction = wp.vec3(p[0] - x, p[1] - y, p[2] - z)
    step_y = PRIME_Y
    step_z = PRIME_Z
    if c.hashed == 0:
        step_y = wp.uint32(levels[level, 1])
        step_z = step_y * step_y
    low_x = wp.uint32(int(x))
    low_y = wp.uint32(int(y)) * step_y
    low_z = wp.uint32(int(z)) * step_z
    c.x = wp.vec2ui(low_x, low_x + wp.uint32(1))
    c.y = wp.vec2ui(low_y, low_y + step_y)
    c.z = wp.vec2ui(low_z, low_z + step_z)
    return c


@wp.func
def rows_of(c: Cell):
    """Rows of the corners, x fastest. They wrap at the level's size, so that points outside [0, 1] read something and never beyond.

    All are known before the first is read, so that the reads do not wait for one another.
    """
    rows = vec8i()
    for corner in range(8):
        x = c.x[corner & 1]
        y = c.y[(corner >> 1) & 1]
        z = c.z[corner >> 2]
        r = x + y + z
        if c.hashed != 0:
            r = (x ^ y ^ z) & (c.size - wp.uint32(1))  # the size of a hashed level is a power of two
        elif r >= c.size:
            r = r % c.size
        rows[corner] = c.first + int(r)
    return rows


@wp.func
def cell_number(point: wp.vec3, scale: float, level: int):
    """A number no other cell has of the levels up to `MEETING` corners an axis; -1 outside the cube."""
    p = point * scale + wp.vec3(0.5, 0.5, 0.5)
    x = int(wp.floor(p[0]))
    y = int(wp.floor(p[1]))
    z = int(wp.floor(p[2]))
    number = -1
    if x >= 0 and y >= 0 and z >= 0 and x < MEETING and y < MEETING and z < MEETING:
        number = x + MEETING * (y + MEETING * (z + MEETING * level))  # 24 bits, and 5 for the level
    return number


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
    c = cell_of(points[item], scales[level], levels, level)
    f = c.fraction
    rows = rows_of(c)
    total = wp.vec2(0.0, 0.0)
    for corner in range(8):
        bx = corner & 1
        by = (corner >> 1) & 1
        bz = corner >> 2
        w = axis_weight(f[0], bx) * axis_weight(f[1], by) * axis_weight(f[2], bz)
        total += read_pair(table, rows[corner]) * w
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
    g = output_gradient[item, level]
    if g[0] == 0.0 and g[1] == 0.0:
        return  # a blank row of a list: all of them lie in the same cell, and would queue for it
    c = cell_of(points[item], scales[level], levels, level)
    f = c.fraction
    rows = rows_of(c)
    shares = Corners()
    for corner in range(8):
        bx = corner & 1
        by = (corner >> 1) & 1
        bz = corner >> 2
        w = axis_weight(f[0], bx) * axis_weight(f[1], by) * axis_weight(f[2], bz)
        shares[corner, 0] = g[0] * w
        shares[corner, 1] = g[1] * w
    if levels[level, 1] <= MEETING:
        shares = sum_where_equal(cell_number(points[item], scales[level], level), shares)
    for corner in range(8):
        add_pair(table_gradient, rows[corner], shares[corner, 0], shares[corner, 1])


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
        c = cell_of(points[item], scales[level], levels, level)
        f = c.fraction
        rows = rows_of(c)
        g = output_gradient[item, level]
        slope = wp.vec3(0.0, 0.0, 0.0)
        for corner in range(8):
            bx = corner & 1
            by = (corner >> 1) & 1
            bz = corner >> 2
            wx = axis_weight(f[0], bx)
            wy = axis_weight(f[1], by)
            wz = axis_weight(f[2], bz)
            d = wp.dot(g, read_pair(table, rows[corner]))
            sx = float(2 * bx - 1)
            sy = float(2 * by - 1)
            sz = float(2 * bz - 1)
            slope += wp.vec3(sx * wy * wz, wx * sy * wz, wx * wy * sz) * d
        total += slope * scales[level]
    point_gradient[item] = total
