"""Sparse matrices between the texels of cubes: which texels are close, how one cube is read at another's texels, and products."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.light.cube import bilinear_taps, texel_directions

_BLOCK = 8  # texels along the edge of the blocks in which close texels are searched


@dataclass(frozen=True)
class Pairs:
    """Texels of one cube and their neighbours: CSR's row starts [n + 1] and columns [P], and the squared chord [P] between them."""

    starts: Tensor
    columns: Tensor
    chords_squared: Tensor


class ClosePairs:
    """Pairs found so far while one map is built: levels of one size share them, and their matrices the indices."""

    def __init__(self, device: torch.device | str, dtype: torch.dtype) -> None:
        self.device = device
        self.dtype = dtype
        self.found: dict[tuple[int, float], Pairs] = {}

    def of(self, size: int, reach: float) -> Pairs:
        """All pairs of texels of a cube of `size` whose chord is below `reach`."""
        if (size, reach) not in self.found:
            self.found[size, reach] = _close_pairs(size, reach, self.device, self.dtype)
        return self.found[size, reach]


def _close_pairs(size: int, reach: float, device: torch.device | str, dtype: torch.dtype) -> Pairs:
    """All pairs of texels of a cube of `size` whose chord is below `reach`, searched block of texels against block."""
    block = min(_BLOCK, size)
    blocks = size // block
    index = torch.arange(6 * size * size, device=device).reshape(6, blocks, block, blocks, block)
    index = index.transpose(2, 3).reshape(-1, block * block)
    points = texel_directions(size, device, torch.float64).reshape(-1, 3)[index]
    centres = torch.nn.functional.normalize(points.mean(1), dim=-1)
    radius = (points - centres[:, None]).norm(dim=-1).amax(-1)
    near = torch.cdist(centres, centres) < reach + radius[:, None] + radius[None, :]
    first, second = near.nonzero(as_tuple=True)
    keys, chords = [], []
    count = 6 * size * size
    for a, b in zip(first.split(1024), second.split(1024)):
        squared = 2.0 - 2.0 * torch.bmm(points[a], points[b].transpose(1, 2))
        close = squared < reach * reach
        key = index[a][:, :, None] * count + index[b][:, None, :]
        keys.append(key[close])
        chords.append(squared[close].clamp_min(0.0).to(dtype))
    key, order = torch.cat(keys).sort()
    chord = torch.cat(chords)[order]
    return Pairs(_row_starts(key.div(count, rounding_mode="floor"), count), key.remainder_(count).int(), chord)


def interpolation(size: int, device: torch.device | str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The matrix [6 (2 size)^2, 6 size^2] that reads a cube at the texels of one twice as fine, and its transpose."""
    fine = texel_directions(2 * size, device, torch.float64).reshape(-1, 3)
    columns, weights = bilinear_taps(fine, size)
    rows = torch.arange(fine.shape[0], device=device)[:, None].expand_as(columns)
    rows, columns, values = rows.reshape(-1), columns.reshape(-1), weights.to(dtype).reshape(-1)
    order = columns.argsort(stable=True)
    fine_count, count = fine.shape[0], 6 * size * size
    return (
        csr(_row_starts(rows, fine_count), columns.int(), values, count),
        csr(_row_starts(columns[order], count), rows[order].int(), values[order], fine_count),
    )


def _row_starts(rows: Tensor, count: int) -> Tensor:
    """CSR's row starts [count + 1] of entries whose rows are in order."""
    starts = torch.zeros(count + 1, dtype=torch.int32, device=rows.device)
    starts[1:] = torch.bincount(rows, minlength=count).cumsum(0)
    return starts


def csr(starts: Tensor, columns: Tensor, values: Tensor, width: int) -> Tensor:
    """The sparse matrix [len(starts) - 1, width]."""
    with warnings.catch_warnings():  # torch calls its CSR support beta on first use
        warnings.simplefilter("ignore")
        return torch.sparse_csr_tensor(starts, columns, values, (len(starts) - 1, width), check_invariants=False)
