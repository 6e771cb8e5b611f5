"""Small cells of space and what each view's mask says of them: what the check's comparisons of silhouettes are made on.

NumPy alone: torch's threads wait for one another on a machine that is busy.
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


@dataclass(frozen=True)
class Cells:
    """Small cells of space and what each view says of them.

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
    def of(cls, cameras: Cameras, masks: Tensor, dissent: float = _DISSENT) -> Cells:
        """The cells that may hold the object.

        Args:
            cameras: N cameras in the normalised box.
            masks: [N, H, W] coverage in [0, 1], on one canvas.
            dissent: part of the views that may call a cell empty and yet have it looked at.
        """
        small, shrunken = shrunk(cameras.to("cpu"), masks.cpu(), SIDE)
        count, height, width = shrunken.shape
        values = np.zeros((count, height + height % TILE, width + width % TILE), np.float32)
        values[:, :height, :width] = shrunken.numpy()
        shown = values.reshape(count, values.shape[1] // TILE, TILE, -1, TILE).mean((2, 4)) > 0.5
        views = asked_of(small, values)
        distance = small.camera_to_world[:, :3, 3].norm(dim=1).clamp(min=1e-6)
        cell = 2.0 * _REACH / _COARSE * float((small.intrinsics[:, 0] / distance).median())  # in pixels
        most = max(2, int(dissent * count))
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
        return widened(hit[:, :-1].reshape(-1, height, width), 1)


def _asked(views: Sequence[Asked], masks: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each view says of [3, P] points: [N, P] bool, it calls the point empty; [N, P] int32, the tile that it falls into."""
    height, width = masks.shape[1:]
    across, beside = width // TILE, (height // TILE) * (width // TILE)
    empty, pixels = ask(views, masks, points)
    rows, columns = np.divmod(np.arange(height * width, dtype=np.int32), width)
    tiles = np.append((rows // TILE) * across + columns // TILE, np.int32(beside)).astype(np.int32)
    return empty, tiles.take(pixels)  # -1, beside the image, is the last


def asked_of(cameras: Cameras, masks: np.ndarray) -> list[Asked]:
    """The masks [N, H, W] of N cameras on the CPU, as they are asked about points."""
    return [
        Asked.of(pose, tuple(lens), (high, wide), mask)
        for pose, lens, (high, wide), mask in zip(
            cameras.camera_to_world.numpy(), cameras.intrinsics.tolist(), cameras.sizes.tolist(), masks
        )
    ]


def _lattice(cells: int) -> np.ndarray:
    """[3, cells^3] float32: the middles of the cube's cells."""
    axis = _REACH * ((2.0 * np.arange(cells, dtype=np.float32) + 1.0) / cells - 1.0)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij")).reshape(3, -1)


def _grown(masks: np.ndarray, pixels: int) -> np.ndarray:
    """[N, H, W] bool: the masks, wider by so many pixels."""
    return widened((masks > 0.5).astype(np.uint8), pixels)


def widened(shapes: np.ndarray, pixels: int) -> np.ndarray:
    """[N, H, W] bool: shapes [N, H, W] uint8, grown by so many pixels in all eight directions."""
    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    return np.stack([cv2.dilate(shape, kernel) for shape in shapes]) > 0
