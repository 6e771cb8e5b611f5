"""Masks and cameras against one another: what the other views' visual hull leaves of a mask, and who takes from the others.

A mask lies inside the projection of the hull of any other views (Laurentini 1994). Where it does not, one of them is wrong: its mask, or
its camera. The one at fault shows itself twice: several views agree that there is nothing where its mask says object, and it alone cuts
away what the masks of many others show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from torch import Tensor

from backend.dataset.asking import Asked, ask
from backend.dataset.hull import shrunk
from backend.dataset.views import Cameras

SIDE = 128  # pixels of a mask's long side
TILE = 2  # pixels of the tiles in which a hull's projection is compared with a mask
_REACH = 1.06  # half the cube searched; the box's half longest side is 1
_COARSE, _FINE = 20, 3  # cells along the cube at first, and parts into which those that may hold the object are cut
_DISSENT = 0.15  # part of the views that may call a cell empty and yet not end the search there
_MANY = 200  # views from which on the cells are cut into fewer parts
_CONFLICT = 0.008  # part of a mask; good views with sharp masks have less than 0.001
_SPREAD = 7.0  # times what three quarters of the views stay below, for masks that are loose throughout: good views stay below 6.3
_GRAVE = 0.025  # no good view has so much, however loose its mask
_MOST = 0.25  # of the views may be at fault
_FITS = 0.75  # intersection over union from which a moved mask is said to fit


@dataclass(frozen=True)
class Silhouette:
    """How one view's mask agrees with the hull of the trusted other views.

    Attributes:
        missing: part of the mask where that hull has nothing, in [0, 1]; 0 for masks and cameras without fault.
        excess: part of that hull's projection outside the mask, in [0, 1]; small where many views see the object.
        conflict: the fault's size when the view was judged: the part of its mask that several others call empty, and the mean part of the
            others' masks that it alone cuts away, added.
        shift: (right, down) in parts of the image's long side by which the mask would fit the hull, where it then fits; else None.
    """

    missing: float
    excess: float
    conflict: float
    shift: tuple[float, float] | None = None


def judge(cameras: Cameras, masks: Tensor) -> tuple[list[Silhouette], list[int], bool]:
    """Each view's agreement with the others, and the views at fault, the worst first.

    The worst view is set aside and the rest judged anew until none is in conflict beyond what most views of the set are.

    Args:
        cameras: N cameras in the normalised box.
        masks: [N, H, W] coverage in [0, 1], on one canvas.

    Returns:
        N silhouettes, the indices at fault, and whether so many views contradict one another that these mean little.
    """
    cells = _Cells.of(cameras.to("cpu"), masks.cpu())
    trusted = np.ones(len(cameras), dtype=bool)
    against = cells.against.copy()
    conflict = cells.conflicts(trusted, against)
    faulty: list[int] = []
    limit = _CONFLICT
    while len(cameras) > 2:
        limit = min(max(limit, _SPREAD * float(np.quantile(conflict[trusted], 0.75))), _GRAVE)  # it never falls
        if float(conflict[trusted].max()) <= limit:
            break
        if len(faulty) >= _MOST * len(cameras):
            return [cells.silhouette(i, True, cells.against, float(c)) for i, c in enumerate(conflict)], [], True
        worst = int(np.where(trusted, conflict, -1.0).argmax())
        faulty.append(worst)
        trusted[worst] = False
        against -= cells.outside[worst]
        conflict = np.where(trusted, cells.conflicts(trusted, against), conflict)
    seen = [cells.silhouette(i, bool(trusted[i]), against, float(conflict[i])) for i in range(len(cameras))]
    return seen, faulty, False


@dataclass(frozen=True)
class _Cells:
    """Small cells of space and what each view says of them. NumPy alone: torch's threads wait for one another on a machine that is busy.

    Attributes:
        outside: [N, P] bool, the view calls the cell empty.
        against: [P] int16, how many views do.
        tiles: [N, P] int32, the tile of the view's image that the cell falls into; the last one is for those beside the image.
        shown: [N, h, w] bool, tiles of which the mask shows most.
    """

    outside: np.ndarray
    against: np.ndarray
    tiles: np.ndarray
    shown: np.ndarray

    @classmethod
    def of(cls, cameras: Cameras, masks: Tensor) -> _Cells:
        small, shrunken = shrunk(cameras, masks, SIDE)
        count, height, width = shrunken.shape
        values = np.zeros((count, height + height % TILE, width + width % TILE), np.float32)
        values[:, :height, :width] = shrunken.numpy()
        shown = values.reshape(count, values.shape[1] // TILE, TILE, -1, TILE).mean((2, 4)) > 0.5
        views = _views(small, values)
        distance = small.camera_to_world[:, :3, 3].norm(dim=1).clamp(min=1e-6)
        cell = 2.0 * _REACH / _COARSE * float((small.intrinsics[:, 0] / distance).median())  # in pixels
        most = max(2, int(_DISSENT * count))
        centres = _lattice(_COARSE)
        said, _ = _asked(views, _grown(values, round(0.87 * cell)), centres)
        centres = centres[:, said.sum(0, dtype=np.int16) <= most]
        parts = _FINE if count <= _MANY else _FINE - 1
        offsets = 2.0 * _REACH / (_COARSE * parts) * (np.arange(parts, dtype=np.float32) - 0.5 * (parts - 1))
        within = np.stack(np.meshgrid(offsets, offsets, offsets, indexing="ij")).reshape(3, 1, -1)
        outside, tiles = _asked(views, _grown(values, 1), (centres[:, :, None] + within).reshape(3, -1))
        against = outside.sum(0, dtype=np.int16)
        near = np.flatnonzero(against <= most)
        return cls(outside.take(near, 1), against[near], tiles.take(near, 1), shown)

    def reached(self, views: Sequence[int], chosen: np.ndarray) -> np.ndarray:
        """[M, h, w] bool: the tiles of some views onto which the chosen [P] cells fall, widened by a tile."""
        height, width = self.shown.shape[1:]
        hit = np.zeros((len(views), height * width + 1), np.uint8)
        cells = np.flatnonzero(chosen)
        for row, view in zip(hit, views):
            row[self.tiles[view].take(cells)] = 1
        return _widened(hit[:, :-1].reshape(-1, height, width), 1)

    def conflicts(self, trusted: np.ndarray, against: np.ndarray) -> np.ndarray:
        """[N] `Silhouette.conflict` of each trusted view among the trusted ones, 0 for the others; `against` counts the trusted alone."""
        views = np.flatnonzero(trusted).tolist()
        count, size = len(trusted), self.shown[0].size
        shown = self.shown[views]
        area = shown.sum((1, 2)).clip(min=1)
        own = (shown & ~self.reached(views, against <= 1)).sum((1, 2)) / area
        lost = np.pad((shown & ~self.reached(views, against == 0)).reshape(len(views), -1), ((0, 0), (0, 1)))
        alone = np.flatnonzero(against == 1)
        culprit = np.zeros(len(alone), dtype=np.int64)
        for view in views:
            culprit[self.outside[view].take(alone)] = view
        blame = np.zeros(count)
        for missed, space, view in zip(lost, area.tolist(), views):
            if missed.any():
                fallen = self.tiles[view].take(alone)
                hit = missed[fallen]
                cuts = np.unique(culprit[hit] * (size + 1) + fallen[hit]) // (size + 1)
                blame += np.bincount(cuts, minlength=count) / space
        result = np.zeros(count)
        result[views] = own + blame[views] / max(1, len(views) - 1)
        return result

    def silhouette(self, view: int, trusted: bool, against: np.ndarray, conflict: float) -> Silhouette:
        """The agreement of one view with the hull of the trusted others; `against` counts the trusted alone."""
        others = against - self.outside[view] if trusted else against
        hull = self.reached([view], others == 0)[0]
        shown = self.shown[view]
        inner = ~_widened((~hull)[None].astype(np.uint8), 1)[0]  # back to the hull's own edge
        missing = float((shown & ~hull).sum() / max(1, shown.sum()))
        excess = float((inner & ~shown).sum() / max(1, inner.sum()))
        shift = None if trusted else _fitting_shift(shown, inner)
        return Silhouette(missing, excess, conflict, shift)


def _asked(views: Sequence[Asked], masks: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each view says of [3, P] points: [N, P] bool, it calls the point empty; [N, P] int32, the tile that it falls into."""
    height, width = masks.shape[1:]
    across, beside = width // TILE, (height // TILE) * (width // TILE)
    empty, pixels = ask(views, masks, points)
    rows, columns = np.divmod(np.arange(height * width, dtype=np.int32), width)
    tiles = np.append((rows // TILE) * across + columns // TILE, np.int32(beside)).astype(np.int32)
    return empty, tiles.take(pixels)  # -1, beside the image, is the last


def _views(cameras: Cameras, masks: np.ndarray) -> list[Asked]:
    return [
        Asked.of(pose, tuple(lens), (high, wide), mask)
        for pose, lens, (high, wide), mask in zip(
            cameras.camera_to_world.numpy(), cameras.intrinsics.tolist(), cameras.sizes.tolist(), masks
        )
    ]


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


def _lattice(cells: int) -> np.ndarray:
    """[3, cells^3] float32: the middles of the cube's cells."""
    axis = _REACH * ((2.0 * np.arange(cells, dtype=np.float32) + 1.0) / cells - 1.0)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij")).reshape(3, -1)


def _grown(masks: np.ndarray, pixels: int) -> np.ndarray:
    """[N, H, W] bool: the masks, wider by so many pixels."""
    return _widened((masks > 0.5).astype(np.uint8), pixels)


def _widened(shapes: np.ndarray, pixels: int) -> np.ndarray:
    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    return np.stack([cv2.dilate(shape, kernel) for shape in shapes]) > 0
