"""Kernels of the 2D mip texture. Level 0 is the texture's own texels [H * W, C]; the others lie behind one another in `coarse` [S, C].

`levels` [L, 3] is (offset, width, height) of each, level 0's offset in the texture, the others' in `coarse`. A look-up is four taps a
level: texel numbers, weights, and the weights' slopes along the two texture coordinates. The cube texture shares everything but the making
of the taps, and keeps all its levels in one buffer.
"""

# ruff: noqa: D101, UP018 (float(0.0) declares a variable; a bare literal would be a constant to Warp)
import warp as wp

from backend.engines.builtin.kernels.additions import add_some


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
def level_sum(
    texels: wp.array2d(dtype=float),
    coarse: wp.array2d(dtype=float),
    level: int,
    channel: int,
    texel: wp.vec4i,
    weight: wp.vec4,
):
    result = float(0.0)
    if level == 0:
        result = tap_sum(texels, channel, texel, weight)
    else:
        result = tap_sum(coarse, channel, texel, weight)
    return result


@wp.func
def scatter(
    gradient: wp.array(dtype=float),
    output_gradient: wp.array2d(dtype=float),
    item: int,
    texel: wp.vec4i,
    weight: wp.vec4,
    owner: int,
    owners: int,
):
    """Add one item's gradient to its four texels of `gradient`, [S, C] as one row of numbers.

    This owner takes its own: runs of 64 texels, dealt round.
    """
    channels = output_gradient.shape[1]
    for four in range((channels + 3) / 4):
        count = wp.min(channels - 4 * four, 4)
        given = wp.vec4()
        for c in range(count):
            given[c] = output_gradient[item, 4 * four + c]
        for k in range(4):
            if owners == 1 or (texel[k] >> 6) % owners == owner:
                add_some(gradient, texel[k] * channels + 4 * four, given * weight[k], count)
    return 0


