"""Device functions of shading: the light's cubes. Row 0 of `levels` is the diffuse one, the rows behind it are blurred by growing lobes."""

# ruff: noqa: D101, UP018 (float(0.0) declares a variable; a bare literal would be a constant to Warp)
import warp as wp

from backend.engines.builtin.kernels.cube_kernels import cube_taps, face_adjoint, face_of
from backend.engines.builtin.kernels.shade_relief import row_sum

wp.set_module_options({"enable_backward": False})


@wp.struct
class LightLevel:
    fine: int  # row of `levels`
    fraction: float  # of row fine + 1
    slope: float  # levels a unit of roughness


@wp.struct
class LightGradient:
    color: wp.vec3  # the light itself
    direction: wp.vec3
    fraction: float


@wp.func
def light_level(roughness: float, knots: wp.array(dtype=float)):
    """The two levels whose lobes are next to this roughness."""
    r = LightLevel()
    last = knots.shape[0] - 1
    below = int(0)
    for k in range(1, last):
        if knots[k] < roughness:
            below = k
    width = knots[below + 1] - knots[below]
    r.fine = 1 + below
    r.fraction = wp.clamp((roughness - knots[below]) / width, 0.0, 1.0)
    if roughness >= knots[0] and roughness <= knots[last]:
        r.slope = 1.0 / width
    return r


@wp.func
def light_of(
    direction: wp.vec3, fine: int, fraction: float, texels: wp.array(dtype=wp.vec3), levels: wp.array2d(dtype=int)
):
    """Light from a direction of any length, between rows `fine` and fine + 1 of the levels."""
    p = face_of(direction)
    color = wp.vec3(0.0, 0.0, 0.0)
    last = fine
    if fraction > 0.0:
        last = fine + 1
    weight = 1.0 - fraction
    for row in range(fine, last + 1):  # a loop, since code that stands there twice compiles for twice as long
        taps = cube_taps(p, levels[row, 0], levels[row, 1])
        color += weight * row_sum(texels, taps.texel, taps.weight)
        weight = fraction
    return color


# Points that lie close together read the same few texels, those of blurred levels above all: on CUDA the threads of a warp that meet at a
# texel first sum what they bring, pairwise in log2 steps (Westphal 2015, "Voting and Shuffling to Optimize Atomic Operations"), and one
# of them adds it.
@wp.func_native("""
    float* place = sums.data + 3 * texel;
#if defined(__CUDA_ARCH__)
    const unsigned active = __activemask();
    const int lane = threadIdx.x & 31;
    unsigned peers = __match_any_sync(active, texel);
    const int first = __ffs(peers) - 1;
    unsigned rank = __popc(peers & ((1u << lane) - 1u));
    peers &= 0xfffffffeu << lane;
    while (__any_sync(active, peers != 0u)) {
        const int next = __ffs(peers);
        const int source = next ? next - 1 : lane;
        const float x_next = __shfl_sync(active, x, source);
        const float y_next = __shfl_sync(active, y, source);
        const float z_next = __shfl_sync(active, z, source);
        if (next) {
            x += x_next;
            y += y_next;
            z += z_next;
        }
        peers &= __ballot_sync(active, !(rank & 1u));
        rank >>= 1;
    }
    if (lane == first && (x != 0.0f || y != 0.0f || z != 0.0f)) {
        atomicAdd(place, x);
        atomicAdd(place + 1, y);
        atomicAdd(place + 2, z);
    }
#else
    place[0] += x;
    place[1] += y;
    place[2] += z;
#endif
""")
def gather_texel(sums: wp.array2d(dtype=float), texel: int, x: float, y: float, z: float): ...


@wp.func
def gather_color(sums: wp.array2d(dtype=float), start: int, texel: wp.vec4i, weight: wp.vec4, share: float, g: wp.vec3):
    for k in range(4):
        w = weight[k] * share
        gather_texel(sums, start + texel[k], w * g[0], w * g[1], w * g[2])


@wp.func
def light_adjoint(
    direction: wp.vec3,
    fine: int,
    fraction: float,
    texels: wp.array(dtype=wp.vec3),
    levels: wp.array2d(dtype=int),
    color_gradient: wp.vec3,
    fitted: int,
    start: int,
    sums: wp.array2d(dtype=float),
):
    """The light, and the gradients of the direction and of the fraction.

    Where the light is fitted, its texels' gradients are added to `sums` from row `start` on.
    """
    r = LightGradient()
    p = face_of(direction)
    gs = float(0.0)
    gt = float(0.0)
    by_fraction = float(0.0)
    color = wp.vec3(0.0, 0.0, 0.0)
    last = fine
    if fine > 0:
        last = fine + 1
    weight = 1.0 - fraction
    sign = float(-1.0)
    for row in range(fine, last + 1):
        taps = cube_taps(p, levels[row, 0], levels[row, 1])
        here = row_sum(texels, taps.texel, taps.weight)
        color += weight * here
        by_fraction += sign * wp.dot(color_gradient, here)
        gs += weight * wp.dot(color_gradient, row_sum(texels, taps.texel, taps.slope_x))
        gt += weight * wp.dot(color_gradient, row_sum(texels, taps.texel, taps.slope_y))
        if fitted != 0:
            gather_color(sums, start, taps.texel, taps.weight, weight, color_gradient)
        weight = fraction
        sign = 1.0
    r.color = color
    r.fraction = by_fraction
    r.direction = face_adjoint(direction, p, gs, gt)
    return r
