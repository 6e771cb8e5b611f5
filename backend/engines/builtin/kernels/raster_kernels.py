"""Warp kernels that find the triangle seen at each pixel, one source for the CPU and CUDA.

Homogeneous edge functions relative to the pixel (Olano and Greer 1997): no clipping against the near plane. A pixel keeps the smallest
64-bit key (ordered z/w in the high half, triangle in the low half), so the order in which triangles come does not matter.
"""

# ruff: noqa: UP018 (float(0.0) declares a variable; a bare literal would be a constant to Warp)
import warp as wp

from backend.engines.builtin.kernels.additions import Twelve, add_some, sum_of_equals

# No fused multiply-adds: they would round a b - c d otherwise than -(c d - a b), and the two triangles of an edge would no longer agree.
wp.set_module_options({"fuse_fp": False})

EMPTY = wp.constant(wp.uint64(0xFFFFFFFFFFFFFFFF))
SIGN_BIT = wp.constant(wp.uint32(0x80000000))
SMALL_BOX = wp.constant(256)  # pixels; larger boxes are cut into tiles of 16 x 16


@wp.func
def cross(ax: float, ay: float, bx: float, by: float):
    """Edge function of a -> b at the origin; swapped ends give exactly the opposite, so two triangles agree on their edge."""
    return ax * by - ay * bx


@wp.func
def edge_inside(value: float, a: wp.vec4, b: wp.vec4):
    """Sign of an edge function. A pixel centre exactly on the edge counts as if moved by (e, e^2): one triangle of two takes it.

    The motion changes the edge function by e (ay bw - aw by) + e^2 (aw bx - ax bw), here from the unshifted ends: it does not depend on
    the pixel.
    """
    inside = value > 0.0
    if value == 0.0:
        tie = a[1] * b[3] - a[3] * b[1]
        if tie == 0.0:
            tie = a[3] * b[0] - a[0] * b[3]
        inside = tie > 0.0
    return inside


@wp.func
def ordered_bits(depth: float):
    """Bits of a float that compare as unsigned integers the way the floats compare."""
    bits = wp.cast(depth, wp.uint32)
    if (bits & SIGN_BIT) != wp.uint32(0):
        bits = ~bits
    else:
        bits = bits | SIGN_BIT
    return bits


@wp.func
def pixel_box(p0: wp.vec4, p1: wp.vec4, p2: wp.vec4, width: int, height: int):
    """Columns and rows (x0, y0, x1, y1), ends included, that the triangle can touch; x1 < x0 when none."""
    x0 = int(0)
    y0 = int(0)
    x1 = width - 1
    y1 = height - 1
    nearest = wp.min(p0[3], wp.min(p1[3], p2[3]))
    farthest = wp.max(p0[3], wp.max(p1[3], p2[3]))
    if not wp.isfinite(wp.length_sq(p0) + wp.length_sq(p1) + wp.length_sq(p2)) or farthest <= 0.0:
        x1 = int(-1)
    elif nearest > 0.0:
        half_w = 0.5 * float(width)
        half_h = 0.5 * float(height)
        ax = (p0[0] / p0[3] + 1.0) * half_w - 0.5
        bx = (p1[0] / p1[3] + 1.0) * half_w - 0.5
        cx = (p2[0] / p2[3] + 1.0) * half_w - 0.5
        ay = (p0[1] / p0[3] + 1.0) * half_h - 0.5
        by = (p1[1] / p1[3] + 1.0) * half_h - 0.5
        cy = (p2[1] / p2[3] + 1.0) * half_h - 0.5
        slack = 1.0e-3  # the box is rounded, the edge functions are not
        x0 = wp.max(0, int(wp.ceil(wp.clamp(wp.min(ax, wp.min(bx, cx)) - slack, -1.0, float(width)))))
        x1 = wp.min(width - 1, int(wp.floor(wp.clamp(wp.max(ax, wp.max(bx, cx)) + slack, -1.0, float(width)))))
        y0 = wp.max(0, int(wp.ceil(wp.clamp(wp.min(ay, wp.min(by, cy)) - slack, -1.0, float(height)))))
        y1 = wp.min(height - 1, int(wp.floor(wp.clamp(wp.max(ay, wp.max(by, cy)) + slack, -1.0, float(height)))))
    return wp.vec4i(x0, y0, x1, y1)


