"""Masks and cameras against one another: what the other views' visual hull leaves of a mask, and who takes from the others.

A mask lies inside the projection of the hull of any other views (Laurentini 1994). Where it does not, one of them is wrong: its mask, or
its camera. The one at fault shows itself twice: several views agree that there is nothing where its mask says object, and it alone cuts
away what the masks of many others show.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from backend.preflight.cells import Cells, widened

_CONFLICT = 0.008  # part of a mask; good views with sharp masks have less than 0.001
_SPREAD = 7.0  # times what three quarters of the views stay below, for masks that are loose throughout: good views stay below 6.3
_GRAVE = 0.025  # no good view has so much, however loose its mask
_MOST = 0.25  # of the views may be at fault
_THICK = 4  # tiles
_FITS = 0.75  # intersection over union from which a moved mask is said to fit


@dataclass(frozen=True)
class Silhouette:
    """How one view's mask agrees with the hull of the trusted other views.

    Attributes:
        missing: part of the mask where that hull has nothing, in [0, 1]; 0 for masks and cameras without fault.
        excess: part of that hull's projection outside the mask, in [0, 1]; small where many views see the object.
        hole: the largest part of it in one piece without its thin places, in [0, 1]: what stands out at the outline is thin, what was
            cut out of a mask is not.
        conflict: the fault's size when the view was judged: the part of its mask that several others call empty, and the mean part of the
            others' masks that it alone cuts away, added.
        shift: (right, down) in parts of the image's long side by which the mask would fit the hull, where it then fits; else None.
    """

    missing: float
    excess: float
    hole: float
    conflict: float
    shift: tuple[float, float] | None = None


def judge(cells: Cells) -> tuple[list[Silhouette], list[int], bool]:
    """Each view's agreement with the others, and the views at fault, the worst first.

    The worst view is set aside and the rest judged anew until none is in conflict beyond what most views of the set are.

    Args:
        cells: of N views that show the object in one state.

    Returns:
        N silhouettes, the indices at fault, and whether so many views contradict one another that these mean little.
    """
    count = len(cells.shown)
    trusted = np.ones(count, dtype=bool)
    against = cells.against.copy()
    conflict = _conflicts(cells, trusted, against)
    faulty: list[int] = []
    limit = _CONFLICT
    while count > 2:
        limit = min(max(limit, _SPREAD * float(np.quantile(conflict[trusted], 0.75))), _GRAVE)  # it never falls
        if float(conflict[trusted].max()) <= limit:
            break
        if len(faulty) >= _MOST * count:
            return [_silhouette(cells, i, True, cells.against, float(c)) for i, c in enumerate(conflict)], [], True
        worst = int(np.where(trusted, conflict, -1.0).argmax())
        faulty.append(worst)
        trusted[worst] = False
        against -= cells.outside[worst]
        conflict = np.where(trusted, _conflicts(cells, trusted, against), conflict)
    seen = [_silhouette(cells, i, bool(trusted[i]), against, float(conflict[i])) for i in range(count)]
    return seen, faulty, False


def _conflicts(cells: Cells, trusted: np.ndarray, against: np.ndarray) -> np.ndarray:
    """[N] `Silhouette.conflict` of each trusted view among the trusted ones, 0 for the others; `against` counts the trusted alone."""
    views = np.flatnonzero(trusted).tolist()
    count, size = len(trusted), cells.shown[0].size
    shown = cells.shown[views]
    area = shown.sum((1, 2)).clip(min=1)
    own = (shown & ~cells.reached(views, against <= 1)).sum((1, 2)) / area
    lost = np.pad((shown & ~cells.reached(views, against == 0)).reshape(len(views), -1), ((0, 0), (0, 1)))
    alone = np.flatnonzero(against == 1)
    culprit = np.zeros(len(alone), dtype=np.int64)
    for view in views:
        culprit[cells.outside[view].take(alone)] = view
    blame = np.zeros(count)
    for missed, space, view in zip(lost, area.tolist(), views):
        if missed.any():
            fallen = cells.tiles[view].take(alone)
            hit = missed[fallen]
            cuts = np.unique(culprit[hit] * (size + 1) + fallen[hit]) // (size + 1)
            blame += np.bincount(cuts, minlength=count) / space
    result = np.zeros(count)
    result[views] = own + blame[views] / max(1, len(views) - 1)
    return result


def _silhouette(cells: Cells, view: int, trusted: bool, against: np.ndarray, conflict: float) -> Silhouette:
    """The agreement of one view with the hull of the trusted others; `against` counts the trusted alone."""
    others = against - cells.outside[view] if trusted else against
    hull = cells.reached([view], others == 0)[0]
    shown = cells.shown[view]
    inner = ~widened((~hull)[None].astype(np.uint8), 1)[0]  # back to the hull's own edge
    missing = float((shown & ~hull).sum() / max(1, shown.sum()))
    beside = inner & ~shown
    area = max(1, int(inner.sum()))
    excess = float(beside.sum() / area)
    shift = None if trusted else _fitting_shift(shown, inner)
    return Silhouette(missing, excess, _largest(beside) / area, conflict, shift)


def _largest(shape: np.ndarray) -> int:
    """Tiles in the largest piece of [h, w] bool, once what is thinner than `_THICK` is gone."""
    thick = cv2.morphologyEx(shape.astype(np.uint8), cv2.MORPH_OPEN, np.ones((_THICK, _THICK), np.uint8))
    _, _, pieces, _ = cv2.connectedComponentsWithStats(thick, connectivity=4)
    return int(pieces[1:, cv2.CC_STAT_AREA].max(initial=0))


def _fitting_shift(mask: np.ndarray, hull: np.ndarray) -> tuple[float, float] | None:
    """(right, down) in parts of the long side by which the mask covers the hull best, where it then does."""
    height, width = mask.shape
    size = (2 * height, 2 * width)
    common = np.fft.irfft2(np.fft.rfft2(hull, s=size) * np.fft.rfft2(mask, s=size).conj(), s=size)
    down, right = divmod(int(common.argmax()), size[1])
    shared = float(common[down, right])
    if shared < _FITS * (float(mask.sum() + hull.sum()) - shared):
        return None
    long_side = max(height, width)
    return (right - size[1] * (right >= width)) / long_side, (down - size[0] * (down >= height)) / long_side
