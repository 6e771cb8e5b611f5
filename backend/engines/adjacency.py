"""Which triangle lies across each edge."""

from __future__ import annotations

import torch
from torch import Tensor


def edge_adjacency(faces: Tensor) -> Tensor:
    """Find the neighbour across each edge of a mesh.

    Edges are matched in pairs by their two vertices, whatever their direction. Of an edge that an odd number of triangles share, the
    last one stays open.

    Args:
        faces: [T, 3] integer vertex indices, at least 0.

    Returns:
        [T, 3] int32 on the faces' device. Entry (t, k) belongs to the edge opposite corner k of triangle t: 3 * neighbour + the
        neighbour's corner opposite that edge, or -1 where the edge is open.

    Raises:
        ValueError: faces are not [T, 3], or not integers.
    """
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype.is_floating_point:
        raise ValueError(f"edge_adjacency: faces are {list(faces.shape)} {faces.dtype}; expected [T, 3] integers")
    count = faces.shape[0]
    corners = torch.arange(3 * count, device=faces.device)
    if count == 0:
        return torch.empty((0, 3), dtype=torch.int32, device=faces.device)
    start, end = faces.long().roll(-1, 1).view(-1), faces.long().roll(-2, 1).view(-1)  # edge k is opposite corner k
    key, order = ((torch.minimum(start, end) << 32) | torch.maximum(start, end)).sort(stable=True)
    # within a run of equal keys the first pairs with the second, the third with the fourth, and so on
    starts = torch.ones_like(key, dtype=torch.bool)
    starts[1:] = key[1:] != key[:-1]
    run = starts.cumsum(0) - 1  # on CUDA a sum is scanned in parallel, a running maximum by one block
    first_of_run = torch.empty(3 * count + 1, dtype=torch.long, device=faces.device)
    first_of_run[torch.where(starts, run, 3 * count)] = corners  # the last place is for those that start no run
    rank = corners - first_of_run[run]
    opens_pair = torch.zeros_like(starts)
    opens_pair[:-1] = (rank[:-1] % 2 == 0) & ~starts[1:]
    closes_pair = torch.zeros_like(starts)
    closes_pair[1:] = opens_pair[:-1]
    partner = torch.where(
        opens_pair, order.roll(-1), torch.where(closes_pair, order.roll(1), torch.full_like(order, -1))
    )
    across = torch.empty(3 * count, dtype=torch.int32, device=faces.device)
    across[order] = partner.int()
    return across.view(count, 3)
