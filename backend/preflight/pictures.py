"""What a photograph shows of the object itself: how sharp it is, how bright, how much of it is blown out."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from backend.dataset.pixels import resize_area
from backend.dataset.views import Views

SIDE = 256  # pixels of the long side in which photographs are looked at
_BLOWN = 0.98  # linear value of a channel from which on it is called clipped
_LEAST_PIXELS = 64  # of the object; fewer tell nothing
_LEAST_CONTRAST = 0.004  # of the encoded luminance; less is noise


@dataclass(frozen=True)
class Look:
    """Figures of one photograph inside its mask; NaN where it does not tell.

    Attributes:
        sharpness: contrast of details a pixel wide as a part of the contrast of those four wide: of the optics, not of the object's paint.
        brightness: mean log2 of the linear luminance.
        clipped: part of the object's pixels with a channel at its end, in [0, 1].
    """

    sharpness: float
    brightness: float
    clipped: float


def looks_of(views: Views) -> list[Look]:
    """A look at every view, on the CPU."""
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        return list(pool.map(lambda index: _look(_object(views, index)), range(len(views))))


def _object(views: Views, index: int) -> np.ndarray:
    """[h, w, 4] float32 premultiplied: the part of a view that its mask marks, as large as in a picture of `SIDE` pixels at the most."""
    height, width = views.cameras.sizes[index].tolist()
    image = views.images[index, :height, :width]
    marked = image[..., 3] > 0.5
    rows, columns = marked.any(1).nonzero()[:, 0], marked.any(0).nonzero()[:, 0]
    if not len(rows):
        return np.zeros((1, 1, 4), np.float32)
    part = image[int(rows[0]) : int(rows[-1]) + 1, int(columns[0]) : int(columns[-1]) + 1].float().cpu().numpy()
    shrink = min(1.0, SIDE / max(height, width))
    size = (max(1, round(part.shape[0] * shrink)), max(1, round(part.shape[1] * shrink)))
    return resize_area(np.ascontiguousarray(part), size)


def _look(rgba: np.ndarray) -> Look:
    red, green, blue, alpha = cv2.split(rgba)  # NumPy is many times slower over channels that lie side by side
    solid = cv2.erode((alpha > 0.95).astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0) > 0
    if solid.sum() < _LEAST_PIXELS:
        return Look(float("nan"), float("nan"), float("nan"))
    coverage = np.maximum(alpha, 1e-6)
    luminance = np.maximum(0.2126 * red + 0.7152 * green + 0.0722 * blue, 0.0) / coverage
    end = _BLOWN * coverage
    clipped = float(((red >= end) | (green >= end) | (blue >= end))[solid].mean())
    brightness = float(np.log2(np.maximum(luminance[solid], 1e-4)).mean())
    return Look(_sharpness(cv2.pow(luminance, 1 / 2.2), solid.astype(np.float32)), brightness, clipped)


def _sharpness(picture: np.ndarray, solid: np.ndarray) -> float:
    """Energy of the finest octave as a part of that of the next two, roots of both; what lies beside the object has no part in it."""

    def smooth(width: float) -> np.ndarray:
        weight = cv2.GaussianBlur(solid, (0, 0), width)
        mean: np.ndarray = cv2.GaussianBlur(picture * solid, (0, 0), width) / np.maximum(weight, 1e-6)
        return mean

    inside = solid > 0
    little, much = smooth(0.8), smooth(3.2)
    fine = float(np.sqrt(((picture - little)[inside] ** 2).mean()))
    broad = float(np.sqrt(((little - much)[inside] ** 2).mean()))
    return fine / broad if broad > _LEAST_CONTRAST else float("nan")
