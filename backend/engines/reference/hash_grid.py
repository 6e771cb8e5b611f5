"""The plain-torch oracle of the hash grid encoding: any float type, gradients by autograd, slow."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.engines.hash_layout import HashLayout

PRIMES = (1, 2654435761, 805459861)


def hash_encode(points: Tensor, table: Tensor, layout: HashLayout) -> Tensor:
    """points [N, 3] in [0, 1], table [entries, 2] -> [N, 2 * levels]; as `Engine.hash_encode`."""
    encoded = []
    _, scales = layout.tensors(points.device)
    for level, scale in zip(layout.levels, scales.to(points.dtype), strict=True):
        place = points * scale + 0.5
        cell = place.detach().floor()
        fraction = place - cell
        total = torch.zeros(points.shape[0], table.shape[1], dtype=table.dtype, device=table.device)
        for corner in range(8):
            upper = torch.tensor([corner >> axis & 1 for axis in range(3)], device=points.device)
            weight = torch.where(upper.bool(), fraction, 1 - fraction).prod(1, keepdim=True)
            x, y, z = (cell.long() + upper).unbind(1)
            if level.hashed:
                row = (x * PRIMES[0] ^ y * PRIMES[1] ^ z * PRIMES[2]) % level.size
            else:
                row = (x + level.resolution * (y + level.resolution * z)) % level.size
            total = total + weight * table[level.offset + row]
        encoded.append(total)
    return torch.cat(encoded, dim=1)
