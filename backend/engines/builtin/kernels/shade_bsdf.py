"""Device functions of shading: reflectances and lobes for one view direction, as `render.bsdf` has them, and their adjoints."""

# ruff: noqa: D101, UP018 (float(0.0) declares a variable; a bare literal would be a constant to Warp)
import warp as wp

from backend.engines.builtin.kernels.shade_relief import node, node_slope, row_sum, unit, unit_adjoint, within
from backend.engines.builtin.kernels.texture_kernels import texture_taps

wp.set_module_options({"enable_backward": False})

Row = wp.types.vector(length=12, dtype=wp.float32)


@wp.struct
class Model:
    least_roughness: float
    least_cosine: float
    coat_fresnel: float


@wp.struct
class Reflected:
    row: Row  # of the reflectance table
    dot: float  # normal and view, unbounded
    cosine: float
    lost: float  # by single scattering, over what it keeps
    metal_gain: wp.vec3
    coat_gain: float
    diffuse: wp.vec3
    first: wp.vec3
    second: wp.vec3
    side: wp.vec3
    first_raw: wp.vec3  # axes of the two lobes, not of unit length yet
    second_raw: wp.vec3


@wp.struct
class ReflectedGradient:
    base_color: wp.vec3
    roughness: float
    metallic: float
    normal: wp.vec3
    view: wp.vec3


@wp.func
def table_taps(cosine: float, roughness: float, least: float, rows: int, columns: int):
    down = (wp.clamp(roughness, least, 1.0) - least) / (1.0 - least)
    return texture_taps(wp.vec2(node(wp.clamp(cosine, 0.0, 1.0), columns), node(down, rows)), 0, columns, rows, 0)


@wp.func
def bounced(fresnel: float, albedo: float):
    """Fresnel share of light that bounces more than once, relative to one bounce's."""
    return fresnel * albedo / (1.0 - fresnel * (1.0 - albedo))


@wp.func
def bounced_slopes(fresnel: float, albedo: float):
    """By the Fresnel share, and by the albedo."""
    inverse = 1.0 / (1.0 - fresnel * (1.0 - albedo))
    return wp.vec2(albedo, fresnel * (1.0 - fresnel)) * (inverse * inverse)


@wp.func
def metal_fresnel(base_color: float):
    """Schlick's mean over the hemisphere."""
    return base_color + (1.0 - base_color) / 21.0


@wp.func
def reflected_of(
    base_color: wp.vec3,
    roughness: float,
    metallic: float,
    normal: wp.vec3,
    view: wp.vec3,
    model: Model,
    table: wp.array(dtype=Row),
    columns: int,
):
    r = Reflected()
    r.dot = wp.dot(normal, view)
    r.cosine = wp.clamp(r.dot, model.least_cosine, 1.0)
    taps = table_taps(r.cosine, roughness, model.least_roughness, table.shape[0] / columns, columns)
    row = row_sum(table, taps.texel, taps.weight)
    r.row = row
    albedo = row[0] + row[1] + row[2] + row[3]
    r.lost = (1.0 - albedo) / albedo
    r.coat_gain = 1.0 + bounced(model.coat_fresnel, row[6]) * r.lost
    rest = 1.0 - metallic
    under = rest * (1.0 - r.coat_gain * (row[4] + row[5]))
    for c in range(3):
        color = base_color[c]
        gain = metallic * (1.0 + bounced(metal_fresnel(color), row[6]) * r.lost)
        r.metal_gain[c] = gain
        r.first[c] = gain * (color * row[0] + row[2]) + rest * r.coat_gain * row[4]
        r.second[c] = gain * (color * row[1] + row[3]) + rest * r.coat_gain * row[5]
        r.diffuse[c] = color * under
    r.side = r.cosine * normal - view
    r.first_raw = row[7] * normal + row[8] * r.side
    r.second_raw = row[9] * normal + row[10] * r.side
    return r


