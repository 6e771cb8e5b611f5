from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Coverage:
    """How often each texel's centre lies strictly inside a triangle.

    Attributes:
        counts: [size, size] int32; more than 1 is an overlap.
        overlapping: [T] bool: the triangle claims a texel that another one claims too.
    """

    counts: np.ndarray
    overlapping: np.ndarray

    @property
    def share(self) -> float:
        """The part of the texture that is claimed at all, 0 to 1."""
        return float((self.counts > 0).mean())

    @property
    def overlap(self) -> float:
        """The part of the claimed texels that is claimed more than once, 0 to 1."""
        return float((self.counts > 1).sum() / max(1, (self.counts > 0).sum()))


def texel_coverage(corners: np.ndarray, size: int, shrink: float = 1e-3) -> Coverage:
    """Count the triangles over each texel, by scanline: work grows with the triangles' heights and not with their areas.

    Args:
        corners: [T, 3, 2] float, texture coordinates in [0, 1], either winding.
        size: texels along a side.
        shrink: texels taken off each end of a span, so that a shared edge is not an overlap.

    Returns:
        The counts and the triangles at fault. A plain NumPy oracle beside the engines' rasterisers: it shares nothing with them.
    """
    points = corners.astype(np.float64) * size
    low, high = points[..., 1].min(1), points[..., 1].max(1)
    first = np.clip(np.ceil(low - 0.5), 0, size).astype(np.int64)
    rows = np.clip(np.floor(high - 0.5) + 1, 0, size).astype(np.int64) - first
    rows = np.maximum(rows, 0)
    triangle = np.repeat(np.arange(len(points)), rows)
    row = np.arange(rows.sum()) - np.repeat(np.cumsum(rows) - rows, rows) + first[triangle]
    middle = row + 0.5
    start = np.full(len(row), np.inf)
    end = np.full(len(row), -np.inf)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        p, q = points[triangle, a], points[triangle, b]
        crosses = (p[:, 1] > middle) != (q[:, 1] > middle)
        rise = np.where(crosses, q[:, 1] - p[:, 1], 1.0)
        x = p[:, 0] + (middle - p[:, 1]) / rise * (q[:, 0] - p[:, 0])
        start = np.where(crosses, np.minimum(start, x), start)
        end = np.where(crosses, np.maximum(end, x), end)
    left = np.ceil(np.clip(start + shrink, -1, size + 1) - 0.5).astype(np.int64)
    right = np.floor(np.clip(end - shrink, -1, size + 1) - 0.5).astype(np.int64) + 1
    left, right = np.clip(left, 0, size), np.clip(right, 0, size)
    some = right > left
    triangle, row, left, right = triangle[some], row[some], left[some], right[some]
    steps = np.zeros((size, size + 1), np.int32)
    np.add.at(steps, (row, left), 1)
    np.add.at(steps, (row, right), -1)
    counts = np.cumsum(steps, axis=1, dtype=np.int32)[:, :size]
    doubled = np.concatenate([np.zeros((size, 1), np.int64), np.cumsum(counts > 1, axis=1)], axis=1)
    overlapping = np.zeros(len(points), bool)
    overlapping[triangle[doubled[row, right] > doubled[row, left]]] = True
    return Coverage(counts, overlapping)
