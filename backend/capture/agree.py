"""Masks of one object by several solved cameras, made to agree: what one view takes for the object and the others do not is given up."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from backend.dataset.hull import shrunk, visual_hull
from backend.dataset.views import Cameras

CELLS = 64  # along each side of the box
LONGEST = 256  # pixels of the masks that are compared
FORGIVEN = 0.15  # of the views may miss a part of the object


def agreed_regions(
    poses: Sequence[np.ndarray],
    intrinsics: Sequence[tuple[float, float, float, float]],
    masks: Sequence[np.ndarray],
    low: np.ndarray,
    high: np.ndarray,
) -> list[np.ndarray]:
    """Where each view may show the object, by the shape that most masks have in common (a visual hull that forgives some).

    Args:
        poses: N camera-to-world [4, 4].
        intrinsics: N fx, fy, cx, cy in the masks' pixels; lens distortion is left out, and the regions are widened for it.
        masks: N [H, W] bool.
        low, high: [3] corners of the box that holds the object.

    Returns:
        N [H, W] bool, somewhat wider than the common shape; all False where the masks have nothing in common.
    """
    height, width = (max(mask.shape[axis] for mask in masks) for axis in (0, 1))
    canvas = torch.zeros(len(masks), height, width)
    for place, mask in zip(canvas, masks):
        place[: mask.shape[0], : mask.shape[1]] = torch.from_numpy(mask)
    cameras = Cameras(
        torch.tensor(np.stack(poses), dtype=torch.float32),
        torch.tensor(intrinsics, dtype=torch.float32),
        torch.tensor([mask.shape for mask in masks]),
    )
    small, values = shrunk(cameras, canvas, LONGEST)
    corners = [torch.tensor(corner, dtype=torch.float32) for corner in (low, high)]
    hull = visual_hull(small, values, CELLS, corners[0], corners[1], forgiven=int(FORGIVEN * len(masks))) > 0.5
    index = hull.nonzero().numpy()
    points = low + index / (CELLS - 1) * (high - low)
    cell = float((high - low).max()) / (CELLS - 1)
    return [_silhouette(points, pose, lens, mask.shape[:2], cell) for pose, lens, mask in zip(poses, intrinsics, masks)]


def _silhouette(
    points: np.ndarray, pose: np.ndarray, lens: tuple[float, float, float, float], size: tuple[int, ...], cell: float
) -> np.ndarray:
    """The points as squares of about two cells' width."""
    shown = np.zeros(size[:2], np.uint8)
    local = (points - pose[:3, 3]) @ pose[:3, :3]
    local = local[local[:, 2] < -1e-9]
    if not len(local):
        return shown.astype(bool)
    fx, fy, cx, cy = lens
    depth = -local[:, 2]
    column = np.floor(cx + fx * local[:, 0] / depth).clip(-1, size[1]).astype(int)
    row = np.floor(cy - fy * local[:, 1] / depth).clip(-1, size[0]).astype(int)
    seen = (column >= 0) & (column < size[1]) & (row >= 0) & (row < size[0])
    shown[row[seen], column[seen]] = 1
    reach = 2 * max(1, round(1.5 * fx * cell / float(np.median(depth)))) + 1
    return cv2.dilate(shown, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))).astype(bool)
