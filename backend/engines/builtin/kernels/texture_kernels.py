"""Kernels of the 2D mip texture. All levels lie behind one another in one buffer of texels [S, C]; `levels` [L, 3] says where.

A look-up is four taps a level: texel numbers, weights, and the weights' slopes along the two texture coordinates. The cube texture
shares everything but the making of the taps.
"""

import warp as wp


@wp.struct
class Taps:
    texel: wp.vec4i
    weight: wp.vec4
    slope_x: wp.vec4
    slope_y: wp.vec4


@wp.struct
class LevelBlend:
    fine: int
    fraction: float  # weight of level fine + 1; 0 on the last level


@wp.func
def level_blend(level: float, count: int):
    """The two levels to mix. Bounded as an integer too: a NaN must not become an address."""
    result = LevelBlend()
    bounded = wp.clamp(level, 0.0, float(count - 1))
    result.fine = wp.clamp(int(wp.floor(bounded)), 0, count - 1)
    result.fraction = bounded - float(result.fine)
    return result


@wp.func
def bilinear_weights(fx: float, fy: float, per_x: float, per_y: float):
    """Weights of the texels (0, 0), (1, 0), (0, 1), (1, 1); `per_x` texels pass while the coordinate grows by 1."""
    taps = Taps()
    gx = 1.0 - fx
    gy = 1.0 - fy
    taps.weight = wp.vec4(gx * gy, fx * gy, gx * fy, fx * fy)
    taps.slope_x = wp.vec4(-gy, gy, -fy, fy) * per_x
    taps.slope_y = wp.vec4(-gx, -fx, gx, fx) * per_y
    return taps


@wp.func
def border(i: int, n: int, wrap: int):
    r = wp.clamp(i, 0, n - 1)
    if wrap != 0:
        r = i % n
        if r < 0:
            r += n
    return r


@wp.func
def texture_taps(uv: wp.vec2, offset: int, width: int, height: int, wrap: int):
    x = uv[0] * float(width) - 0.5
    y = uv[1] * float(height) - 0.5
    x_floor = wp.floor(x)
    y_floor = wp.floor(y)
    taps = bilinear_weights(x - x_floor, y - y_floor, float(width), float(height))
    x0 = border(int(x_floor), width, wrap)
    x1 = border(int(x_floor) + 1, width, wrap)
    y0 = offset + border(int(y_floor), height, wrap) * width
    y1 = offset + border(int(y_floor) + 1, height, wrap) * width
    taps.texel = wp.vec4i(y0 + x0, y0 + x1, y1 + x0, y1 + x1)
    return taps


@wp.func
def tap_sum(texels: wp.array2d(dtype=float), channel: int, texel: wp.vec4i, weight: wp.vec4):
    return (
        texels[texel[0], channel] * weight[0]
        + texels[texel[1], channel] * weight[1]
        + texels[texel[2], channel] * weight[2]
        + texels[texel[3], channel] * weight[3]
    )


@wp.func
def scatter(
    gradient: wp.array2d(dtype=float),
    output_gradient: wp.array2d(dtype=float),
    item: int,
    texel: wp.vec4i,
    weight: wp.vec4,
    owner: int,
    owners: int,
):
    """Add one item's gradient to its four texels, of which this owner takes its own: runs of 64 texels, dealt round."""
    for k in range(4):
        if owners == 1 or (texel[k] >> 6) % owners == owner:
            for channel in range(gradient.shape[1]):
                wp.atomic_add(gradient, texel[k], channel, output_gradient[item, channel] * weight[k])
    return 0


@wp.kernel(enable_backward=False)
def texture_values(
    offset: int,
    texels: wp.array2d(dtype=float),
    levels: wp.array2d(dtype=int),
    uv: wp.array(dtype=wp.vec2),
    level: wp.array(dtype=float),
    wrap: int,
    values: wp.array2d(dtype=float),
):
    item = offset + wp.tid()
    blend = level_blend(level[item], levels.shape[0])
    i = blend.fine
    fine = texture_taps(uv[item], levels[i, 0], levels[i, 1], levels[i, 2], wrap)
    if blend.fraction > 0.0:
        j = i + 1
        coarse = texture_taps(uv[item], levels[j, 0], levels[j, 1], levels[j, 2], wrap)
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
def texture_lookup_gradients(
    offset: int,
    texels: wp.array2d(dtype=float),
    levels: wp.array2d(dtype=int),
    uv: wp.array(dtype=wp.vec2),
    level: wp.array(dtype=float),
    wrap: int,
    output_gradient: wp.array2d(dtype=float),
    uv_gradient: wp.array(dtype=wp.vec2),
    level_gradient: wp.array(dtype=float),
):
    item = offset + wp.tid()
    count = levels.shape[0]
    blend = level_blend(level[item], count)
    i = blend.fine
    j = wp.min(i + 1, count - 1)
    fine = texture_taps(uv[item], levels[i, 0], levels[i, 1], levels[i, 2], wrap)
    coarse = texture_taps(uv[item], levels[j, 0], levels[j, 1], levels[j, 2], wrap)
    slope_x = fine.slope_x * (1.0 - blend.fraction)
    slope_y = fine.slope_y * (1.0 - blend.fraction)
    coarse_slope_x = coarse.slope_x * blend.fraction
    coarse_slope_y = coarse.slope_y * blend.fraction
    u_gradient = float(0.0)
    v_gradient = float(0.0)
    step = float(0.0)
    for channel in range(texels.shape[1]):
        g = output_gradient[item, channel]
        u_gradient += g * tap_sum(texels, channel, fine.texel, slope_x)
        v_gradient += g * tap_sum(texels, channel, fine.texel, slope_y)
        if j > i:
            u_gradient += g * tap_sum(texels, channel, coarse.texel, coarse_slope_x)
            v_gradient += g * tap_sum(texels, channel, coarse.texel, coarse_slope_y)
            step += g * (
                tap_sum(texels, channel, coarse.texel, coarse.weight)
                - tap_sum(texels, channel, fine.texel, fine.weight)
            )
    uv_gradient[item] = wp.vec2(u_gradient, v_gradient)
    if level[item] < 0.0:
        step = 0.0
    level_gradient[item] = step


@wp.kernel(enable_backward=False)
def texture_texel_gradients(
    owner: int,
    owners: int,
    levels: wp.array2d(dtype=int),
    uv: wp.array(dtype=wp.vec2),
    level: wp.array(dtype=float),
    wrap: int,
    output_gradient: wp.array2d(dtype=float),
    texel_gradient: wp.array2d(dtype=float),
):
    item = wp.tid()
    blend = level_blend(level[item], levels.shape[0])
    i = blend.fine
    fine = texture_taps(uv[item], levels[i, 0], levels[i, 1], levels[i, 2], wrap)
    scatter(texel_gradient, output_gradient, item, fine.texel, fine.weight * (1.0 - blend.fraction), owner, owners)
    if blend.fraction > 0.0:
        j = i + 1
        coarse = texture_taps(uv[item], levels[j, 0], levels[j, 1], levels[j, 2], wrap)
        scatter(texel_gradient, output_gradient, item, coarse.texel, coarse.weight * blend.fraction, owner, owners)
