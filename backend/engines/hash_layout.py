"""Where each level of a multi-resolution hash grid lies in its table (Mueller et al. 2022, tiny-cuda-nn's `HashGrid` rule)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

FEATURES = 2  # numbers a row of the table holds, hence features a level gives


@dataclass(frozen=True)
class HashLevel:
    """One level.

    Attributes:
        offset: first row of the table that is its own.
        resolution: grid corners along an axis.
        size: rows it owns; a power of two when hashed.
        hashed: whether corners share rows by the hash, else each has its own.
        scale: cells along the unit cube's side; a point p lies at p * scale + 0.5 of the grid.
    """

    offset: int
    resolution: int
    size: int
    hashed: bool
    scale: float


@dataclass(frozen=True)
class HashLayout:
    """The levels of a hash grid, coarse to fine. Made by `hash_layout`."""

    levels: tuple[HashLevel, ...]

    @property
    def entries(self) -> int:
        """Rows of the whole table."""
        last = self.levels[-1]
        return last.offset + last.size

    @property
    def features(self) -> int:
        """Numbers the encoding gives a point."""
        return FEATURES * len(self.levels)

    def tensors(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """[L, 4] int32 (offset, resolution, size, hashed) and [L] float32 scale on a device; made once, not to be written to."""
        return _tensors(self, device)


@lru_cache(maxsize=32)
def _tensors(layout: HashLayout, device: torch.device) -> tuple[Tensor, Tensor]:
    rows = [(level.offset, level.resolution, level.size, int(level.hashed)) for level in layout.levels]
    scales = [level.scale for level in layout.levels]
    return torch.tensor(rows, dtype=torch.int32, device=device), torch.tensor(scales, device=device)


def hash_layout(levels: int = 16, base: int = 16, per_level_scale: float = 1.4473, log2_size: int = 19) -> HashLayout:
    """Lay out a hash grid of three dimensions and two features a level.

    Level l has scale = base * per_level_scale^l - 1 and ceil(scale) + 1 corners an axis. It is dense while its corners fit into
    2^log2_size rows (the size is rounded up to 8), else hashed into exactly that many.

    Args:
        levels: number of levels, 1 to 32.
        base: corners along an axis of the coarsest level, 2 or more.
        per_level_scale: growth of the resolution from one level to the next, 1 or more.
        log2_size: binary logarithm of the most rows a level may own, 3 to 24.

    Raises:
        ValueError: a number is out of its range, or the finest level has more corners than a 32-bit coordinate counts.
    """
    if not 1 <= levels <= 32:
        raise ValueError(f"levels is {levels}; expected 1 to 32")
    if base < 2:
        raise ValueError(f"base is {base}; expected 2 or more")
    if not per_level_scale >= 1.0:
        raise ValueError(f"per_level_scale is {per_level_scale}; expected 1 or more")
    if not 3 <= log2_size <= 24:
        raise ValueError(f"log2_size is {log2_size}; expected 3 to 24")
    most = 1 << log2_size
    made: list[HashLevel] = []
    offset = 0
    for index in range(levels):
        scale = base * per_level_scale**index - 1.0
        if scale > 2**24:
            raise ValueError(
                f"level {index} has {scale:.3g} cells along an axis; expected at most 2^24: lower levels or scale"
            )
        resolution = math.ceil(scale) + 1
        hashed = resolution**3 > most
        size = most if hashed else -(-(resolution**3) // 8) * 8
        made.append(HashLevel(offset, resolution, size, hashed, scale))
        offset += size
    return HashLayout(tuple(made))
