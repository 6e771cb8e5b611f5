"""Kernels that shade points: the whole of `render.shade_reference` in one pass, and in another its adjoint.

The adjoint computes the point anew: nothing is kept between the passes.
"""

# ruff: noqa: D101, UP018 (float(0.0) declares a variable; a bare literal would be a constant to Warp)
import warp as wp

from backend.engines.builtin.kernels.shade_bsdf import (
    Lobe,
    Model,
    Reflected,
    Row,
    lobe_adjoint,
    lobe_of,
    reflected_adjoint,
    reflected_of,
)
from backend.engines.builtin.kernels.shade_light import light_adjoint, light_level, light_of
from backend.engines.builtin.kernels.shade_relief import Relief, relief_adjoint, relief_of, within

wp.set_module_options({"enable_backward": False})


@wp.struct
class Point:
    """What shading asks of the light, and what it does with the answers."""

    relief: Relief
    reflected: Reflected
    first: Lobe
    second: Lobe
    roughness: float  # of the lobes
    mirroring: wp.vec3
    facing: wp.vec3
    diffuse_share: float


@wp.struct
class Shadow:
    share: float  # of the specular light that is left
    by_occlusion: float
    by_dot: float
    by_roughness: float


@wp.func
def shadow_of(occlusion: float, dot: float, roughness: float):
    """Specular share of an occlusion and its slopes; see `render.shade_reference.specular_occlusion`."""
    r = Shadow()
    exponent = wp.pow(2.0, -16.0 * roughness * roughness - 1.0)
    sum = wp.clamp(dot, 0.0, 1.0) + occlusion
    bounded = wp.max(sum, 1e-4)
    power = wp.pow(bounded, exponent)
    share = power - 1.0 + occlusion
    r.share = wp.clamp(share, 0.0, 1.0)
    if share >= 0.0 and share <= 1.0:
        r.by_occlusion = 1.0
        if sum >= 1e-4:
            slope = exponent * power / bounded
            r.by_occlusion = 1.0 + slope
            r.by_dot = slope * within(dot, 0.0, 1.0)
        r.by_roughness = power * wp.log(bounded) * exponent * roughness * -22.18070977791825  # -32 log(2)
    return r


@wp.func
def point_of(
    base_color: wp.vec3,
    roughness: float,
    metallic: float,
    normal: wp.vec3,
    view: wp.vec3,
    relieved: int,
    normal_map: wp.vec3,
    tangent: wp.vec4,
    model: Model,
    reflectance: wp.array(dtype=Row),
    cosines: int,
    tilt: wp.array(dtype=wp.vec3),
    horizon: wp.array(dtype=wp.vec2),
    angles: int,
):
    p = Point()
    p.mirroring = normal
    p.facing = normal
    p.diffuse_share = 1.0
    if relieved != 0:
        p.relief = relief_of(normal_map, tangent, normal, view, tilt)
        p.mirroring = p.relief.mirroring
        p.facing = p.relief.facing
        p.diffuse_share = p.relief.tilt[0]
    r = reflected_of(base_color, roughness, metallic, p.mirroring, view, model, reflectance, cosines)
    p.reflected = r
    p.roughness = r.row[11]
    least = model.least_roughness
    smooth = p.relief.smooth
    p.first = lobe_of(r.first_raw, p.roughness, relieved, p.mirroring, smooth, least, horizon, angles)
    p.second = lobe_of(r.second_raw, p.roughness, relieved, p.mirroring, smooth, least, horizon, angles)
    return p


