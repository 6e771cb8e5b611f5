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


@wp.func
def to_pixels(p: wp.vec4, center: wp.vec2, half: wp.vec2, axis: int):
    """Position on screen relative to a pixel centre, in pixels, as (along the pair, across it)."""
    x = p[0] / p[3] * half[0] - center[0]
    y = p[1] / p[3] * half[1] - center[1]
    out = wp.vec2(x, y)
    if axis == 1:
        out = wp.vec2(y, x)
    return out


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
    positions: wp.array2d(dtype=wp.vec4),
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
    pixel = item + offset
    row = (pixel // width) % height
    column = pixel % width
    found = float(0.0)
    code = int(0)
    inside = column < width - 1
    other = pixel + 1
    if axis == 1:
        inside = row < height - 1
        other = pixel + width
    first_triangle = triangle[pixel]
    second_triangle = first_triangle
    if inside:
        second_triangle = triangle[other]
    if first_triangle != second_triangle:
        image = pixel // (width * height)
        t = first_triangle
        far = second_triangle
        flag = int(0)
        direction = float(1.0)
        if first_triangle < 0 or (second_triangle >= 0 and barycentric[other][2] <= barycentric[pixel][2]):
            t = second_triangle
            far = first_triangle
            flag = SECOND_IS_NEAR
            direction = float(-1.0)
            if axis == 0:
                column += 1
            else:
                row += 1
        half = wp.vec2(0.5 * float(width), 0.5 * float(height))
        center = wp.vec2(float(column) + 0.5 - half[0], float(row) + 0.5 - half[1])
        entry = int(-1)  # the edge of `t` through which the walk came in
        left = walk + 1
        while left > 0:
            left -= 1
            p0 = positions[image, faces[t, 0]]
            p1 = positions[image, faces[t, 1]]
            p2 = positions[image, faces[t, 2]]
            if p0[3] <= 0.0 or p1[3] <= 0.0 or p2[3] <= 0.0:
                left = int(0)
            else:
                s0 = to_pixels(p0, center, half, axis)
                s1 = to_pixels(p1, center, half, axis)
                s2 = to_pixels(p2, center, half, axis)
                exit = int(-1)
                distance = float(-1.0e30)
                if entry != 0 and crosses(s1, s2):
                    distance = direction * crossing(s1, s2)
                    exit = int(0)
                if entry != 1 and crosses(s2, s0):
                    d = direction * crossing(s2, s0)
                    if d > distance:
                        distance = d
                        exit = int(1)
                if entry != 2 and crosses(s0, s1):
                    d = direction * crossing(s0, s1)
                    if d > distance:
                        distance = d
                        exit = int(2)
                if exit < 0 or distance <= -REACH or distance >= 1.0 + REACH:
                    left = int(0)
                else:
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
                        p = positions[image, faces[across // 3, across % 3]]
                        if p[3] > 0.0:
                            wing = to_pixels(p, center, half, axis)
                            if side_of(a, b, own) * side_of(a, b, wing) <= 0.0:
                                silhouette = int(0)
                    if silhouette == 1:
                        if wp.abs(b[1] - a[1]) >= wp.abs(b[0] - a[0]):  # flatter edges are the other axis's
                            found = 0.5 - wp.clamp(distance, 0.0, 1.0)
                            code = t * 3 + exit + flag
                        left = int(0)
                    else:
                        t = across // 3
                        entry = across % 3
                        if t == far:
                            left = int(0)
    weight[axis, pixel] = found
    edge[axis, pixel] = code


@wp.func
def share(weight: float, code: int, of_first: int):
    """How much of the other pixel's colour the pair's first (or second) pixel takes: |weight| if it is the one blended, else 0."""
    first_takes = wp.where((code >> 30) == 0, 1, 0)  # the near pixel takes where weight > 0
    if weight < 0.0:
        first_takes = 1 - first_takes
    taken = float(0.0)
    if first_takes == of_first:
        taken = wp.abs(weight)
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
    pixel = wp.tid() + offset
    right = share(weight[0, pixel], edge[0, pixel], 1)
    below = share(weight[1, pixel], edge[1, pixel], 1)
    left = float(0.0)
    above = float(0.0)
    if pixel % width > 0:
        left = share(weight[0, pixel - 1], edge[0, pixel - 1], 0)
    if (pixel // width) % height > 0:
        above = share(weight[1, pixel - width], edge[1, pixel - width], 0)
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
    pixel = wp.tid() + offset
    kept = 1.0 - share(weight[0, pixel], edge[0, pixel], 1) - share(weight[1, pixel], edge[1, pixel], 1)
    # what the four neighbours took of this pixel's colour
    right = share(weight[0, pixel], edge[0, pixel], 0)
    below = share(weight[1, pixel], edge[1, pixel], 0)
    left = float(0.0)
    above = float(0.0)
    if pixel % width > 0:
        kept -= share(weight[0, pixel - 1], edge[0, pixel - 1], 0)
        left = share(weight[0, pixel - 1], edge[0, pixel - 1], 1)
    if (pixel // width) % height > 0:
        kept -= share(weight[1, pixel - width], edge[1, pixel - width], 0)
        above = share(weight[1, pixel - width], edge[1, pixel - width], 1)
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
    positions: wp.array2d(dtype=wp.vec4),
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
    step = wp.where(axis == 0, 1, width)
    near = pixel
    far = pixel + step
    direction = float(1.0)
    if (code >> 30) != 0:
        code -= SECOND_IS_NEAR
        near = pixel + step
        far = pixel
        direction = float(-1.0)
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
    half = wp.vec2(0.5 * float(width), 0.5 * float(height))
    center = wp.vec2(float(near % width) + 0.5 - half[0], float((near // width) % height) + 0.5 - half[1])
    ia = faces[t, (corner + 1) % 3]
    ib = faces[t, (corner + 2) % 3]
    pa = positions[image, ia]
    pb = positions[image, ib]
    a = to_pixels(pa, center, half, axis)
    b = to_pixels(pb, center, half, axis)
    # the ends lie on either side of the line and the edge is steep, so none of these quotients exceeds 1
    inverse = 1.0 / (b[1] - a[1])
    x = a[0] - a[1] * (b[0] - a[0]) * inverse
    # screen gradients of both ends, along and across the pair
    ga = wp.vec2(g * b[1] * inverse, g * (x - b[0]) * inverse)
    gb = wp.vec2(-g * a[1] * inverse, g * (a[0] - x) * inverse)
    if axis == 1:
        ga = wp.vec2(ga[1], ga[0])
        gb = wp.vec2(gb[1], gb[0])
    ga = wp.vec2(ga[0] * half[0] / pa[3], ga[1] * half[1] / pa[3])
    gb = wp.vec2(gb[0] * half[0] / pb[3], gb[1] * half[1] / pb[3])
    wp.atomic_add(grad_positions, copy, image, ia, wp.vec4(ga[0], ga[1], 0.0, -(ga[0] * pa[0] + ga[1] * pa[1]) / pa[3]))
    wp.atomic_add(grad_positions, copy, image, ib, wp.vec4(gb[0], gb[1], 0.0, -(gb[0] * pb[0] + gb[1] * pb[1]) / pb[3]))
