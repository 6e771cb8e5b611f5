"""Device functions that read and add rows of two numbers, for CUDA in fewer instructions than Warp's own; on the CPU they are the same.

Rows start at multiples of 8 bytes: `builtin.hash_grid` sees to that.
"""

import warp as wp

from backend.engines.builtin.warp_sums import sum_of_key

wp.set_module_options({"enable_backward": False})

Corners = wp.types.matrix(shape=(8, 2), dtype=float)


@wp.func_native("""
#if defined(__CUDA_ARCH__)
    const float2 pair = __ldg(reinterpret_cast<const float2*>(table.data) + row);
    return wp::vec2(pair.x, pair.y);
#else
    return table.data[row];
#endif
""")
def read_pair(table: wp.array(dtype=wp.vec2), row: int) -> wp.vec2: ...


# One vector reduction where the device has it (compute capability 9.0, PTX 8.1), else two.
@wp.func_native("""
    float* place = reinterpret_cast<float*>(table.data + row);
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    if (x != 0.0f || y != 0.0f)
        asm volatile("red.global.add.v2.f32 [%0], {%1, %2};"
                     : : "l"(__cvta_generic_to_global(place)), "f"(x), "f"(y) : "memory");
#elif defined(__CUDA_ARCH__)
    if (x != 0.0f || y != 0.0f) {
        atomicAdd(place, x);
        atomicAdd(place + 1, y);
    }
#else
    place[0] += x;
    place[1] += y;
#endif
""")
def add_pair(table: wp.array(dtype=wp.vec2), row: int, x: float, y: float): ...


@wp.func_native(sum_of_key(8, 2))
def sum_where_equal(key: int, values: Corners) -> Corners:
    """On CUDA the sum of the values of a warp's threads with this key, given to one of them, zeros to the others. Negative keys are alone.

    On the CPU a thread is alone.
    """
