"""The automatic rig: cameras spread evenly over a dome around an object, each as near as the object's outline allows."""

from __future__ import annotations

import math
from collections.abc import Iterable

import bpy
import numpy as np

from ...backend.contract import RequestError

GOLDEN_ANGLE = math.pi * (3.0 - math.sqrt(5.0))


def outline_points(objects: Iterable[bpy.types.Object], depsgraph: bpy.types.Depsgraph) -> np.ndarray:
    """[N, 3] float64 world positions that span `objects` as they are rendered: vertices of meshes, else corners of bounding boxes.

    Modifiers and instances (of collections, particles, geometry nodes) count. Raises RequestError when nothing has an extent.
    """
    chosen = set(objects)
    parts = []
    for instance in depsgraph.object_instances:
        owner = instance.parent if instance.is_instance else instance.object
        if owner is None or owner.original not in chosen or not instance.show_self:
            continue
        shown, matrix = instance.object, np.array(instance.matrix_world)
        if shown.type == "MESH" and len(shown.data.vertices):
            flat = np.empty(len(shown.data.vertices) * 3, np.float32)
            shown.data.vertices.foreach_get("co", flat)
            local = flat.reshape(-1, 3).astype(np.float64)
        elif shown.type in {"CURVE", "SURFACE", "META", "FONT", "MESH", "VOLUME", "CURVES", "POINTCLOUD"}:
            local = np.array([corner[:] for corner in shown.bound_box], np.float64)
        else:
            continue
        parts.append(local @ matrix[:3, :3].T + matrix[:3, 3])
    points = np.concatenate(parts) if parts else np.zeros((0, 3))
    if not len(points) or float(np.ptp(points, axis=0).max()) == 0.0:
        raise RequestError(
            "nothing that can be photographed is selected",
            hint="Select the objects the rig's cameras should look at.",
            code="selection-empty",
        )
    return points


def dome(count: int, lowest: float, highest: float, turn: float = 0.0) -> np.ndarray:
    """[count, 3] unit directions on the sphere between two elevations (radians), equal in area: a Fibonacci spiral.

    `turn` (radians) rotates the whole spiral about Z.
    """
    index = np.arange(count) + 0.5
    height = np.sin(lowest) + (np.sin(highest) - np.sin(lowest)) * index / count
    angle = index * GOLDEN_ANGLE + turn
    ring = np.sqrt(1.0 - height**2)
    return np.stack([ring * np.cos(angle), ring * np.sin(angle), height], axis=-1)


def look_from(direction: np.ndarray) -> np.ndarray:
    """[3, 3] camera-to-world rotation of a camera that stands in `direction` (unit) and looks back, level with the horizon."""
    up = np.array([0.0, 0.0, 1.0]) if abs(direction[2]) < 0.9999 else np.array([0.0, 1.0, 0.0])
    right = np.cross(up, direction)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(direction, right), direction], axis=-1)


def framed_pose(points: np.ndarray, direction: np.ndarray, tangents: tuple[float, float], fill: float) -> np.ndarray:
    """[4, 4] camera to world: from `direction`, at the least distance at which all points stay inside `fill` of the frame.

    Args:
        points: [N, 3] world positions.
        direction: [3] unit vector from the object towards the camera.
        tangents: half width and half height of the frame at distance 1.
        fill: part of the frame's half sides that may be used, in (0, 1].
    """
    rotation = look_from(direction)
    centre = 0.5 * (points.min(axis=0) + points.max(axis=0))
    local = (points - centre) @ rotation
    # along each axis |x - offset| <= t (distance - z) for all points: the two faces of the frustum touch the outline
    offset, least = np.zeros(2), np.zeros(2)
    for axis in (0, 1):
        t = fill * tangents[axis]
        upper = float(np.max(local[:, axis] + t * local[:, 2]))
        lower = float(np.min(local[:, axis] - t * local[:, 2]))
        offset[axis], least[axis] = 0.5 * (upper + lower), 0.5 * (upper - lower) / t
    distance = float(least.max())
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = centre + rotation @ np.array([offset[0], offset[1], distance])
    return pose


def poses(
    points: np.ndarray, count: int, held_out: int, tangents: tuple[float, float], fill: float, lowest: float
) -> np.ndarray:
    """[count + held_out, 4, 4] poses, the held-out ones last; they stand between the others. `lowest` is an elevation in radians."""
    highest = math.radians(80.0)
    directions = np.concatenate(
        [dome(count, lowest, highest), dome(held_out, lowest, highest, turn=0.5 * GOLDEN_ANGLE)]
    )
    return np.stack([framed_pose(points, direction, tangents, fill) for direction in directions])
