"""What masks say of points in space. NumPy alone: asked before torch is there, and in threads beside a fit that uses torch's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

_THREADS = min(4, os.cpu_count() or 1)
# part of the views that must be able to tell of a point (2 at least); what fewer see is ruled out by too little
_LEAST_SEEN = 1 / 6


def least_seen(count: int) -> float:
    """How many of `count` views must be able to tell of a point that belongs to the object."""
    return max(2.0, _LEAST_SEEN * count)


@dataclass(frozen=True)
class Asked:
    """A mask and its camera in plain numbers.

    Attributes:
        turn: [3, 3] rotation, world to camera; place: [3] the world's origin in the camera's axes (right, up, back).
        lens: fx, fy, cx, cy in the mask's pixels.
        size: (height, width) of the view's own part of the canvas.
        whole: the mask keeps clear of the image's border, so the picture shows the whole object.
    """

    turn: np.ndarray
    place: np.ndarray
    lens: tuple[float, float, float, float]
    size: tuple[int, int]
    whole: bool

    @classmethod
    def of(
        cls,
        camera_to_world: np.ndarray,
        lens: tuple[float, float, float, float],
        size: tuple[int, int],
        mask: np.ndarray,
    ) -> Asked:
        """The view of a camera with pose [4, 4] whose mask [H, W] lies on a canvas."""
        own = mask[: size[0], : size[1]] > 0.5
        cut = own[0].any() or own[-1].any() or own[:, 0].any() or own[:, -1].any()
        turn = camera_to_world[:3, :3].T.copy()
        return cls(turn, -turn @ camera_to_world[:3, 3], lens, size, not cut)


def ask(views: Sequence[Asked], masks: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ask N views about P points.

    A view that shows the object whole calls what lies beside its image empty; one that cuts it off cannot tell (as `hull.sample_masks`).

    Args:
        views: N of them.
        masks: [N, H, W] bool.
        points: [3, P] float32.

    Returns:
        [N, P] bool, the view calls the point empty; [N, P] int32, the pixel (row * W + column) it falls into, -1 beside the image.
    """
    width = masks.shape[2]
    empty = np.empty((len(views), points.shape[1]), dtype=bool)
    pixels = np.empty((len(views), points.shape[1]), dtype=np.int32)

    def ask_one(number: int) -> None:
        view = views[number]
        fx, fy, cx, cy = view.lens
        right, up, back = view.turn @ points + view.place[:, None]
        near = np.maximum(-back, 1e-6)
        x, y = right * fx / near + cx, cy - up * fy / near
        inside = (x >= 0) & (y >= 0) & (x < view.size[1]) & (y < view.size[0]) & (back < -1e-6)
        pixel = np.where(inside, y, 0).astype(np.int32) * width + np.where(inside, x, 0).astype(np.int32)
        empty[number] = np.where(inside, ~masks[number].ravel().take(pixel), view.whole)
        pixels[number] = np.where(inside, pixel, -1)

    with ThreadPoolExecutor(_THREADS) as pool:  # NumPy lets the others work meanwhile
        list(pool.map(ask_one, range(len(views))))
    return empty, pixels
