"""Warp kernels that blend pixels across the silhouette edges between them.

A pair is a pixel and its right (axis 0) or lower (axis 1) neighbour. `find_edges` decides each pair's weight and edge; the blend and its
adjoints gather from the (up to four) pairs of a pixel, so only the gradient of the positions is scattered.
"""

# ruff: noqa: UP018 (float(0.0) declares a variable; a bare literal would be a constant to Warp)
import warp as wp

REACH = wp.constant(
    0.0625
)  # pixels by which a crossing may miss the segment between the pixel centres: positions are rounded
SECOND_IS_NEAR = wp.constant(1 << 30)  # flag in an edge's code: the pair's second pixel shows the nearer surface


@wp.kernel(enable_backward=False)
def to_screen(
    offset: int,
    positions: wp.array(dtype=wp.vec4),
    half_width: float,
    half_height: float,
    screen: wp.array(dtype=wp.vec3),
):
    """Position from the image's middle in pixels, and w."""
    i = wp.tid() + offset
    p = positions[i]
    screen[i] = wp.vec3(p[0] / p[3] * half_width, p[1] / p[3] * half_height, p[3])


@wp.func
def relative(p: wp.vec3, center: wp.vec2, axis: int):
    """From a pixel centre, as (along the pair, across it)."""
    out = wp.vec2(p[0] - center[0], p[1] - center[1])
    if axis == 1:
        out = wp.vec2(p[1] - center[1], p[0] - center[0])
    return out


@wp.func
def center_of(pixel: int, width: int, height: int):
    """Centre of a pixel, from the image's middle in pixels."""
    row = (pixel // width) % height
    return wp.vec2(float(pixel % width) + 0.5 - 0.5 * float(width), float(row) + 0.5 - 0.5 * float(height))


@wp.func
def crosses(a: wp.vec2, b: wp.vec2):
    return (a[1] > 0.0) != (b[1] > 0.0)


@wp.func
def crossing(a: wp.vec2, b: wp.vec2):
    """Where the edge meets the line through the pixel centres."""
    return a[0] - a[1] * (b[0] - a[0]) / (b[1] - a[1])


@wp.func
def side_of(a: wp.vec2, b: wp.vec2, point: wp.vec2):
    return (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])


