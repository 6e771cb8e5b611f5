"""Device functions that add what many threads have for the same numbers, for CUDA in few instructions; on the CPU they simply add."""

import warp as wp

wp.set_module_options({"enable_backward": False})

Twelve = wp.types.matrix(shape=(3, 4), dtype=float)


# One vector reduction where the device has it (compute capability 9.0, PTX 8.1) and the place is aligned, else one number at a time.
# What is zero is not added: the blank rows of a list all meet the same place, and would queue for it.
@wp.func_native("""
    float* to = sums.data + place;
#if defined(__CUDA_ARCH__)
    const float x = values[0], y = values[1], z = values[2], w = values[3];
    if (x == 0.0f && y == 0.0f && z == 0.0f && w == 0.0f)
        return;
#if __CUDA_ARCH__ >= 900
    const size_t address = __cvta_generic_to_global(to);
    if (count == 4 && (address & 15) == 0) {
        asm volatile("red.global.add.v4.f32 [%0], {%1, %2, %3, %4};"
                     : : "l"(address), "f"(x), "f"(y), "f"(z), "f"(w) : "memory");
        return;
    }
    if ((count & 1) == 0 && (address & 7) == 0) {
        asm volatile("red.global.add.v2.f32 [%0], {%1, %2};" : : "l"(address), "f"(x), "f"(y) : "memory");
        if (count == 4)
            asm volatile("red.global.add.v2.f32 [%0], {%1, %2};" : : "l"(address + 8), "f"(z), "f"(w) : "memory");
        return;
    }
#endif
    for (int i = 0; i < count; ++i)
        atomicAdd(to + i, values[i]);
#else
    for (int i = 0; i < count; ++i)
        to[i] += values[i];
#endif
""")
def add_some(sums: wp.array(dtype=float), place: int, values: wp.vec4, count: int):
    """Add the first `count` (1 to 4) of the values to sums[place], sums[place + 1], ..."""


# As in `pairs.sum_where_equal`: pairwise in log2 steps among the warp's threads whose keys are equal.
@wp.func_native("""
#if defined(__CUDA_ARCH__)
    const unsigned active = __activemask();
    const int lane = threadIdx.x & 31;
    unsigned peers = __match_any_sync(active, key);
    const bool first = lane == __ffs(peers) - 1;
    unsigned rank = __popc(peers & ((1u << lane) - 1u));
    peers &= 0xfffffffeu << lane;
    while (__any_sync(active, peers != 0u)) {
        const int next = __ffs(peers);
        const int source = next ? next - 1 : lane;
#pragma unroll
        for (int row = 0; row < 3; ++row)
#pragma unroll
            for (int column = 0; column < 4; ++column) {
                const float x = __shfl_sync(active, values.data[row][column], source);
                if (next)
                    values.data[row][column] += x;
            }
        peers &= __ballot_sync(active, !(rank & 1u));
        rank >>= 1;
    }
    if (!first)
        values = {};
#endif
    return values;
""")
def sum_of_equals(key: int, values: Twelve) -> Twelve:
    """On CUDA the sum of the values of a warp's threads with this key, given to one of them, zeros to the others.

    Neighbouring pixels mostly show the same triangle. On the CPU a thread is alone.
    """
