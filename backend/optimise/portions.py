"""A step's views in portions, rendered one after the other: the gradient is the same, and only one portion's pixels lie in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Told:
    """What a portion of a step's views said.

    Attributes:
        share: of the portion in the step, 1.0 where it is the whole.
        terms: the loss terms, detached scalars.
        covered: [] int64 pixels with surface, of all its views together.
    """

    share: Tensor | float
    terms: Mapping[str, Tensor]
    covered: Tensor


def portion(count: int, at_once: int | None) -> int:
    """The most views that divide `count` evenly and are at most `at_once` (None for any number): what a step renders at a time."""
    most = max(1, count if at_once is None else at_once)
    return max(size for size in range(1, count + 1) if count % size == 0 and size <= most)


def shares(index: Tensor, size: int, sizes: Tensor) -> Iterator[tuple[Tensor, Tensor | float]]:
    """The views of a step, `size` at a time, each with its share in a mean over all their pixels.

    Args:
        index: [B] int64 the step's views, B a multiple of `size`.
        size: views of a portion.
        sizes: [N, 2] (height, width) of all views.
    """
    if size == index.shape[0]:
        yield index, 1.0
        return
    pixels = sizes.index_select(0, index).prod(1)
    for first in range(0, index.shape[0], size):
        yield index[first : first + size], pixels[first : first + size].sum() / pixels.sum().clamp(min=1)


def joined(parts: Sequence[Told]) -> tuple[dict[str, Tensor], Tensor]:
    """The terms of the whole step, and the most pixels ([1] int64) a portion had."""
    terms = {name: torch.stack([part.share * part.terms[name] for part in parts]).sum(0) for name in parts[0].terms}
    return terms, torch.stack([part.covered for part in parts]).amax(0, keepdim=True)