@wp.kernel(enable_backward=False)
def shade_points(
    offset: int,
    base_colors: wp.array(dtype=wp.vec3),
    roughnesses: wp.array(dtype=float),
    metallics: wp.array(dtype=float),
    normals: wp.array(dtype=wp.vec3),
    views: wp.array(dtype=wp.vec3),
    normal_maps: wp.array(dtype=wp.vec3),
    tangents: wp.array(dtype=wp.vec4),
    occlusions: wp.array(dtype=float),
    model: Model,
    reflectance: wp.array(dtype=Row),
    cosines: int,
    tilt: wp.array(dtype=wp.vec3),
    horizon: wp.array(dtype=wp.vec2),
    angles: int,
    texels: wp.array(dtype=wp.vec3),
    levels: wp.array2d(dtype=int),
    knots: wp.array(dtype=float),
    diffuse: wp.array(dtype=wp.vec3),
    specular: wp.array(dtype=wp.vec3),
):
    item = offset + wp.tid()
    normal = normals[item]
    if normal[0] == 0.0 and normal[1] == 0.0 and normal[2] == 0.0:  # a blank row
        diffuse[item] = wp.vec3(0.0, 0.0, 0.0)
        specular[item] = wp.vec3(0.0, 0.0, 0.0)
        return
    relieved = int(0)
    normal_map = wp.vec3()
    tangent = wp.vec4()
    if normal_maps.shape[0] > 0:
        relieved = 1
        normal_map = normal_maps[item]
        tangent = tangents[item]
    base_color = base_colors[item]
    roughness = roughnesses[item]
    metallic = metallics[item]
    view = views[item]
    p = point_of(
        base_color,
        roughness,
        metallic,
        normal,
        view,
        relieved,
        normal_map,
        tangent,
        model,
        reflectance,
        cosines,
        tilt,
        horizon,
        angles,
    )
    under = p.diffuse_share * wp.cw_mul(p.reflected.diffuse, light_of(p.facing, 0, 0.0, texels, levels))
    level = light_level(p.roughness, knots)
    over = p.first.share * wp.cw_mul(
        p.reflected.first, light_of(p.first.look, level.fine, level.fraction, texels, levels)
    )
    over += p.second.share * wp.cw_mul(
        p.reflected.second, light_of(p.second.look, level.fine, level.fraction, texels, levels)
    )
    if occlusions.shape[0] > 0:
        under *= occlusions[item]
        over *= shadow_of(occlusions[item], p.reflected.dot, roughness).share
    diffuse[item] = under
    specular[item] = over


