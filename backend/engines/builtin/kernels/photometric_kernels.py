"""Warp kernels that compare rendered images with photographs: every loss term of a pixel in one pass."""

# ruff: noqa: UP018 (float(0.0) declares a variable; a bare literal would be a constant to Warp)
from typing import Any

import warp as wp


@wp.func
def encoded(linear: float) -> float:
    """The sRGB curve of a value >= 0."""
    if linear <= 0.0031308:
        return 12.92 * linear
    return 1.055 * wp.pow(linear, 1.0 / 2.4) - 0.055


@wp.func
def encoded_slope(linear: float) -> float:
    if linear <= 0.0031308:
        return 12.92
    return 1.055 / 2.4 * wp.pow(linear, 1.0 / 2.4 - 1.0)


@wp.func
def tone(linear: float) -> float:
    return encoded(wp.log(1.0 + wp.max(linear, 0.0)))


@wp.func
def tone_slope(linear: float) -> float:
    if linear < 0.0:
        return 0.0
    return encoded_slope(wp.log(1.0 + linear)) / (1.0 + linear)


@wp.func
def background(seed: int, pixel: int) -> wp.vec3:
    """Uniform colour of one pixel of a photograph, from the step's seed alone: whoever draws it, and beside what, draws the same."""
    state = wp.rand_init(seed, pixel)
    red = wp.randf(state)
    green = wp.randf(state)
    return wp.vec3(red, green, wp.randf(state))


@wp.func
def screen(linear: float) -> float:
    return encoded(wp.clamp(linear, 0.0, 1.0))


@wp.kernel(enable_backward=False)
def photometric_terms(
    offset: int,
    rendered: wp.array(dtype=wp.vec4),
    photographs: wp.array2d(dtype=Any),
    index: wp.array(dtype=wp.int64),
    sizes: wp.array2d(dtype=wp.int64),
    seed: wp.array(dtype=int),
    width: int,
    terms: wp.array(dtype=wp.vec4),
):
    """Of each pixel: tone-mapped colour, absolute and squared coverage, and squared screen error; zero beyond the photograph."""
    pixel = wp.tid() + offset
    pixels = photographs.shape[1]
    image = int(index[pixel // pixels])
    place = pixel % pixels
    if wp.int64(place // width) >= sizes[image, 0] or wp.int64(place % width) >= sizes[image, 1]:
        terms[pixel] = wp.vec4(0.0, 0.0, 0.0, 0.0)
        return
    ours = rendered[pixel]
    found = photographs[image, place]
    alpha = float(found[3])
    behind = background(seed[0], image * pixels + place)
    color = float(0.0)
    squared = float(0.0)
    for c in range(3):
        theirs = float(found[c])
        mine = (ours[c] + (1.0 - ours[3]) * behind[c]) * alpha
        other = (theirs + (1.0 - alpha) * behind[c]) * alpha
        color += wp.abs(tone(mine) - tone(other))
        error = screen(ours[c]) - screen(theirs)
        squared += error * error
    cover = ours[3] - alpha
    terms[pixel] = wp.vec4(color, wp.abs(cover), cover * cover, squared)


@wp.kernel(enable_backward=False)
def photometric_adjoint(
    offset: int,
    rendered: wp.array(dtype=wp.vec4),
    photographs: wp.array2d(dtype=Any),
    index: wp.array(dtype=wp.int64),
    sizes: wp.array2d(dtype=wp.int64),
    seed: wp.array(dtype=int),
    width: int,
    grad_terms: wp.array(dtype=float),
    grad_rendered: wp.array(dtype=wp.vec4),
):
    """Gradient of the rendered images from that of the summed terms; the last term, a figure to read, has none."""
    pixel = wp.tid() + offset
    pixels = photographs.shape[1]
    image = int(index[pixel // pixels])
    place = pixel % pixels
    if wp.int64(place // width) >= sizes[image, 0] or wp.int64(place % width) >= sizes[image, 1]:
        grad_rendered[pixel] = wp.vec4(0.0, 0.0, 0.0, 0.0)
        return
    ours = rendered[pixel]
    found = photographs[image, place]
    alpha = float(found[3])
    behind = background(seed[0], image * pixels + place)
    cover = ours[3] - alpha
    gradient = wp.vec4(0.0, 0.0, 0.0, grad_terms[1] * side(cover) + grad_terms[2] * 2.0 * cover)
    for c in range(3):
        mine = (ours[c] + (1.0 - ours[3]) * behind[c]) * alpha
        other = (float(found[c]) + (1.0 - alpha) * behind[c]) * alpha
        slope = grad_terms[0] * side(tone(mine) - tone(other)) * tone_slope(mine) * alpha
        gradient[c] = slope
        gradient[3] = gradient[3] - slope * behind[c]
    grad_rendered[pixel] = gradient


@wp.func
def side(value: float) -> float:
    """-1, 0 or 1: an error of nothing pulls nowhere."""
    if value > 0.0:
        return 1.0
    if value < 0.0:
        return -1.0
    return 0.0


# Both kinds that views are kept in, compiled ahead with the module.
TERMS = {kind: wp.overload(photometric_terms, {"photographs": wp.array2d(dtype=kind)}) for kind in (wp.vec4h, wp.vec4)}
ADJOINTS = {kind: wp.overload(photometric_adjoint, {"photographs": wp.array2d(dtype=kind)}) for kind in TERMS}