@wp.func
def cover_pixel(
    p0: wp.vec4,
    p1: wp.vec4,
    p2: wp.vec4,
    fx: float,
    fy: float,
    pixel: int,
    triangle: int,
    peel: int,
    previous: wp.array(dtype=wp.uint64),
    keys: wp.array(dtype=wp.uint64),
):
    x0 = p0[0] - fx * p0[3]
    y0 = p0[1] - fy * p0[3]
    x1 = p1[0] - fx * p1[3]
    y1 = p1[1] - fy * p1[3]
    x2 = p2[0] - fx * p2[3]
    y2 = p2[1] - fy * p2[3]
    e0 = cross(x1, y1, x2, y2)
    e1 = cross(x2, y2, x0, y0)
    e2 = cross(x0, y0, x1, y1)
    side = edge_inside(e0, p1, p2)
    if side == edge_inside(e1, p2, p0) and side == edge_inside(e2, p0, p1):
        area = e0 + e1 + e2
        w = e0 * p0[3] + e1 * p1[3] + e2 * p2[3]
        z = e0 * p0[2] + e1 * p1[2] + e2 * p2[2]
        if (area > 0.0 and w > 0.0) or (area < 0.0 and w < 0.0):  # in front of the camera, seen from either side
            depth = z / w
            if depth >= -1.0 and depth <= 1.0:
                key = (wp.uint64(ordered_bits(depth)) << wp.uint64(32)) | wp.uint64(triangle)
                if peel == 0 or key > previous[pixel]:
                    wp.atomic_min(keys, pixel, key)


@wp.kernel(enable_backward=False)
def cover_band(
    image: int,
    first_row: int,
    end_row: int,
    positions: wp.array2d(dtype=wp.vec4),
    faces: wp.array2d(dtype=int),
    width: int,
    height: int,
    peel: int,
    previous: wp.array(dtype=wp.uint64),
    keys: wp.array(dtype=wp.uint64),
):
    """CPU: every triangle against the rows [first_row, end_row) of one image, which this launch alone writes."""
    t = wp.tid()
    p0 = positions[image, faces[t, 0]]
    p1 = positions[image, faces[t, 1]]
    p2 = positions[image, faces[t, 2]]
    box = pixel_box(p0, p1, p2, width, height)
    y0 = wp.max(box[1], first_row)
    y1 = wp.min(box[3], end_row - 1)
    if box[2] < box[0] or y1 < y0:
        return
    sx = 2.0 / float(width)
    sy = 2.0 / float(height)
    for row in range(y0, y1 + 1):
        fy = (float(row) + 0.5) * sy - 1.0
        start = (image * height + row) * width
        for column in range(box[0], box[2] + 1):
            fx = (float(column) + 0.5) * sx - 1.0
            cover_pixel(p0, p1, p2, fx, fy, start + column, t, peel, previous, keys)


@wp.kernel(enable_backward=False)
def cover_small(
    positions: wp.array2d(dtype=wp.vec4),
    faces: wp.array2d(dtype=int),
    width: int,
    height: int,
    peel: int,
    previous: wp.array(dtype=wp.uint64),
    keys: wp.array(dtype=wp.uint64),
    queued: wp.array(dtype=int),
    queue: wp.array(dtype=wp.vec3i),
):
    """CUDA: one thread an (image, triangle). Boxes above SMALL_BOX are queued as tiles (image, triangle, tile) for `cover_tiles`."""
    image, t = wp.tid()
    p0 = positions[image, faces[t, 0]]
    p1 = positions[image, faces[t, 1]]
    p2 = positions[image, faces[t, 2]]
    box = pixel_box(p0, p1, p2, width, height)
    columns = box[2] - box[0] + 1
    rows = box[3] - box[1] + 1
    if columns <= 0 or rows <= 0:
        return
    if columns * rows > SMALL_BOX:
        tx0 = box[0] >> 4
        ty0 = box[1] >> 4
        tx1 = box[2] >> 4
        ty1 = box[3] >> 4
        tiles = (tx1 - tx0 + 1) * (ty1 - ty0 + 1)
        capacity = queue.shape[0]
        if queued[0] < capacity:  # a full queue is not asked again, or the counter could run over
            slot = wp.atomic_add(queued, 0, tiles)
            if slot <= capacity - tiles:
                for ty in range(ty0, ty1 + 1):
                    for tx in range(tx0, tx1 + 1):
                        queue[slot] = wp.vec3i(image, t, (ty << 16) | tx)
                        slot += 1
                return
            # no room: mark what was asked for and cannot be used, and cover the box here
            for unused in range(slot, capacity):
                queue[unused] = wp.vec3i(-1, 0, 0)
    sx = 2.0 / float(width)
    sy = 2.0 / float(height)
    for row in range(box[1], box[3] + 1):
        fy = (float(row) + 0.5) * sy - 1.0
        start = (image * height + row) * width
        for column in range(box[0], box[2] + 1):
            fx = (float(column) + 0.5) * sx - 1.0
            cover_pixel(p0, p1, p2, fx, fy, start + column, t, peel, previous, keys)


