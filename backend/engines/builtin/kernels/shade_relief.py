"""Device functions of shading: vectors, tables, and the normals that a normal map makes. `*_adjoint` carries gradients back.

The formulas are those of `render.relief`, which says where they come from.
"""

# ruff: noqa: D101, UP018 (float(0.0) declares a variable; a bare literal would be a constant to Warp)
from typing import Any

import warp as wp

from backend.engines.builtin.kernels.texture_kernels import texture_taps

wp.set_module_options({"enable_backward": False})


@wp.struct
class Relief:
    smooth: wp.vec3  # unit
    bitangent: wp.vec3
    mixed: wp.vec3  # the perturbed normal before it is made unit
    perturbed: wp.vec3
    lean: float  # cosine between perturbed and smooth
    mirroring: wp.vec3
    tilt: wp.vec3  # row of the tilt table
    facing_raw: wp.vec3
    facing: wp.vec3


@wp.struct
class Bend:
    bent: int  # whether the normal had to be bent; all below counts only then
    off: wp.vec3  # part of the normal along the surface, and that of unit length
    along: wp.vec3
    view_x: float
    view_z: float
    threshold: float
    a: float
    b: float
    c: float
    inside: float  # of the root
    root: float  # with the sign it is used with
    z_squared: float  # before it is bounded
    raw: wp.vec3


@wp.func
def unit(v: wp.vec3):
    return v / wp.max(wp.length(v), 1e-12)


@wp.func
def unit_adjoint(v: wp.vec3, g: wp.vec3):
    inverse = 1.0 / wp.max(wp.length(v), 1e-12)
    n = v * inverse
    return (g - n * wp.dot(n, g)) * inverse


@wp.func
def node(place: float, count: int):
    """Texture coordinate of a place in [0, 1] between the first and the last of `count` nodes."""
    return (place * float(count - 1) + 0.5) / float(count)


@wp.func
def node_slope(count: int):
    return float(count - 1) / float(count)


@wp.func
def within(value: float, low: float, high: float):
    """1 where a clamp lets gradients pass."""
    r = float(0.0)
    if value >= low and value <= high:
        r = 1.0
    return r


@wp.func
def row_sum(rows: wp.array(dtype=Any), texel: wp.vec4i, weight: wp.vec4):
    """Rows of a table, or colours of a light, under the four taps."""
    return (
        weight[0] * rows[texel[0]]
        + weight[1] * rows[texel[1]]
        + weight[2] * rows[texel[2]]
        + weight[3] * rows[texel[3]]
    )


@wp.func
def tilt_taps(lean: float, width: int):
    return texture_taps(wp.vec2(node(wp.clamp(lean, 0.0, 1.0), width), 0.5), 0, width, 1, 0)


@wp.func
def bend_of(p: wp.vec3, s: wp.vec3, v: wp.vec3):
    """Whether and how the perturbed normal `p` is bent back to mirror the view above the surface's horizon."""
    r = Bend()
    lean = wp.dot(p, s)
    r.view_z = wp.dot(v, s)
    r.threshold = wp.min(0.9 * r.view_z, 0.01)
    if 2.0 * wp.dot(p, v) * lean - r.view_z < r.threshold and r.view_z > 0.0:
        r.bent = 1
        r.off = p - lean * s + wp.vec3(1e-8, 1e-8, 1e-8)
        r.along = unit(r.off)
        r.view_x = wp.dot(v, r.along)
        r.a = wp.max(r.view_x * r.view_x + r.view_z * r.view_z, 1e-8)
        r.b = 2.0 * (r.a + r.view_z * r.threshold)
        r.c = (r.threshold + r.view_z) * (r.threshold + r.view_z)
        r.inside = r.b * r.b - 4.0 * r.a * r.c
        r.root = wp.sqrt(wp.max(r.inside, 1e-8))
        if r.view_x >= 0.0:
            r.root = -r.root
        r.z_squared = 0.25 * (r.b + r.root) / r.a
        z = wp.clamp(r.z_squared, 1e-6, 1.0 - 1e-6)
        r.raw = wp.sqrt(1.0 - z) * r.along + wp.sqrt(z) * s
    return r