@wp.kernel(enable_backward=False)
def find_edges(
    offset: int,
    screen: wp.array2d(dtype=wp.vec3),
    faces: wp.array2d(dtype=int),
    adjacency: wp.array2d(dtype=int),
    width: int,
    height: int,
    walk: int,
    barycentric: wp.array(dtype=wp.vec4),
    triangle: wp.array(dtype=int),
    weight: wp.array2d(dtype=float),
    edge: wp.array2d(dtype=int),
):
    """weight[axis, pixel] in [-0.5, 0.5] and edge[axis, pixel] = 3 triangle + opposite corner (+ SECOND_IS_NEAR) of each pair.

    From the near pixel's centre towards the far one, the near triangle is left through one of its edges. If that is no silhouette the
    walk steps into the neighbour over it, at most `walk` times, until it meets a silhouette, the far triangle or the far pixel.
    weight > 0: the far colour reaches into the near pixel; < 0: the near colour covers part of the far pixel.
    """
    axis, item = wp.tid()
    first = item + offset
    weight[axis, first] = 0.0
    edge[axis, first] = 0
    second = first + 1
    if axis == 1:
        second = first + width
        if (first // width) % height == height - 1:
            return
    elif first % width == width - 1:
        return
    t = triangle[first]
    far = triangle[second]
    if t == far:
        return
    near = first
    flag = int(0)
    direction = float(1.0)
    if t < 0 or (far >= 0 and barycentric[second][2] <= barycentric[first][2]):
        t = triangle[second]
        far = triangle[first]
        near = second
        flag = SECOND_IS_NEAR
        direction = -1.0
    image = first // (width * height)
    center = center_of(near, width, height)
    entry = int(-1)  # the edge of `t` through which the walk came in
    left = walk + 1
    while left > 0:
        left -= 1
        p0 = screen[image, faces[t, 0]]
        p1 = screen[image, faces[t, 1]]
        p2 = screen[image, faces[t, 2]]
        if p0[2] <= 0.0 or p1[2] <= 0.0 or p2[2] <= 0.0:
            return
        s0 = relative(p0, center, axis)
        s1 = relative(p1, center, axis)
        s2 = relative(p2, center, axis)
        exit = int(-1)
        distance = float(-1.0e30)
        if entry != 0 and crosses(s1, s2):
            distance = direction * crossing(s1, s2)
            exit = 0
        if entry != 1 and crosses(s2, s0):
            d = direction * crossing(s2, s0)
            if d > distance:
                distance = d
                exit = 1
        if entry != 2 and crosses(s0, s1):
            d = direction * crossing(s0, s1)
            if d > distance:
                distance = d
                exit = 2
        if exit < 0 or distance <= -REACH or distance >= 1.0 + REACH:
            return
        a = s1
        b = s2
        own = s0
        if exit == 1:
            a = s2
            b = s0
            own = s1
        elif exit == 2:
            a = s0
            b = s1
            own = s2
        across = adjacency[t, exit]
        silhouette = int(1)
        if across >= 0:
            p = screen[image, faces[across // 3, across % 3]]
            if p[2] > 0.0 and side_of(a, b, own) * side_of(a, b, relative(p, center, axis)) <= 0.0:
                silhouette = 0
        if silhouette == 1:
            if wp.abs(b[1] - a[1]) >= wp.abs(b[0] - a[0]):  # flatter edges are the other axis's
                weight[axis, first] = 0.5 - wp.clamp(distance, 0.0, 1.0)
                edge[axis, first] = t * 3 + exit + flag
            return
        t = across // 3
        entry = across % 3
        if t == far:
            return


@wp.func
def share(weight: wp.array2d(dtype=float), edge: wp.array2d(dtype=int), axis: int, pair: int, of_first: int):
    """How much of the other pixel's colour the pair's first (or second) pixel takes: |weight| if it is the one blended, else 0."""
    taken = float(0.0)
    w = weight[axis, pair]
    if w != 0.0:
        first_takes = wp.where((edge[axis, pair] >> 30) == 0, 1, 0)  # the near pixel takes where weight > 0
        if w < 0.0:
            first_takes = 1 - first_takes
        if first_takes == of_first:
            taken = wp.abs(w)
    return taken


@wp.kernel(enable_backward=False)
def blend(
    offset: int,
    color: wp.array2d(dtype=float),
    width: int,
    height: int,
    weight: wp.array2d(dtype=float),
    edge: wp.array2d(dtype=int),
    out: wp.array2d(dtype=float),
):
    """Blend the pixels that take from a neighbour; `out` holds a copy of `color` before."""
    pixel = wp.tid() + offset
    right = share(weight, edge, 0, pixel, 1)
    below = share(weight, edge, 1, pixel, 1)
    left = float(0.0)
    above = float(0.0)
    if pixel % width > 0:
        left = share(weight, edge, 0, pixel - 1, 0)
    if (pixel // width) % height > 0:
        above = share(weight, edge, 1, pixel - width, 0)
    if right + below + left + above == 0.0:
        return
    for c in range(color.shape[1]):
        own = color[pixel, c]
        value = own
        if right > 0.0:
            value += right * (color[pixel + 1, c] - own)
        if below > 0.0:
            value += below * (color[pixel + width, c] - own)
        if left > 0.0:
            value += left * (color[pixel - 1, c] - own)
        if above > 0.0:
            value += above * (color[pixel - width, c] - own)
        out[pixel, c] = value


@wp.kernel(enable_backward=False)
def blend_adjoint_color(
    offset: int,
    grad_out: wp.array2d(dtype=float),
    width: int,
    height: int,
    weight: wp.array2d(dtype=float),
    edge: wp.array2d(dtype=int),
    grad_color: wp.array2d(dtype=float),
):
    """Gradient of the pixels that gave or took; `grad_color` holds a copy of `grad_out` before."""
    pixel = wp.tid() + offset
    kept = 1.0 - share(weight, edge, 0, pixel, 1) - share(weight, edge, 1, pixel, 1)
    # what the four neighbours took of this pixel's colour
    right = share(weight, edge, 0, pixel, 0)
    below = share(weight, edge, 1, pixel, 0)
    left = float(0.0)
    above = float(0.0)
    if pixel % width > 0:
        kept -= share(weight, edge, 0, pixel - 1, 0)
        left = share(weight, edge, 0, pixel - 1, 1)
    if (pixel // width) % height > 0:
        kept -= share(weight, edge, 1, pixel - width, 0)
        above = share(weight, edge, 1, pixel - width, 1)
    if kept == 1.0 and right + below + left + above == 0.0:
        return
    for c in range(grad_out.shape[1]):
        value = grad_out[pixel, c] * kept
        if right > 0.0:
            value += right * grad_out[pixel + 1, c]
        if below > 0.0:
            value += below * grad_out[pixel + width, c]
        if left > 0.0:
            value += left * grad_out[pixel - 1, c]
        if above > 0.0:
            value += above * grad_out[pixel - width, c]
        grad_color[pixel, c] = value


@wp.kernel(enable_backward=False)
def blend_adjoint_positions(
    offset: int,
    copy: int,
    screen: wp.array2d(dtype=wp.vec3),
    faces: wp.array2d(dtype=int),
    width: int,
    height: int,
    color: wp.array2d(dtype=float),
    grad_out: wp.array2d(dtype=float),
    weight: wp.array2d(dtype=float),
    edge: wp.array2d(dtype=int),
    grad_positions: wp.array3d(dtype=wp.vec4),
):
    """Gradient of the weights, taken to the clip positions of each pair's edge."""
    axis, item = wp.tid()
    pixel = item + offset
    blended = weight[axis, pixel]
    if blended == 0.0 or wp.abs(blended) >= 0.5:  # at a half the distance was clamped
        return
    code = edge[axis, pixel]
    other = pixel + wp.where(axis == 0, 1, width)
    near = pixel
    far = other
    direction = float(1.0)
    if (code >> 30) != 0:
        code -= SECOND_IS_NEAR
        near = other
        far = pixel
        direction = -1.0
    target = wp.where(blended > 0.0, near, far)
    g = float(0.0)
    for c in range(color.shape[1]):
        g += grad_out[target, c] * (color[far, c] - color[near, c])
    if g == 0.0:
        return
    g = -g * direction  # weight = 0.5 - direction * crossing
    t = code // 3
    corner = code % 3
    image = near // (width * height)
    center = center_of(near, width, height)
    ia = faces[t, (corner + 1) % 3]
    ib = faces[t, (corner + 2) % 3]
    pa = screen[image, ia]
    pb = screen[image, ib]
    a = relative(pa, center, axis)
    b = relative(pb, center, axis)
    # the ends lie on either side of the line and the edge is steep, so none of these quotients exceeds 1
    inverse = 1.0 / (b[1] - a[1])
    x = a[0] - a[1] * (b[0] - a[0]) * inverse
    # screen gradients of both ends, along and across the pair
    ga = wp.vec2(g * b[1] * inverse, g * (x - b[0]) * inverse)
    gb = wp.vec2(-g * a[1] * inverse, g * (a[0] - x) * inverse)
    if axis == 1:
        ga = wp.vec2(ga[1], ga[0])
        gb = wp.vec2(gb[1], gb[0])
    # x on screen = x / w * half: what it does to x, y and w
    half_width = 0.5 * float(width)
    half_height = 0.5 * float(height)
    fall_a = -(ga[0] * pa[0] + ga[1] * pa[1]) / pa[2]
    fall_b = -(gb[0] * pb[0] + gb[1] * pb[1]) / pb[2]
    slope_a = wp.vec4(ga[0] * half_width / pa[2], ga[1] * half_height / pa[2], 0.0, fall_a)
    slope_b = wp.vec4(gb[0] * half_width / pb[2], gb[1] * half_height / pb[2], 0.0, fall_b)
    wp.atomic_add(grad_positions, copy, image, ia, slope_a)
    wp.atomic_add(grad_positions, copy, image, ib, slope_b)
