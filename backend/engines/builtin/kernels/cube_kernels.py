"""Kernels of the cube texture: faces +X -X +Y -Y +Z -Z with OpenGL's (s, t), levels of [6, n, n] behind one another.

A tap over an edge reads the texel across that edge. At the cube's corners three texels meet: the missing fourth is their mean, so the
function is continuous over the whole sphere.
"""

# ruff: noqa: D101, UP018 (float(0.0) declares a variable; a bare literal would be a constant to Warp)
import warp as wp

from backend.engines.builtin.kernels.texture_kernels import (
    bilinear_weights,
    level_blend,
    scatter,
    tap_sum,
)


@wp.struct
class FacePoint:
    face: int
    s: float
    t: float


@wp.func
def face_of(d: wp.vec3):
    """The face a direction meets and where, s and t in [-1, 1]."""
    p = FacePoint()
    ax = wp.abs(d[0])
    ay = wp.abs(d[1])
    az = wp.abs(d[2])
    if az >= ax and az >= ay:
        m = 1.0 / wp.max(az, 1e-30)  # blank rows have no direction
        p.t = -d[1] * m
        if d[2] >= 0.0:
            p.face = 4
            p.s = d[0] * m
        else:
            p.face = 5
            p.s = -d[0] * m
    elif ay >= ax:
        m = 1.0 / ay
        p.s = d[0] * m
        if d[1] >= 0.0:
            p.face = 2
            p.t = d[2] * m
        else:
            p.face = 3
            p.t = -d[2] * m
    else:
        m = 1.0 / ax
        p.t = -d[1] * m
        if d[0] >= 0.0:
            p.face = 0
            p.s = -d[2] * m
        else:
            p.face = 1
            p.s = d[2] * m
    return p


@wp.func
def face_direction(face: int, s: float, t: float, depth: float):
    """The point (s, t) of a face that stands `depth` from the centre."""
    d = wp.vec3(depth, -t, -s)
    if face == 1:
        d = wp.vec3(-depth, -t, s)
    elif face == 2:
        d = wp.vec3(s, depth, t)
    elif face == 3:
        d = wp.vec3(s, -depth, -t)
    elif face == 4:
        d = wp.vec3(s, -t, depth)
    elif face == 5:
        d = wp.vec3(-s, -t, -depth)
    return d


@wp.func
def face_adjoint(d: wp.vec3, p: FacePoint, gs: float, gt: float):
    """Gradient of the direction from that of (s, t), which are ratios of its components."""
    g = wp.vec3(0.0, 0.0, 0.0)
    if p.face >= 4:
        m = 1.0 / wp.max(wp.abs(d[2]), 1e-30)
        k = wp.sign(d[2])
        g = wp.vec3(k * gs * m, -gt * m, -k * m * (gs * p.s + gt * p.t))
    elif p.face >= 2:
        m = 1.0 / wp.abs(d[1])
        k = wp.sign(d[1])
        g = wp.vec3(gs * m, -k * m * (gs * p.s + gt * p.t), k * gt * m)
    else:
        m = 1.0 / wp.abs(d[0])
        k = wp.sign(d[0])
        g = wp.vec3(-k * m * (gs * p.s + gt * p.t), -gt * m, -k * gs * m)
    return g


@wp.func
def cube_texel(face: int, x: int, y: int, n: int):
    """Number of a texel within a level. One that lies a step over an edge is folded onto the face behind that edge.

    Its centre lies there half a texel below the edge, so the face is lowered by half a texel (1 / n) and the point kept on the edge.
    """
    r = (face * n + y) * n + x
    if x < 0 or y < 0 or x >= n or y >= n:
        step = 2.0 / float(n)
        s = wp.clamp((float(x) + 0.5) * step - 1.0, -1.0, 1.0)
        t = wp.clamp((float(y) + 0.5) * step - 1.0, -1.0, 1.0)
        q = face_of(face_direction(face, s, t, 1.0 - 0.5 * step))
        column = wp.clamp(int(wp.floor((q.s + 1.0) * 0.5 * float(n))), 0, n - 1)
        row = wp.clamp(int(wp.floor((q.t + 1.0) * 0.5 * float(n))), 0, n - 1)
        r = (q.face * n + row) * n + column
    return r


@wp.func
def share_corner(w: wp.vec4, corner: int):
    """The weight of a missing corner texel in equal parts to the other three."""
    part = w[corner] / 3.0
    r = wp.vec4(w[0] + part, w[1] + part, w[2] + part, w[3] + part)
    r[corner] = 0.0
    return r


