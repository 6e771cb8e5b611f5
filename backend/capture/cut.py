"""Masks by GrabCut (Rother, Kolmogorov and Blake 2004) from a box around the object: a rectangle, or a 3D box seen by a solved camera."""

from __future__ import annotations

import itertools

import cv2
import numpy as np

from backend.contract import RequestError
from backend.dataset.pixels import resize_area
from backend.dataset.posed import Lens

LONGEST = 480  # pixels of the long side while colours are told apart; the edge is refined at full size
ROUNDS = 5
SPECK = 0.02  # of the largest piece; smaller ones are no part of the object


def rectangle_region(box: tuple[float, float, float, float], height: int, width: int) -> np.ndarray:
    """[H, W] bool: a rectangle x, y, w, h; all at most 1 are shares of the picture, else pixels. Raises RequestError (box-invalid)."""
    x, y, w, h = box
    if max(x, y, w, h) <= 1:
        x, y, w, h = x * width, y * height, w * width, h * height
    left, top, right, bottom = max(0, round(x)), max(0, round(y)), min(width, round(x + w)), min(height, round(y + h))
    if right - left < 2 or bottom - top < 2:
        raise RequestError(
            f"the box {' '.join(f'{value:g}' for value in box)} leaves nothing of a picture of {width} x {height}",
            hint="give x y w h: the left and top edge, width and height, in pixels or as shares of the picture",
            code="box-invalid",
        )
    region = np.zeros((height, width), bool)
    region[top:bottom, left:right] = True
    return region


def projected_region(
    low: np.ndarray, high: np.ndarray, camera_to_world: np.ndarray, lens: Lens, height: int, width: int
) -> np.ndarray:
    """[H, W] bool: the outline (convex hull) of a 3D box from `low` to `high` as a camera sees it; all where it stands inside the box."""
    corners = np.array(list(itertools.product(*zip(low, high))))
    local = (corners - camera_to_world[:3, 3]) @ camera_to_world[:3, :3]
    depth = -local[:, 2]
    if depth.min() <= 1e-9:
        return np.ones((height, width), bool)
    fx, fy, cx, cy = lens.intrinsics(width, height)
    x, y = lens.distortion.apply(local[:, 0] / depth, -local[:, 1] / depth)
    seen = np.isfinite(x) & np.isfinite(y)
    if seen.sum() < 3:
        return np.ones((height, width), bool)
    pixels = np.stack([cx + fx * x[seen], cy + fy * y[seen]], axis=1).clip(-10.0 * width, 10.0 * width)
    region = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(region, cv2.convexHull(pixels.astype(np.float32)).round().astype(np.int32), 1)
    return region.astype(bool)


def grab_cut(encoded: np.ndarray, region: np.ndarray) -> np.ndarray:
    """[H, W] bool: the object inside `region`, by the colours outside of it and how they part from those inside.

    Args:
        encoded: [H, W, 3] float32, sRGB-encoded in [0, 1].
        region: [H, W] bool; what lies outside is background for certain.

    Returns:
        The object without specks; empty where the region is.
    """
    height, width = region.shape
    shrink = min(1.0, LONGEST / max(height, width))
    size = (max(2, round(height * shrink)), max(2, round(width * shrink)))
    small = (255 * resize_area(encoded, size).clip(0.0, 1.0) + 0.5).astype(np.uint8)
    inside = resize_area(region[..., None].astype(np.float32), size)[..., 0] > 0.5
    if not inside.any():
        return np.zeros((height, width), bool)
    if inside.all():  # without any background there is nothing to part from: the frame of the picture is taken for it
        inside[[0, -1]] = inside[:, [0, -1]] = False
    marks = np.where(inside, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    cv2.setRNGSeed(1)
    behind, front = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(
        np.ascontiguousarray(small[..., ::-1]), marks, (0, 0, 1, 1), behind, front, ROUNDS, cv2.GC_INIT_WITH_MASK
    )
    found = without_specks(np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD)))
    large = cv2.resize(found.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return large > 0.5


def without_specks(inside: np.ndarray) -> np.ndarray:
    """Pieces and holes that are small beside the largest piece are taken away and filled."""
    for value in (True, False):
        count, labels, stats, _ = cv2.connectedComponentsWithStats((inside == value).astype(np.uint8))
        if count < 2:
            continue
        areas = stats[1:, cv2.CC_STAT_AREA]
        least = SPECK * areas.max() if value else 0.1 * SPECK * max(1, int(inside.sum()))
        small = np.flatnonzero(areas < least) + 1
        inside = np.where(np.isin(labels, small), not value, inside)
    return inside
