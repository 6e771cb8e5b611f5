"""Warp kernel of one Chebyshev step for (I + strength L) x = b, L the combinatorial Laplacian of a mesh."""

# ruff: noqa: UP018 (float(0.0) declares a variable; a bare literal would be a constant to Warp)
import warp as wp


@wp.kernel(enable_backward=False)
def chebyshev_step(
    offset: int,
    starts: wp.array(dtype=int),
    neighbours: wp.array(dtype=int),
    strength: float,
    keep: float,
    follow: float,
    direction: wp.array(dtype=wp.vec3),
    next_direction: wp.array(dtype=wp.vec3),
    residual: wp.array(dtype=wp.vec3),
    solution: wp.array(dtype=wp.vec3),
):
    """solution += direction; residual, divided by the diagonal, follows; next_direction = keep direction + follow residual."""
    vertex = wp.tid() + offset
    first = starts[vertex]
    last = starts[vertex + 1]
    mine = direction[vertex]
    around = wp.vec3(0.0, 0.0, 0.0)
    for entry in range(first, last):
        around += direction[neighbours[entry]]
    diagonal = 1.0 + strength * float(last - first)
    left = residual[vertex] - mine + (strength / diagonal) * around
    residual[vertex] = left
    solution[vertex] = solution[vertex] + mine
    next_direction[vertex] = keep * mine + follow * left