@wp.kernel(enable_backward=False)
def cover_tiles(
    positions: wp.array2d(dtype=wp.vec4),
    faces: wp.array2d(dtype=int),
    width: int,
    height: int,
    peel: int,
    previous: wp.array(dtype=wp.uint64),
    keys: wp.array(dtype=wp.uint64),
    queued: wp.array(dtype=int),
    queue: wp.array(dtype=wp.vec3i),
    workers: int,
):
    """CUDA: `workers` groups of 32 lanes drain the queue; its length is read on the device, so the host never waits."""
    worker, lane = wp.tid()
    waiting = wp.min(queued[0], queue.shape[0])
    sx = 2.0 / float(width)
    sy = 2.0 / float(height)
    slot = worker
    while slot < waiting:
        task = queue[slot]
        if task[0] >= 0:
            image = task[0]
            t = task[1]
            p0 = positions[image, faces[t, 0]]
            p1 = positions[image, faces[t, 1]]
            p2 = positions[image, faces[t, 2]]
            box = pixel_box(p0, p1, p2, width, height)
            column = ((task[2] & 0xFFFF) << 4) + (lane & 15)
            first = ((task[2] >> 16) << 4) + (lane >> 4)
            fx = (float(column) + 0.5) * sx - 1.0
            for step in range(8):
                row = first + 2 * step
                if column >= box[0] and column <= box[2] and row >= box[1] and row <= box[3]:
                    fy = (float(row) + 0.5) * sy - 1.0
                    pixel = (image * height + row) * width + column
                    cover_pixel(p0, p1, p2, fx, fy, pixel, t, peel, previous, keys)
        slot += workers


