"""Pixels as stored -> linear Rec.709 light, and smaller pictures by exact area; NumPy alone, as `picture_file` is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np

from backend.dataset.picture_file import Picture, mask_channels

LARGEST_VALUE = 65504.0  # of float16, in which the views are kept
STRIP = 24_000_000  # bytes of a picture that are light at a time, sixteen a pixel: a small one is all at once, a large one never


def light_of(picture: Picture) -> np.ndarray:
    """[H, W, 4] float32 linear premultiplied RGBA of a picture, unturned; alpha is 1 where the picture has none.

    The colours of EXR and HDR files are taken as they are; others are decoded from sRGB, then multiplied by their alpha. Values that are
    not finite become 0 and none exceeds float16's largest.
    """
    # one plane at a time: NumPy is three times slower over channels that lie side by side
    planes = cv2.split(picture.values)
    colour = list(planes[:-1] if picture.has_alpha else planes)
    alpha = np.ones(picture.values.shape[:2], np.float32)
    if not picture.linear:
        colour = [_decoded(plane) for plane in colour]
    if picture.has_alpha:
        alpha = replace(picture, values=planes[-1]).scaled().clip(0.0, 1.0)
        colour = colour if picture.linear else [plane * alpha for plane in colour]
    light = cv2.merge([*(colour * 3 if len(colour) == 1 else colour), alpha])
    if picture.linear:
        light = np.nan_to_num(light, nan=0.0, posinf=LARGEST_VALUE).clip(0.0, LARGEST_VALUE)
    return light


def coverage_of(picture: Picture) -> np.ndarray:
    """[H, W] float32 in [0, 1], 1 on the object, of a mask picture, unturned.

    Grey is taken as stored; a cut-out (alpha not all 1) gives its alpha.
    """
    values = mask_channels(picture).scaled()
    return np.nan_to_num(values.mean(axis=2), nan=0.0).clip(0.0, 1.0)


def resize_area(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Mean over each new pixel's own area: [H, W, C] float32 -> [size[0], size[1], C].

    Exact for any ratio when shrinking, so nothing aliases; give it premultiplied linear values. Enlarging is bilinear.
    """
    height, width = size
    if (height, width) == image.shape[:2]:
        return image
    shrinking = height <= image.shape[0] and width <= image.shape[1]
    method = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    small = cv2.resize(image, (width, height), interpolation=method)
    return small.reshape(height, width, image.shape[2])


def shrink_rows(rows: Callable[[int, int], np.ndarray], height: int, width: int, size: tuple[int, int]) -> np.ndarray:
    """`resize_area` of a picture that is asked for strip by strip, so that it never lies in memory whole.

    Args:
        rows: (first, last) -> [last - first, W, C] float32 rows of the picture.
        height, width: of the picture.
        size: (height, width) of the result, neither larger than the picture's.

    Returns:
        [size[0], size[1], C] float32.
    """
    step = height / size[0]
    count = max(1, int(STRIP / (16 * width * step)))
    if count >= size[0]:
        return resize_area(rows(0, height), size)
    parts = []
    for top in range(0, size[0], count):
        bottom = min(top + count, size[0])
        first, last = int(top * step), min(height, math.ceil(bottom * step))
        strip = rows(first, last)
        narrow = resize_area(strip, (strip.shape[0], size[1]))
        if step > 1:
            edges = np.arange(top, bottom + 1) * step
            row = np.arange(first, last, dtype=np.float64)
            shared = np.minimum(edges[1:, None], row + 1) - np.maximum(edges[:-1, None], row)
            weights, flat = (shared.clip(min=0.0) / step).astype(np.float32), narrow.reshape(len(row), -1)
            # row by row: a product of the whole matrices would wake threads that stand in the way of those that read other pictures
            spans = [(int(edge - first), math.ceil(below - first)) for edge, below in pairwise(edges)]
            lines = [weight[low:high] @ flat[low:high] for weight, (low, high) in zip(weights, spans)]
            narrow = np.stack(lines).reshape(bottom - top, size[1], -1)
        parts.append(narrow)
    return np.concatenate(parts)


def srgb_light(encoded: np.ndarray) -> np.ndarray:
    """sRGB-encoded values in [0, 1] -> linear, by the exact piecewise curve (IEC 61966-2-1)."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((np.maximum(encoded, 0.04045) + 0.055) / 1.055) ** 2.4)


def _decoded(stored: np.ndarray) -> np.ndarray:
    """Stored integers -> linear float32, by a table of all their values."""
    table = _srgb_table(int(np.iinfo(stored.dtype).max))
    if stored.dtype != np.uint8:
        return table[stored]
    return cv2.LUT(stored, table).reshape(stored.shape)  # many times faster, and other threads may run meanwhile


@lru_cache(maxsize=2)
def _srgb_table(most: int) -> np.ndarray:
    """[most + 1] float32: the linear value of each stored integer."""
    return srgb_light(np.arange(most + 1) / most).astype(np.float32)
