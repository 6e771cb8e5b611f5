"""Warp kernels that spread the values of a triangle's corners over pixels, and gather their gradients."""

# ruff: noqa: UP018 (float(0.0) declares a variable; a bare literal would be a constant to Warp)
import warp as wp


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
    grad_attributes: wp.array3d(dtype=float),
):
    """Gradient of the corners' values, added into private copy `copy`."""
    pixel = wp.tid() + offset
    t = triangle[pixel]
    if t < 0:
        return
    i0 = faces[t, 0]
    i1 = faces[t, 1]
    i2 = faces[t, 2]
    u = barycentric[pixel][0]
    v = barycentric[pixel][1]
    rest = 1.0 - u - v
    for c in range(grad_out.shape[1]):
        g = grad_out[pixel, c]
        if g != 0.0:
            wp.atomic_add(grad_attributes, copy, i0, c, g * u)
            wp.atomic_add(grad_attributes, copy, i1, c, g * v)
            wp.atomic_add(grad_attributes, copy, i2, c, g * rest)