@wp.kernel(enable_backward=False)
def shade_adjoint(
    offset: int,
    copy: int,
    base_colors: wp.array(dtype=wp.vec3),
    roughnesses: wp.array(dtype=float),
    metallics: wp.array(dtype=float),
    normals: wp.array(dtype=wp.vec3),
    views: wp.array(dtype=wp.vec3),
    normal_maps: wp.array(dtype=wp.vec3),
    tangents: wp.array(dtype=wp.vec4),
    occlusions: wp.array(dtype=float),
    model: Model,
    reflectance: wp.array(dtype=Row),
    cosines: int,
    tilt: wp.array(dtype=wp.vec3),
    horizon: wp.array(dtype=wp.vec2),
    angles: int,
    texels: wp.array(dtype=wp.vec3),
    levels: wp.array2d(dtype=int),
    knots: wp.array(dtype=float),
    diffuse_gradients: wp.array(dtype=wp.vec3),
    specular_gradients: wp.array(dtype=wp.vec3),
    to_base_color: wp.array(dtype=wp.vec3),
    to_roughness: wp.array(dtype=float),
    to_metallic: wp.array(dtype=float),
    to_normal: wp.array(dtype=wp.vec3),
    to_view: wp.array(dtype=wp.vec3),
    to_normal_map: wp.array(dtype=wp.vec3),
    to_tangent: wp.array(dtype=wp.vec4),
    to_occlusion: wp.array(dtype=float),
    fitted: int,
    to_texels: wp.array2d(dtype=float),
):
    """Gradients of all a point was given, written, and of the light's texels, added to private copy `copy` where the light is fitted.

    The gradients' arrays hold zeros beforehand, for blank rows.
    """
    item = offset + wp.tid()
    normal = normals[item]
    if normal[0] == 0.0 and normal[1] == 0.0 and normal[2] == 0.0:
        return
    relieved = int(0)
    normal_map = wp.vec3()
    tangent = wp.vec4()
    if normal_maps.shape[0] > 0:
        relieved = 1
        normal_map = normal_maps[item]
        tangent = tangents[item]
    base_color = base_colors[item]
    roughness = roughnesses[item]
    metallic = metallics[item]
    view = views[item]
    p = point_of(
        base_color,
        roughness,
        metallic,
        normal,
        view,
        relieved,
        normal_map,
        tangent,
        model,
        reflectance,
        cosines,
        tilt,
        horizon,
        angles,
    )
    level = light_level(p.roughness, knots)
    open_diffuse = float(1.0)
    shadow = Shadow()
    shadow.share = 1.0
    if occlusions.shape[0] > 0:
        open_diffuse = occlusions[item]
        shadow = shadow_of(open_diffuse, p.reflected.dot, roughness)
    gd = open_diffuse * diffuse_gradients[item]
    gs = shadow.share * specular_gradients[item]
    # the light
    start = copy * texels.shape[0]
    ga = light_adjoint(
        p.facing,
        0,
        0.0,
        texels,
        levels,
        p.diffuse_share * wp.cw_mul(gd, p.reflected.diffuse),
        fitted,
        start,
        to_texels,
    )
    g1 = light_adjoint(
        p.first.look,
        level.fine,
        level.fraction,
        texels,
        levels,
        p.first.share * wp.cw_mul(gs, p.reflected.first),
        fitted,
        start,
        to_texels,
    )
    g2 = light_adjoint(
        p.second.look,
        level.fine,
        level.fraction,
        texels,
        levels,
        p.second.share * wp.cw_mul(gs, p.reflected.second),
        fitted,
        start,
        to_texels,
    )
    around = ga.color
    light1 = g1.color
    light2 = g2.color
    g_dot = float(0.0)
    shadow_roughness = float(0.0)
    if occlusions.shape[0] > 0:
        given = specular_gradients[item]
        dark = p.diffuse_share * wp.dot(diffuse_gradients[item], wp.cw_mul(p.reflected.diffuse, around))
        shine = p.first.share * wp.dot(given, wp.cw_mul(p.reflected.first, light1))
        shine += p.second.share * wp.dot(given, wp.cw_mul(p.reflected.second, light2))
        to_occlusion[item] = dark + shine * shadow.by_occlusion
        g_dot = shine * shadow.by_dot
        shadow_roughness = shine * shadow.by_roughness
    # the lobes
    least = model.least_roughness
    smooth = p.relief.smooth
    lobe1 = lobe_adjoint(
        p.first,
        p.roughness,
        relieved,
        p.mirroring,
        smooth,
        least,
        horizon,
        angles,
        g1.direction,
        wp.dot(gs, wp.cw_mul(p.reflected.first, light1)),
    )
    lobe2 = lobe_adjoint(
        p.second,
        p.roughness,
        relieved,
        p.mirroring,
        smooth,
        least,
        horizon,
        angles,
        g2.direction,
        wp.dot(gs, wp.cw_mul(p.reflected.second, light2)),
    )
    g = reflected_adjoint(
        p.reflected,
        base_color,
        roughness,
        metallic,
        p.mirroring,
        view,
        model,
        reflectance,
        cosines,
        p.diffuse_share * wp.cw_mul(gd, around),
        p.first.share * wp.cw_mul(gs, light1),
        p.second.share * wp.cw_mul(gs, light2),
        lobe1.axis,
        lobe2.axis,
        (g1.fraction + g2.fraction) * level.slope + lobe1.roughness + lobe2.roughness,
    )
    to_base_color[item] = g.base_color
    to_roughness[item] = g.roughness + shadow_roughness
    to_metallic[item] = g.metallic
    g_mirroring = g.normal + lobe1.normal + lobe2.normal + g_dot * view
    g_view = g.view + g_dot * p.mirroring
    if relieved != 0:
        gr = relief_adjoint(
            p.relief,
            normal_map,
            tangent,
            normal,
            view,
            tilt,
            wp.dot(gd, wp.cw_mul(p.reflected.diffuse, around)),
            ga.direction,
            g_mirroring,
            lobe1.smooth + lobe2.smooth,
        )
        to_normal_map[item] = gr.normal_map
        to_tangent[item] = gr.tangent
        to_normal[item] = gr.normal
        to_view[item] = g_view + gr.view
    else:
        to_normal[item] = g_mirroring + ga.direction
        to_view[item] = g_view
