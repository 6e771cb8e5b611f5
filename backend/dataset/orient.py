"""Worlds that a solver left as they fell: turned Z up and moved to what the cameras look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from backend.dataset.posed import Capture

NEAR = 0.5  # of the cameras' distance: points further from where they look belong to the surroundings


def upright(capture: Capture, recentre: bool = True) -> Capture:
    """The same capture in a world with Z up whose origin is what the cameras look at.

    Up is the direction across which the cameras' right axes lie, as photographers hold cameras level; where they did not, the mean of the
    images' own up. A rigid motion: lengths stay.
    """
    poses = np.stack([image.camera_to_world for image in capture.images])
    turn = _rotation_between(_up(poses), np.array([0.0, 0.0, 1.0]))
    motion = np.eye(4)
    motion[:3, :3] = turn
    if recentre:
        motion[:3, 3] = -turn @ looked_at(poses)
    return moved(capture, motion)


def moved(capture: Capture, motion: np.ndarray) -> Capture:
    """The capture with its world moved by a rigid [4, 4] `motion`."""
    images = tuple(replace(image, camera_to_world=motion @ image.camera_to_world) for image in capture.images)
    points = None if capture.points is None else capture.points @ motion[:3, :3].T + motion[:3, 3]
    return replace(capture, images=images, points=points, from_source=motion @ capture.from_source)


def looked_at(poses: np.ndarray) -> np.ndarray:
    """[3]: the point nearest to all viewing axes of [N, 4, 4] poses, least squares; their middle where the axes are parallel."""
    axes, places = -poses[:, :3, 2], poses[:, :3, 3]
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    matrix = across.sum(0)
    if np.linalg.eigvalsh(matrix)[0] < 1e-6 * len(poses):
        return places.mean(0)
    return np.linalg.solve(matrix, (across @ places[..., None])[..., 0].sum(0))


def box_of(points: np.ndarray, poses: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray] | None:
    """Two corners [3] around the points that lie where the cameras look, a fiftieth of each end cut off; None if these are too few."""
    stacked = np.stack(poses)
    target = looked_at(stacked)
    reach = NEAR * float(np.median(np.linalg.norm(stacked[:, :3, 3] - target, axis=1)))
    near = points[np.linalg.norm(points - target, axis=1) < reach]
    if len(near) < 20:
        return None
    low, high = np.quantile(near, 0.02, axis=0), np.quantile(near, 0.98, axis=0)
    pad = 0.05 * (high - low).max()
    return low - pad, high + pad


def _up(poses: np.ndarray) -> np.ndarray:
    mean = poses[:, :3, 1].mean(0)
    rights = poses[:, :3, 0]
    spread, directions = np.linalg.eigh(rights.T @ rights / len(poses))
    if spread[0] < 0.05 and spread[1] > 0.1:
        across = directions[:, 0]
        return across if across @ mean >= 0 else -across
    length = float(np.linalg.norm(mean))
    return mean / length if length > 1e-6 else np.array([0.0, 0.0, 1.0])


def _rotation_between(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """[3, 3]: the shortest turn that takes one unit vector to another (Rodrigues)."""
    axis, cosine = np.cross(start, end), float(start @ end)
    if cosine < -1 + 1e-9:
        return np.diag([1.0, -1.0, -1.0]) if abs(start[0]) < 0.9 else np.diag([-1.0, 1.0, -1.0])
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + cosine)
