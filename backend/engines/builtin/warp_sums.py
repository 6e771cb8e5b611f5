"""CUDA source that sums what the threads of a warp have for one key; on the CPU a thread is alone."""

from __future__ import annotations

# Pairwise in log2 steps (Westphal 2015, "Voting and Shuffling to Optimize Atomic Operations"): each round a lane adds what the next lane
# of its group holds, and every other lane of a group is done. Lanes that have left the kernel are not in `active`. Negative keys are alone.
_SOURCE = """
#if defined(__CUDA_ARCH__)
    const unsigned active = __activemask();
    const int lane = threadIdx.x & 31;
    unsigned peers = __match_any_sync(active, key);
    if (key < 0)
        peers = 1u << lane;
    const bool first = lane == __ffs(peers) - 1;
    unsigned rank = __popc(peers & ((1u << lane) - 1u));
    peers &= 0xfffffffeu << lane;
    while (__any_sync(active, peers != 0u)) {
        const int next = __ffs(peers);
        const int source = next ? next - 1 : lane;
#pragma unroll
        for (int row = 0; row < ROWS; ++row)
#pragma unroll
            for (int column = 0; column < COLUMNS; ++column) {
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
"""


def sum_of_key(rows: int, columns: int) -> str:
    """The body of a native function (key, values): one of a key's threads gets the sum of these matrices, the others zeros."""
    return _SOURCE.replace("ROWS", str(rows)).replace("COLUMNS", str(columns))
