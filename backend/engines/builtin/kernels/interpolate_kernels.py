"""Warp kernels that spread the values of a triangle's corners over pixels, and gather their gradients."""

# ruff: noqa: UP018 (float(0.0) declares a variable; a bare literal would be a constant to Warp)
import warp as wp

from backend.engines.builtin.kernels.additions import Twelve, add_some, sum_of_equals


@wp.kernel(enable_backward=False)
def interpolate_corners(
    offset: int,
    attributes: wp.array2d(dtype=float),
    faces: wp.array2d(dtype=int),
    barycentric: wp.array(dtype=wp.vec4),
    triangle: wp.array(dtype=int),
    out: wp.array2d(dtype=float),
):
    pixel = wp.tid() + offset
    channels = attributes.shape[1]
    t = triangle[pixel]
    if t < 0:
        for c in range(channels):
            out[pixel, c] = 0.0
        return
    i0 = faces[t, 0]
    i1 = faces[t, 1]
    i2 = faces[t, 2]
    u = barycentric[pixel][0]
    v = barycentric[pixel][1]
    rest = 1.0 - u - v
    for c in range(channels):
        out[pixel, c] = attributes[i0, c] * u + attributes[i1, c] * v + attributes[i2, c] * rest


@wp.kernel(enable_backward=False)
def interpolate_adjoint_weights(
    offset: int,
    attributes: wp.array2d(dtype=float),
    faces: wp.array2d(dtype=int),
    triangle: wp.array(dtype=int),
    grad_out: wp.array2d(dtype=float),
    grad_barycentric: wp.array(dtype=wp.vec4),
):
    """Gradient of u and v; z/w and the cover flag take none."""
    pixel = wp.tid() + offset
    t = triangle[pixel]
    if t < 0:
        grad_barycentric[pixel] = wp.vec4(0.0, 0.0, 0.0, 0.0)
        return
    i0 = faces[t, 0]
    i1 = faces[t, 1]
    i2 = faces[t, 2]
    gu = float(0.0)
    gv = float(0.0)
    for c in range(attributes.shape[1]):
        g = grad_out[pixel, c]
        last = attributes[i2, c]
        gu += g * (attributes[i0, c] - last)
        gv += g * (attributes[i1, c] - last)
    grad_barycentric[pixel] = wp.vec4(gu, gv, 0.0, 0.0)


@wp.kernel(enable_backward=False)
def interpolate_adjoint_corners(
    offset: int,
    copy: int,
    faces: wp.array2d(dtype=int),
    barycentric: wp.array(dtype=wp.vec4),
    triangle: wp.array(dtype=int),
    grad_out: wp.array2d(dtype=float),
    vertices: int,
    grad_attributes: wp.array(dtype=float),
):
    """Gradient of the corners' values, added into private copy `copy` of [copies, vertices, C], which is one row of numbers."""
    pixel = wp.tid() + offset
    t = triangle[pixel]
    if t < 0:
        return
    weights = wp.vec3(barycentric[pixel][0], barycentric[pixel][1], 1.0 - barycentric[pixel][0] - barycentric[pixel][1])
    channels = grad_out.shape[1]
    for four in range((channels + 3) / 4):
        count = wp.min(channels - 4 * four, 4)
        shares = Twelve()
        for c in range(count):
            g = grad_out[pixel, 4 * four + c]
            for corner in range(3):
                shares[corner, c] = g * weights[corner]
        shares = sum_of_equals(t, shares)
        for corner in range(3):
            row = copy * vertices + faces[t, corner]
            add_some(grad_attributes, row * channels + 4 * four, shares[corner], count)
