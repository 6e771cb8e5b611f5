"""What is suspicious about masks, before anything is reconstructed from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

EMPTY, FULL = 0.002, 0.95  # shares of the picture
TOUCHING = 0.01  # of the border
UNLIKE = 4.0  # times the median coverage


@dataclass(frozen=True)
class Coverage:
    """How much of a picture a mask covers, and of its border.

    Attributes:
        share: of the picture, 0 to 1.
        border: of the outermost pixels, 0 to 1.
    """

    share: float
    border: float


def coverage(mask: np.ndarray) -> Coverage:
    """Of a mask [H, W] in [0, 1]."""
    edge = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    return Coverage(float(mask.mean()), float((edge > 0.5).mean()))


def suspicions(found: Mapping[str, Coverage]) -> dict[str, str]:
    """Name -> what is odd about the mask; names without anything odd are not in it."""
    usual = float(np.median([one.share for one in found.values()])) if found else 0.0
    told = {}
    for name, one in found.items():
        if one.share < EMPTY:
            told[name] = "empty"
        elif one.share > FULL:
            told[name] = "full"
        elif one.border > TOUCHING:
            told[name] = "touches the border"
        elif not usual / UNLIKE <= one.share <= usual * UNLIKE:
            told[name] = f"covers {one.share:.0%}, the others about {usual:.0%}"
    return told