@wp.kernel(enable_backward=False)
def resolve(
    offset: int,
    positions: wp.array2d(dtype=wp.vec4),
    faces: wp.array2d(dtype=int),
    width: int,
    height: int,
    keys: wp.array(dtype=wp.uint64),
    want_derivatives: int,
    barycentric: wp.array(dtype=wp.vec4),
    triangle: wp.array(dtype=int),
    derivatives: wp.array(dtype=wp.vec4),
):
    """u, v, z/w and the triangle of each pixel's key; du/dx, du/dy, dv/dx, dv/dy per pixel if wanted."""
    pixel = wp.tid() + offset
    key = keys[pixel]
    if key == EMPTY:
        barycentric[pixel] = wp.vec4(0.0, 0.0, 0.0, 0.0)
        triangle[pixel] = -1
        if want_derivatives != 0:
            derivatives[pixel] = wp.vec4(0.0, 0.0, 0.0, 0.0)
        return
    t = int(key & wp.uint64(0xFFFFFFFF))
    image = pixel // (width * height)
    row = (pixel // width) % height
    column = pixel % width
    p0 = positions[image, faces[t, 0]]
    p1 = positions[image, faces[t, 1]]
    p2 = positions[image, faces[t, 2]]
    sx = 2.0 / float(width)
    sy = 2.0 / float(height)
    fx = (float(column) + 0.5) * sx - 1.0
    fy = (float(row) + 0.5) * sy - 1.0
    x0 = p0[0] - fx * p0[3]
    y0 = p0[1] - fy * p0[3]
    x1 = p1[0] - fx * p1[3]
    y1 = p1[1] - fy * p1[3]
    x2 = p2[0] - fx * p2[3]
    y2 = p2[1] - fy * p2[3]
    e0 = cross(x1, y1, x2, y2)
    e1 = cross(x2, y2, x0, y0)
    e2 = cross(x0, y0, x1, y1)
    area = e0 + e1 + e2
    u = e0 / area
    v = e1 / area
    depth = (e0 * p0[2] + e1 * p1[2] + e2 * p2[2]) / (e0 * p0[3] + e1 * p1[3] + e2 * p2[3])
    barycentric[pixel] = wp.vec4(u, v, depth, 1.0)
    triangle[pixel] = t
    if want_derivatives != 0:
        # the edge functions' slopes: one step in clip space moves every shifted corner by -w
        d0x = y1 * p2[3] - p1[3] * y2
        d0y = p1[3] * x2 - x1 * p2[3]
        d1x = y2 * p0[3] - p2[3] * y0
        d1y = p2[3] * x0 - x2 * p0[3]
        d2x = y0 * p1[3] - p0[3] * y1
        d2y = p0[3] * x1 - x0 * p1[3]
        dsx = d0x + d1x + d2x
        dsy = d0y + d1y + d2y
        derivatives[pixel] = wp.vec4(
            (d0x - u * dsx) / area * sx,
            (d0y - u * dsy) / area * sy,
            (d1x - v * dsx) / area * sx,
            (d1y - v * dsy) / area * sy,
        )


@wp.kernel(enable_backward=False)
def resolve_adjoint(
    offset: int,
    copy: int,
    positions: wp.array2d(dtype=wp.vec4),
    faces: wp.array2d(dtype=int),
    width: int,
    height: int,
    triangle: wp.array(dtype=int),
    grad_barycentric: wp.array(dtype=wp.vec4),
    grad_positions: wp.array(dtype=float),
):
    """Gradients of u, v and z/w, taken to the clip positions of the triangle's corners: [copies, B, V, 4] as one row of numbers."""
    pixel = wp.tid() + offset
    t = triangle[pixel]
    if t < 0:
        return
    g = grad_barycentric[pixel]
    if g[0] == 0.0 and g[1] == 0.0 and g[2] == 0.0:
        return
    image = pixel // (width * height)
    row = (pixel // width) % height
    column = pixel % width
    i0 = faces[t, 0]
    i1 = faces[t, 1]
    i2 = faces[t, 2]
    p0 = positions[image, i0]
    p1 = positions[image, i1]
    p2 = positions[image, i2]
    fx = (float(column) + 0.5) * (2.0 / float(width)) - 1.0
    fy = (float(row) + 0.5) * (2.0 / float(height)) - 1.0
    x0 = p0[0] - fx * p0[3]
    y0 = p0[1] - fy * p0[3]
    x1 = p1[0] - fx * p1[3]
    y1 = p1[1] - fy * p1[3]
    x2 = p2[0] - fx * p2[3]
    y2 = p2[1] - fy * p2[3]
    e0 = cross(x1, y1, x2, y2)
    e1 = cross(x2, y2, x0, y0)
    e2 = cross(x0, y0, x1, y1)
    area = e0 + e1 + e2
    w = e0 * p0[3] + e1 * p1[3] + e2 * p2[3]
    if wp.abs(area) < 1.0e-12 or wp.abs(w) < 1.0e-12:
        return  # a sliver seen edge on: its gradient is noise without bound
    inverse = 1.0 / area
    inverse_w = 1.0 / w
    u = e0 * inverse
    v = e1 * inverse
    depth = (e0 * p0[2] + e1 * p1[2] + e2 * p2[2]) * inverse_w
    # adjoints of the three edge functions: u = e0 / area, v = e1 / area, depth = sum e z / sum e w
    g_area = -(g[0] * u + g[1] * v) * inverse
    g_z = g[2] * inverse_w
    g_w = -depth * g_z
    g0 = g[0] * inverse + g_area + g_z * p0[2] + g_w * p0[3]
    g1 = g[1] * inverse + g_area + g_z * p1[2] + g_w * p1[3]
    g2 = g_area + g_z * p2[2] + g_w * p2[3]
    # e0 = x1 y2 - y1 x2, e1 = x2 y0 - y2 x0, e2 = x0 y1 - y0 x1
    gx0 = g2 * y1 - g1 * y2
    gy0 = g1 * x2 - g2 * x1
    gx1 = g0 * y2 - g2 * y0
    gy1 = g2 * x0 - g0 * x2
    gx2 = g1 * y0 - g0 * y1
    gy2 = g0 * x1 - g1 * x0
    shares = Twelve()
    shares[0] = wp.vec4(gx0, gy0, g_z * e0, g_w * e0 - fx * gx0 - fy * gy0)
    shares[1] = wp.vec4(gx1, gy1, g_z * e1, g_w * e1 - fx * gx1 - fy * gy1)
    shares[2] = wp.vec4(gx2, gy2, g_z * e2, g_w * e2 - fx * gx2 - fy * gy2)
    shares = sum_of_equals(image * faces.shape[0] + t, shares)
    first = (copy * positions.shape[0] + image) * positions.shape[1]
    add_some(grad_positions, 4 * (first + i0), shares[0], 4)
    add_some(grad_positions, 4 * (first + i1), shares[1], 4)
    add_some(grad_positions, 4 * (first + i2), shares[2], 4)