@wp.kernel(enable_backward=False)
def texture_values(
    offset: int,
    texels: wp.array2d(dtype=float),
    coarse: wp.array2d(dtype=float),
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
        next = texture_taps(uv[item], levels[j, 0], levels[j, 1], levels[j, 2], wrap)
        fine_weight = fine.weight * (1.0 - blend.fraction)
        next_weight = next.weight * blend.fraction
        for channel in range(texels.shape[1]):
            values[item, channel] = level_sum(texels, coarse, i, channel, fine.texel, fine_weight) + tap_sum(
                coarse, channel, next.texel, next_weight
            )
    else:
        for channel in range(texels.shape[1]):
            values[item, channel] = level_sum(texels, coarse, i, channel, fine.texel, fine.weight)


@wp.kernel(enable_backward=False)
def texture_lookup_gradients(
    offset: int,
    texels: wp.array2d(dtype=float),
    coarse: wp.array2d(dtype=float),
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
    next = texture_taps(uv[item], levels[j, 0], levels[j, 1], levels[j, 2], wrap)
    slope_x = fine.slope_x * (1.0 - blend.fraction)
    slope_y = fine.slope_y * (1.0 - blend.fraction)
    next_slope_x = next.slope_x * blend.fraction
    next_slope_y = next.slope_y * blend.fraction
    u_gradient = float(0.0)
    v_gradient = float(0.0)
    step = float(0.0)
    for channel in range(texels.shape[1]):
        g = output_gradient[item, channel]
        u_gradient += g * level_sum(texels, coarse, i, channel, fine.texel, slope_x)
        v_gradient += g * level_sum(texels, coarse, i, channel, fine.texel, slope_y)
        if j > i:
            u_gradient += g * tap_sum(coarse, channel, next.texel, next_slope_x)
            v_gradient += g * tap_sum(coarse, channel, next.texel, next_slope_y)
            step += g * (
                tap_sum(coarse, channel, next.texel, next.weight)
                - level_sum(texels, coarse, i, channel, fine.texel, fine.weight)
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
    texel_gradient: wp.array(dtype=float),
    coarse_gradient: wp.array(dtype=float),
):
    item = wp.tid()
    blend = level_blend(level[item], levels.shape[0])
    i = blend.fine
    fine = texture_taps(uv[item], levels[i, 0], levels[i, 1], levels[i, 2], wrap)
    fine_weight = fine.weight * (1.0 - blend.fraction)
    if i == 0:
        scatter(texel_gradient, output_gradient, item, fine.texel, fine_weight, owner, owners)
    else:
        scatter(coarse_gradient, output_gradient, item, fine.texel, fine_weight, owner, owners)
    if blend.fraction > 0.0:
        j = i + 1
        next = texture_taps(uv[item], levels[j, 0], levels[j, 1], levels[j, 2], wrap)
        scatter(coarse_gradient, output_gradient, item, next.texel, next.weight * blend.fraction, owner, owners)


@wp.func
def box_share(new: int, tap: int, n: int):
    """Weight of old texel 2 * new + tap in the new one when n texels are halved, rounding down.

    The new texel is the exact average over its box, which with an odd number covers 2 + 1 / half old ones and so parts of three.
    """
    share = float(0.0)
    if n == 1:
        if tap == 0:
            share = 1.0
    elif n % 2 == 0:
        if tap < 2:
            share = 0.5
    elif tap < 3:
        half = n / 2
        part = half - new
        if tap == 1:
            part = half
        elif tap == 2:
            part = new + 1
        share = float(part) / float(n)
    return share


@wp.kernel(enable_backward=False)
def halve_level(
    offset: int,
    fine: int,
    levels: wp.array2d(dtype=int),
    texels: wp.array2d(dtype=float),
    halved: wp.array2d(dtype=float),
):
    """Make the texels of level fine + 1, one an item, in `halved` from those of level fine in `texels`, which may be one array."""
    item = offset + wp.tid()
    width = levels[fine, 1]
    height = levels[fine, 2]
    new_width = levels[fine + 1, 1]
    row = item / new_width
    column = item - row * new_width
    first = levels[fine, 0] + 2 * row * width + 2 * column
    new = levels[fine + 1, 0] + item
    if width % 2 == 0 and height % 2 == 0:
        below = first + width
        for channel in range(texels.shape[1]):
            upper = texels[first, channel] + texels[first + 1, channel]
            halved[new, channel] = 0.25 * (upper + (texels[below, channel] + texels[below + 1, channel]))
        return
    for channel in range(texels.shape[1]):
        halved[new, channel] = 0.0
    for dy in range(3):
        share_y = box_share(row, dy, height)
        if share_y > 0.0:
            for dx in range(3):
                share = share_y * box_share(column, dx, width)
                if share > 0.0:
                    old = first + dy * width + dx
                    for channel in range(texels.shape[1]):
                        halved[new, channel] = halved[new, channel] + texels[old, channel] * share


@wp.kernel(enable_backward=False)
def halve_level_gradient(
    offset: int,
    fine: int,
    levels: wp.array2d(dtype=int),
    gradient: wp.array2d(dtype=float),
    halved_gradient: wp.array2d(dtype=float),
):
    """Add to the gradient of level fine's texels, one an item, what level fine + 1's says of them; the two may be one array."""
    item = offset + wp.tid()
    width = levels[fine, 1]
    height = levels[fine, 2]
    new_width = levels[fine + 1, 1]
    new_height = levels[fine + 1, 2]
    row = item / width
    column = item - row * width
    old = levels[fine, 0] + item
    if width % 2 == 0 and height % 2 == 0:
        parent = levels[fine + 1, 0] + (row / 2) * new_width + column / 2
        for channel in range(gradient.shape[1]):
            gradient[old, channel] = gradient[old, channel] + 0.25 * halved_gradient[parent, channel]
        return
    for back_y in range(2):
        new_row = row / 2 - back_y
        share_y = float(0.0)
        if new_row >= 0 and new_row < new_height:
            share_y = box_share(new_row, row - 2 * new_row, height)
        if share_y > 0.0:
            for back_x in range(2):
                new_column = column / 2 - back_x
                share = float(0.0)
                if new_column >= 0 and new_column < new_width:
                    share = share_y * box_share(new_column, column - 2 * new_column, width)
                if share > 0.0:
                    new = levels[fine + 1, 0] + new_row * new_width + new_column
                    for channel in range(gradient.shape[1]):
                        gradient[old, channel] = gradient[old, channel] + halved_gradient[new, channel] * share
