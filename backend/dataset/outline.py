"""The object's coarse shape by its silhouettes alone, within a fraction of a second and without torch: the first mesh an artist sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from backend.dataset.asking import Asked, ask, least_seen
from backend.dataset.frame import Frame
from backend.dataset.posed import PosedImage
from backend.dataset.surface_nets import surface_nets

_SIDE = 128  # pixels of a mask's long side
_COARSE, _FINE = 28, 56  # cells along the box while it is fitted to the object, and of the mesh
_ROUNDS = 3  # of fitting the box
_AT_ONCE = 8  # views, after which points that are outside are dropped
_OVERRULED = 0.03  # of the views that can tell: one wrong mask must not carve the object away


@dataclass(frozen=True)
class Outline:
    """A closed mesh in the cameras' own space: vertices [V, 3] float32, triangles [F, 3] int32."""

    vertices: np.ndarray
    faces: np.ndarray


def outline(posed: Sequence[PosedImage], frames: Sequence[Frame]) -> Outline | None:
    """The visual hull (Laurentini 1994) of N frames and its surface; None where masks or cameras tell of no common shape."""
    masks, views = [], []
    for image, frame in zip(posed, frames, strict=True):
        mask = frame.rgba[..., 3].astype(np.float32)
        shrink = min(1.0, _SIDE / max(mask.shape))
        size = tuple(max(1, round(side * shrink)) for side in mask.shape)
        small = cv2.resize(mask, size[::-1], interpolation=cv2.INTER_AREA)
        down, across = size[0] / mask.shape[0], size[1] / mask.shape[1]
        fx, fy, cx, cy = frame.intrinsics
        canvas = np.zeros((_SIDE, _SIDE), bool)
        shown = cv2.dilate((small > 0.5).astype(np.uint8), np.ones((3, 3), np.uint8))  # what is thin must not get lost
        canvas[: size[0], : size[1]] = shown > 0
        if canvas.any():
            masks.append(canvas)
            lens = (fx * across, fy * down, cx * across, cy * down)
            views.append(Asked.of(np.asarray(image.camera_to_world, np.float32), lens, size, canvas))
    if len(views) < 2:
        return None
    shapes = np.stack(masks)
    middle, half = _about(views, shapes)
    for _ in range(_ROUNDS):
        found = np.argwhere(_hull(views, shapes, middle, half, _COARSE))
        if not len(found):
            return None
        low, high, step = found.min(0) / _COARSE, (found.max(0) + 1) / _COARSE, 1.0 / _COARSE  # parts of the box
        if (low < step).any() or (high > 1.0 - step).any():
            half *= 1.6
        else:
            middle = middle + (low + high - 1.0) * half
            half *= float((high - low).max()) + 3.0 * step
    vertices, faces = surface_nets(_smoothed(_hull(views, shapes, middle, half, _FINE)))
    spacing = 2.0 * half / _FINE
    return Outline((middle - half + (vertices + 0.5) * spacing).astype(np.float32), faces) if len(faces) else None


def _hull(views: Sequence[Asked], masks: np.ndarray, middle: np.ndarray, half: float, cells: int) -> np.ndarray:
    """[cells, cells, cells] float32: 1 where at most `_OVERRULED` of the views that can tell call the cell's middle empty."""
    axes = [middle[axis] + half * ((2.0 * np.arange(cells) + 1.0) / cells - 1.0) for axis in range(3)]
    points = np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1).astype(np.float32)
    alive = np.arange(points.shape[1])
    against = np.zeros(len(alive), np.int32)
    told = np.zeros(len(alive), np.int32)
    most = round(_OVERRULED * len(views))
    for first in range(0, len(views), _AT_ONCE):
        some = slice(first, first + _AT_ONCE)
        empty, pixels = ask(views[some], masks[some], points[:, alive])
        against = against + empty.sum(0)
        told = told + ((pixels >= 0) | empty).sum(0)
        kept = against <= most
        alive, against, told = alive[kept], against[kept], told[kept]
    agreed = told >= least_seen(len(views))
    result = np.zeros(points.shape[1], np.float32)
    result[alive[agreed]] = 1.0
    return result.reshape(cells, cells, cells)


def _smoothed(values: np.ndarray) -> np.ndarray:
    """The mean over three cells along each axis: a step becomes a slope, without which every face would show the grid."""
    for axis in range(3):
        wide = np.pad(values, [(1, 1) if other == axis else (0, 0) for other in range(3)], mode="edge")
        count = values.shape[axis]
        values = (1.0 / 3.0) * np.add.reduce([np.take(wide, range(start, start + count), axis) for start in range(3)])
    return values


def _about(views: Sequence[Asked], masks: np.ndarray) -> tuple[np.ndarray, float]:
    """Where the rays through the masks' middles come closest together [3], and half the side of a box that may well hold the object.

    Least absolute distances, by reweighting, so that single wrong masks hardly count.
    """
    places = np.stack([-view.turn.T @ view.place for view in views]).astype(np.float64)
    rays, reach = [], []
    for view, mask in zip(views, masks):
        rows, columns = np.nonzero(mask)
        fx, fy, cx, cy = view.lens
        ray = view.turn.T @ np.array([(columns.mean() + 0.5 - cx) / fx, (cy - rows.mean() - 0.5) / fy, -1.0])
        rays.append(ray / np.linalg.norm(ray))
        reach.append(np.sqrt(len(rows) / np.pi) / (0.5 * (fx + fy)))
    along = np.stack(rays)
    across = np.eye(3) - along[:, :, None] * along[:, None, :]
    weight = np.ones(len(views))
    for _ in range(10):
        matrix = (weight[:, None, None] * across).sum(0) + 1e-9 * np.eye(3)
        point = np.linalg.solve(matrix, (weight[:, None] * (across @ places[..., None])[..., 0]).sum(0))
        distance = np.linalg.norm(point - places, axis=1).clip(min=1e-9)
        weight = 1.0 / (np.linalg.norm((across @ (point - places)[..., None])[..., 0], axis=1) / distance).clip(1e-4)
    return point, 2.0 * float(np.median(np.array(reach) * distance))