@wp.func
def reflected_adjoint(
    r: Reflected,
    base_color: wp.vec3,
    roughness: float,
    metallic: float,
    normal: wp.vec3,
    view: wp.vec3,
    model: Model,
    table: wp.array(dtype=Row),
    columns: int,
    diffuse_gradient: wp.vec3,
    first_gradient: wp.vec3,
    second_gradient: wp.vec3,
    first_axis_gradient: wp.vec3,
    second_axis_gradient: wp.vec3,
    lobe_roughness_gradient: float,
):
    """From the gradients of the reflectances, of the lobes' unit axes and of their roughness to those of what `reflected_of` was given."""
    g = ReflectedGradient()
    row = r.row
    gr = Row()
    gr[11] = lobe_roughness_gradient
    g1 = unit_adjoint(r.first_raw, first_axis_gradient)
    g2 = unit_adjoint(r.second_raw, second_axis_gradient)
    gr[7] = wp.dot(g1, normal)
    gr[8] = wp.dot(g1, r.side)
    gr[9] = wp.dot(g2, normal)
    gr[10] = wp.dot(g2, r.side)
    g_side = row[8] * g1 + row[10] * g2
    g_cosine = wp.dot(g_side, normal)
    g.normal = row[7] * g1 + row[9] * g2 + r.cosine * g_side
    g.view = -g_side
    # the reflectances
    rest = 1.0 - metallic
    coat = row[4] + row[5]
    under = 1.0 - r.coat_gain * coat
    sum_first = first_gradient[0] + first_gradient[1] + first_gradient[2]
    sum_second = second_gradient[0] + second_gradient[1] + second_gradient[2]
    base = wp.dot(diffuse_gradient, base_color)
    g_metallic = -r.coat_gain * (sum_first * row[4] + sum_second * row[5]) - base * under
    g_coat_gain = rest * (sum_first * row[4] + sum_second * row[5] - base * coat)
    gr[4] = rest * r.coat_gain * (sum_first - base)
    gr[5] = rest * r.coat_gain * (sum_second - base)
    slopes = bounced_slopes(model.coat_fresnel, row[6])
    g_lost = g_coat_gain * bounced(model.coat_fresnel, row[6])
    gr[6] = g_coat_gain * r.lost * slopes[1]
    for c in range(3):
        color = base_color[c]
        gain = r.metal_gain[c]
        a = first_gradient[c]
        b = second_gradient[c]
        fresnel = metal_fresnel(color)
        more = bounced(fresnel, row[6])
        by = bounced_slopes(fresnel, row[6])
        g_gain = a * (color * row[0] + row[2]) + b * (color * row[1] + row[3])
        gr[0] += a * gain * color
        gr[1] += b * gain * color
        gr[2] += a * gain
        gr[3] += b * gain
        g_metallic += g_gain * (1.0 + more * r.lost)
        g_more = g_gain * metallic * r.lost
        g_lost += g_gain * metallic * more
        gr[6] += g_more * by[1]
        g.base_color[c] = (
            diffuse_gradient[c] * rest * under + gain * (a * row[0] + b * row[1]) + g_more * by[0] * (20.0 / 21.0)
        )
    albedo = row[0] + row[1] + row[2] + row[3]
    g_albedo = -g_lost / (albedo * albedo)
    for k in range(4):
        gr[k] += g_albedo
    g.metallic = g_metallic
    # the table
    rows = table.shape[0] / columns
    taps = table_taps(r.cosine, roughness, model.least_roughness, rows, columns)
    by_cosine = wp.dot(gr, row_sum(table, taps.texel, taps.slope_x))
    by_roughness = wp.dot(gr, row_sum(table, taps.texel, taps.slope_y))
    least = model.least_roughness
    g.roughness = by_roughness * node_slope(rows) / (1.0 - least) * within(roughness, least, 1.0)
    g_dot = (g_cosine + by_cosine * node_slope(columns)) * within(r.dot, model.least_cosine, 1.0)
    g.normal += g_dot * view
    g.view += g_dot * normal
    return g