@wp.func
def cube_taps(p: FacePoint, offset: int, n: int):
    x = (p.s + 1.0) * 0.5 * float(n) - 0.5
    y = (p.t + 1.0) * 0.5 * float(n) - 0.5
    x_floor = wp.clamp(wp.floor(x), -1.0, float(n - 1))  # also keeps a NaN from becoming an address
    y_floor = wp.clamp(wp.floor(y), -1.0, float(n - 1))
    taps = bilinear_weights(x - x_floor, y - y_floor, 0.5 * float(n), 0.5 * float(n))
    x0 = int(x_floor)
    y0 = int(y_floor)
    taps.texel = wp.vec4i(
        offset + cube_texel(p.face, x0, y0, n),
        offset + cube_texel(p.face, x0 + 1, y0, n),
        offset + cube_texel(p.face, x0, y0 + 1, n),
        offset + cube_texel(p.face, x0 + 1, y0 + 1, n),
    )
    corner = int(-1)
    if x0 < 0 and y0 < 0:
        corner = 0
    elif x0 + 1 >= n and y0 < 0:
        corner = 1
    elif x0 < 0 and y0 + 1 >= n:
        corner = 2
    elif x0 + 1 >= n and y0 + 1 >= n:
        corner = 3
    if corner >= 0:
        taps.weight = share_corner(taps.weight, corner)
        taps.slope_x = share_corner(taps.slope_x, corner)
        taps.slope_y = share_corner(taps.slope_y, corner)
    return taps


@wp.kernel(enable_backward=False)
def cube_values(
    offset: int,
    texels: wp.array2d(dtype=float),
    levels: wp.array2d(dtype=int),
    directions: wp.array(dtype=wp.vec3),
    level: wp.array(dtype=float),
    values: wp.array2d(dtype=float),
):
    item = offset + wp.tid()
    blend = level_blend(level[item], levels.shape[0])
    i = blend.fine
    p = face_of(directions[item])
    fine = cube_taps(p, levels[i, 0], levels[i, 1])
    if blend.fraction > 0.0:
        coarse = cube_taps(p, levels[i + 1, 0], levels[i + 1, 1])
        fine_weight = fine.weight * (1.0 - blend.fraction)
        coarse_weight = coarse.weight * blend.fraction
        for channel in range(texels.shape[1]):
            values[item, channel] = tap_sum(texels, channel, fine.texel, fine_weight) + tap_sum(
                texels, channel, coarse.texel, coarse_weight
            )
    else:
        for channel in range(texels.shape[1]):
            values[item, channel] = tap_sum(texels, channel, fine.texel, fine.weight)


@wp.kernel(enable_backward=False)
def cube_lookup_gradients(
    offset: int,
    texels: wp.array2d(dtype=float),
    levels: wp.array2d(dtype=int),
    directions: wp.array(dtype=wp.vec3),
    level: wp.array(dtype=float),
    output_gradient: wp.array2d(dtype=float),
    direction_gradient: wp.array(dtype=wp.vec3),
    level_gradient: wp.array(dtype=float),
):
    item = offset + wp.tid()
    count = levels.shape[0]
    blend = level_blend(level[item], count)
    i = blend.fine
    j = wp.min(i + 1, count - 1)
    p = face_of(directions[item])
    fine = cube_taps(p, levels[i, 0], levels[i, 1])
    coarse = cube_taps(p, levels[j, 0], levels[j, 1])
    slope_x = fine.slope_x * (1.0 - blend.fraction)
    slope_y = fine.slope_y * (1.0 - blend.fraction)
    coarse_slope_x = coarse.slope_x * blend.fraction
    coarse_slope_y = coarse.slope_y * blend.fraction
    s_gradient = float(0.0)
    t_gradient = float(0.0)
    step = float(0.0)
    for channel in range(texels.shape[1]):
        g = output_gradient[item, channel]
        s_gradient += g * tap_sum(texels, channel, fine.texel, slope_x)
        t_gradient += g * tap_sum(texels, channel, fine.texel, slope_y)
        if j > i:
            s_gradient += g * tap_sum(texels, channel, coarse.texel, coarse_slope_x)
            t_gradient += g * tap_sum(texels, channel, coarse.texel, coarse_slope_y)
            step += g * (
                tap_sum(texels, channel, coarse.texel, coarse.weight)
                - tap_sum(texels, channel, fine.texel, fine.weight)
            )
    direction_gradient[item] = face_adjoint(directions[item], p, s_gradient, t_gradient)
    if level[item] < 0.0:
        step = 0.0
    level_gradient[item] = step


@wp.kernel(enable_backward=False)
def cube_texel_gradients(
    owner: int,
    owners: int,
    levels: wp.array2d(dtype=int),
    directions: wp.array(dtype=wp.vec3),
    level: wp.array(dtype=float),
    output_gradient: wp.array2d(dtype=float),
    texel_gradient: wp.array(dtype=float),
):
    item = wp.tid()
    blend = level_blend(level[item], levels.shape[0])
    i = blend.fine
    p = face_of(directions[item])
    fine = cube_taps(p, levels[i, 0], levels[i, 1])
    scatter(texel_gradient, output_gradient, item, fine.texel, fine.weight * (1.0 - blend.fraction), owner, owners)
    if blend.fraction > 0.0:
        coarse = cube_taps(p, levels[i + 1, 0], levels[i + 1, 1])
        scatter(texel_gradient, output_gradient, item, coarse.texel, coarse.weight * blend.fraction, owner, owners)
