"""Photographs that show the object in several states: laid down anew with a part moved, a lid that fell, a cloth that slid.

No one shape explains them, yet no single photograph is at fault. They show themselves as stretches of the sequence in which the photographs
were taken: each stretch's silhouettes agree with one another, while the hull of one leaves out parts of the other's masks. Where to cut is
where most is left out; that it is the sequence and not chance is told by cutting the same photographs in shuffled order.
"""

from __future__ import annotations

import numpy as np

from backend.preflight.cells import Cells, widened

DISSENT = 0.7  # of the views may call a cell empty that a smaller part of them shows
_FEWEST = 8  # views in a placement; the hull of fewer leaves too much open to contradict anything
_CUTS = 12  # places in the sequence tried at first
_SHUFFLED = 8  # orders compared with, each cut at its quarters
_LEFT_OUT = 0.0005  # mean part of a mask that the other placement's hull leaves out and its own does not
_CHANCE = 2.0  # times what the shuffled orders come to


def agree(cells: Cells, sequence: np.ndarray) -> bool:
    """Whether the silhouettes of so many views agree well enough for there to be one placement."""
    return len(sequence) < 2 * _FEWEST or float(_left_out(cells, sequence, sequence).mean()) < 0.5 * _LEFT_OUT


def placements(cells: Cells, sequence: np.ndarray) -> list[np.ndarray]:
    """The stretches of a sequence that each show the object in one state.

    Args:
        cells: of all views, with `DISSENT`.
        sequence: [M] places of the views that are trusted, in the order they were taken.

    Returns:
        The views of each stretch, in order; one stretch where the silhouettes agree throughout.
    """
    cut = _cut(cells, sequence)
    if cut is None:
        return [sequence]
    return [*placements(cells, sequence[:cut]), *placements(cells, sequence[cut:])]


def _cut(cells: Cells, sequence: np.ndarray) -> int | None:
    """How many views stand before the place where the state changes; None where it does not."""
    if agree(cells, sequence):
        return None
    step = max(1, (len(sequence) - 2 * _FEWEST) // _CUTS)
    cuts = range(_FEWEST, len(sequence) - _FEWEST + 1, step)
    best = max(cuts, key=lambda cut: _gained(cells, sequence, cut))
    finer = range(max(_FEWEST, best - step + 1), min(len(sequence) - _FEWEST, best + step - 1) + 1)
    cut = max(finer, key=lambda cut: _gained(cells, sequence, cut))
    gained = _gained(cells, sequence, cut)
    if gained < _LEFT_OUT:
        return None
    chance = np.random.default_rng(0)
    quarters = [max(_FEWEST, part * len(sequence) // 4) for part in (1, 2, 3)]
    orders = [chance.permutation(sequence) for _ in range(_SHUFFLED)]
    usual = max(_gained(cells, order, min(other, len(sequence) - _FEWEST)) for order in orders for other in quarters)
    return cut if gained > _CHANCE * usual else None


def _gained(cells: Cells, sequence: np.ndarray, cut: int) -> float:
    """Mean part of a mask that the views on the other side of a cut leave out and those on its own side do not."""
    before, after = sequence[:cut], sequence[cut:]
    gained = _left_out(cells, after, sequence) - _left_out(cells, before, sequence)
    gained[cut:] *= -1.0
    return float(gained.mean())


def _left_out(cells: Cells, group: np.ndarray, views: np.ndarray) -> np.ndarray:
    """[V] part of each view's mask beside the hull of a group, the view itself left out, that all but one of its views agree on."""
    against = cells.outside[group].sum(0, dtype=np.int16)
    sure, doubtful = np.flatnonzero(against <= 1), np.flatnonzero(against == 2)
    members = set(group.tolist())
    result = np.empty(len(views))
    height, width = cells.shown.shape[1:]
    hit = np.empty(height * width + 1, np.uint8)
    for place, view in enumerate(views.tolist()):
        tiles = cells.tiles[view]
        hit.fill(0)
        hit[tiles.take(sure)] = 1
        if view in members:
            hit[tiles.take(doubtful[cells.outside[view].take(doubtful)])] = 1
        shown = cells.shown[view]
        result[place] = (shown & ~widened(hit[None, :-1].reshape(1, height, width), 1)[0]).sum() / max(1, shown.sum())
    return result
