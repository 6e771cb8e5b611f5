"""Device functions that add what many threads have for the same numbers, for CUDA in few instructions; on the CPU they simply add."""

import warp as wp

from backend.engines.builtin.warp_sums import sum_of_key

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


@wp.func_native(sum_of_key(3, 4))
def sum_of_equals(key: int, values: Twelve) -> Twelve:
    """On CUDA the sum of the values of a warp's threads with this key, given to one of them, zeros to the others.

    Neighbouring pixels mostly show the same triangle. On the CPU a thread is alone.
    """