@wp.struct
class Lobe:
    """What a horizon of the smooth surface leaves of a lobe; see `render.relief.relieve_specular`."""

    axis: wp.vec3
    look: wp.vec3  # where the light is read, of any length
    share: float
    rise: float  # cosine to the smooth normal, and to the shading normal
    own_rise: float
    left: wp.vec2  # rows of the horizon table
    own: wp.vec2


@wp.func
def horizon_taps(rise: float, roughness: float, least: float, rows: int, columns: int):
    return table_taps(0.5 + 0.5 * rise, roughness, least, rows, columns)


@wp.func
def lobe_of(
    raw: wp.vec3,
    roughness: float,
    relieved: int,
    normal: wp.vec3,
    smooth: wp.vec3,
    least: float,
    table: wp.array(dtype=wp.vec2),
    columns: int,
):
    r = Lobe()
    r.axis = unit(raw)
    r.look = r.axis
    r.share = 1.0
    if relieved != 0:
        rows = table.shape[0] / columns
        r.rise = wp.dot(r.axis, smooth)
        r.own_rise = wp.dot(r.axis, normal)
        left = horizon_taps(r.rise, roughness, least, rows, columns)
        own = horizon_taps(r.own_rise, roughness, least, rows, columns)
        r.left = row_sum(table, left.texel, left.weight)
        r.own = row_sum(table, own.texel, own.weight)
        r.look = r.axis + r.left[1] * (smooth - r.rise * r.axis) - r.own[1] * (normal - r.own_rise * r.axis)
        r.share = wp.min(r.left[0] / wp.max(r.own[0], 1e-3), 1.0)
    return r


@wp.struct
class LobeGradient:
    axis: wp.vec3
    roughness: float
    normal: wp.vec3
    smooth: wp.vec3


@wp.func
def lobe_adjoint(
    r: Lobe,
    roughness: float,
    relieved: int,
    normal: wp.vec3,
    smooth: wp.vec3,
    least: float,
    table: wp.array(dtype=wp.vec2),
    columns: int,
    look_gradient: wp.vec3,
    share_gradient: float,
):
    """From the gradients of where light is read and of the share to those of the axis, the roughness and the normals."""
    g = LobeGradient()
    g.axis = look_gradient
    if relieved != 0:
        gl = look_gradient
        along = wp.dot(gl, r.axis)
        g_left = wp.vec2(0.0, wp.dot(gl, smooth) - r.rise * along)
        g_own = wp.vec2(0.0, r.own_rise * along - wp.dot(gl, normal))
        g_rise = -r.left[1] * along
        g_own_rise = r.own[1] * along
        most = wp.max(r.own[0], 1e-3)
        if r.left[0] <= most:
            g_left[0] = share_gradient / most
            if r.own[0] >= 1e-3:
                g_own[0] = -share_gradient * r.share / most
        rows = table.shape[0] / columns
        left = horizon_taps(r.rise, roughness, least, rows, columns)
        own = horizon_taps(r.own_rise, roughness, least, rows, columns)
        by_rise = wp.dot(g_left, row_sum(table, left.texel, left.slope_x))
        by_own_rise = wp.dot(g_own, row_sum(table, own.texel, own.slope_x))
        by_roughness = wp.dot(g_left, row_sum(table, left.texel, left.slope_y))
        by_roughness += wp.dot(g_own, row_sum(table, own.texel, own.slope_y))
        g_rise += 0.5 * by_rise * node_slope(columns)
        g_own_rise += 0.5 * by_own_rise * node_slope(columns)
        g.roughness = by_roughness * node_slope(rows) / (1.0 - least) * within(roughness, least, 1.0)
        g.axis = (1.0 - r.left[1] * r.rise + r.own[1] * r.own_rise) * gl + g_rise * smooth + g_own_rise * normal
        g.smooth = r.left[1] * gl + g_rise * r.axis
        g.normal = g_own_rise * r.axis - r.own[1] * gl
    return g
