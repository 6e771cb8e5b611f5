"""From where the cameras look at the object: which views are neighbours, and from where none looks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from backend.dataset.views import Cameras

HOLE = (
    60.0  # degrees to the nearest camera from which on what faces a direction is seen at a grazing angle or not at all
)
LEAST_HOLE = 0.02  # of all directions: smaller gaps between the holes' samples are no news
_SAMPLES = 400
_TURN = math.pi * (3.0 - math.sqrt(5.0))
_AROUND = ("right", "behind, right", "behind", "behind, left", "left", "front, left", "front", "front, right")


@dataclass(frozen=True)
class Hole:
    """Directions around the object from which no camera looks.

    Attributes:
        where: in words, front being where Blender's front view stands (-Y), right +X, above +Z.
        share: of all directions, in [0, 1].
        angle: degrees from the hole's middle to the nearest camera.
    """

    where: str
    share: float
    angle: float


def directions_of(cameras: Cameras) -> np.ndarray:
    """[N, 3] unit vectors from the middle of the normalised box to the cameras."""
    places = cameras.camera_to_world[:, :3, 3].double().cpu().numpy()
    return places / np.linalg.norm(places, axis=1, keepdims=True).clip(min=1e-12)


def neighbours(directions: np.ndarray, count: int) -> np.ndarray:
    """[N, min(count, N - 1)] indices of the views whose directions are nearest to each one's own."""
    nearness = directions @ directions.T
    np.fill_diagonal(nearness, -2.0)
    return np.argsort(-nearness, axis=1, kind="stable")[:, : min(count, len(directions) - 1)]


def holes(directions: np.ndarray) -> tuple[Hole, ...]:
    """Connected sets of directions that are `HOLE` degrees and more from every camera, the largest first."""
    number = np.arange(_SAMPLES)
    height = 1.0 - 2.0 * (number + 0.5) / _SAMPLES
    ring = np.sqrt(1.0 - height**2)
    sphere = np.stack([ring * np.cos(_TURN * number), ring * np.sin(_TURN * number), height], axis=1)
    nearest = np.degrees(np.arccos((sphere @ directions.T).max(axis=1).clip(-1.0, 1.0)))
    empty = np.flatnonzero(nearest > HOLE)
    apart = 2.2 * math.sqrt(4.0 * math.pi / _SAMPLES)  # radians: a sample's neighbours lie nearer
    touching = sphere[empty] @ sphere[empty].T > math.cos(apart)
    found = []
    left = np.ones(len(empty), dtype=bool)
    while left.any():
        inside = np.zeros(len(empty), dtype=bool)
        inside[left.argmax()] = True
        while not ((grown := touching[inside].any(axis=0)) <= inside).all():
            inside |= grown
        left &= ~inside
        members = sphere[empty[inside]]
        middle = members.mean(axis=0)
        share = len(members) / _SAMPLES
        if share >= LEAST_HOLE:
            angle = float(np.degrees(np.arccos((directions @ _unit(middle)).max().clip(-1.0, 1.0))))
            found.append(Hole(in_words(middle), share, angle))
    return tuple(sorted(found, key=lambda hole: -hole.share))


def in_words(direction: np.ndarray) -> str:
    """A direction seen from the object, [3] of any length: 'below', 'behind, left', 'front, high'."""
    x, y, z = _unit(direction)
    height = math.degrees(math.asin(max(-1.0, min(1.0, z))))
    if abs(height) > 55.0:
        return "above" if height > 0 else "below"
    around = _AROUND[round(math.degrees(math.atan2(y, x)) / 45.0) % 8]
    return around + (f", {'high' if height > 0 else 'low'}" if abs(height) > 25.0 else "")


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