@wp.func
def relief_of(normal_map: wp.vec3, tangent: wp.vec4, normal: wp.vec3, view: wp.vec3, tilt: wp.array(dtype=wp.vec3)):
    r = Relief()
    along = wp.vec3(tangent[0], tangent[1], tangent[2])
    r.smooth = unit(normal)
    r.bitangent = tangent[3] * wp.cross(normal, along)
    r.mixed = normal_map[0] * along + normal_map[1] * r.bitangent + normal_map[2] * normal
    r.perturbed = unit(r.mixed)
    r.lean = wp.dot(r.perturbed, r.smooth)
    r.mirroring = r.perturbed
    bend = bend_of(r.perturbed, r.smooth, view)
    if bend.bent != 0:
        r.mirroring = unit(bend.raw)
    taps = tilt_taps(r.lean, tilt.shape[0])
    r.tilt = row_sum(tilt, taps.texel, taps.weight)
    r.facing_raw = r.tilt[1] * r.smooth + r.tilt[2] * (r.perturbed - r.lean * r.smooth)
    r.facing = unit(r.facing_raw)
    return r


@wp.struct
class ReliefGradient:
    normal_map: wp.vec3
    tangent: wp.vec4
    normal: wp.vec3
    view: wp.vec3


@wp.func
def relief_adjoint(
    r: Relief,
    normal_map: wp.vec3,
    tangent: wp.vec4,
    normal: wp.vec3,
    view: wp.vec3,
    tilt: wp.array(dtype=wp.vec3),
    share_gradient: float,
    facing_gradient: wp.vec3,
    mirroring_gradient: wp.vec3,
    smooth_gradient: wp.vec3,
):
    """From the gradients of the diffuse share, the two normals and the smooth one to those of what `relief_of` was given."""
    g = ReliefGradient()
    s = r.smooth
    p = r.perturbed
    gs = smooth_gradient
    # the direction in which diffuse light is read
    gd = unit_adjoint(r.facing_raw, facing_gradient)
    rest = p - r.lean * s
    taps = tilt_taps(r.lean, tilt.shape[0])
    slope = wp.dot(wp.vec3(share_gradient, wp.dot(gd, s), wp.dot(gd, rest)), row_sum(tilt, taps.texel, taps.slope_x))
    g_lean = slope * node_slope(tilt.shape[0]) * within(r.lean, 0.0, 1.0) - r.tilt[2] * wp.dot(gd, s)
    gp = r.tilt[2] * gd
    gs += (r.tilt[1] - r.tilt[2] * r.lean) * gd
    # the normal that mirrors the view
    bend = bend_of(p, s, view)
    if bend.bent == 0:
        gp += mirroring_gradient
    else:
        gr = unit_adjoint(bend.raw, mirroring_gradient)
        z = wp.clamp(bend.z_squared, 1e-6, 1.0 - 1e-6)
        across = wp.sqrt(1.0 - z)
        up = wp.sqrt(z)
        g_along = across * gr
        gs += up * gr
        gz = 0.5 * (wp.dot(gr, s) / up - wp.dot(gr, bend.along) / across) * within(bend.z_squared, 1e-6, 1.0 - 1e-6)
        gb = 0.25 * gz / bend.a
        ga = -gz * bend.z_squared / bend.a
        g_inside = 0.5 * gb / bend.root
        if bend.inside < 1e-8:
            g_inside = 0.0
        gb += 2.0 * bend.b * g_inside
        ga += 2.0 * gb - 4.0 * bend.c * g_inside
        gc = -4.0 * bend.a * g_inside
        both = 2.0 * (bend.threshold + bend.view_z) * gc
        g_threshold = 2.0 * bend.view_z * gb + both
        g_view_z = 2.0 * bend.threshold * gb + both + 2.0 * bend.view_z * ga
        g_view_x = 2.0 * bend.view_x * ga
        if 0.9 * bend.view_z <= 0.01:
            g_view_z += 0.9 * g_threshold
        g.view = g_view_x * bend.along + g_view_z * s
        gs += g_view_z * view
        g_off = unit_adjoint(bend.off, g_along + g_view_x * view)
        gp += g_off
        gs -= r.lean * g_off
        g_lean -= wp.dot(g_off, s)
    gp += g_lean * s
    gs += g_lean * p
    # the perturbed normal
    gm = unit_adjoint(r.mixed, gp)
    along = wp.vec3(tangent[0], tangent[1], tangent[2])
    g.normal_map = wp.vec3(wp.dot(along, gm), wp.dot(r.bitangent, gm), wp.dot(normal, gm))
    g_cross = normal_map[1] * gm
    g_along_surface = normal_map[0] * gm + tangent[3] * wp.cross(g_cross, normal)
    g_sign = wp.dot(wp.cross(normal, along), g_cross)
    g.tangent = wp.vec4(g_along_surface[0], g_along_surface[1], g_along_surface[2], g_sign)
    g.normal = normal_map[2] * gm + tangent[3] * wp.cross(along, g_cross) + unit_adjoint(normal, gs)
    return g
