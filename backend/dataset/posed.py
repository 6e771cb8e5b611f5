"""What an importer says of each image before any pixel is read: where it is, through which lens and from where it was taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from backend.contract import RequestError
from backend.dataset.distortion import STRAIGHT, Distortion

Split = Literal["train", "test", "val"]


@dataclass(frozen=True)
class Lens:
    """A lens in the pixels of an image of `size`: a pinhole's numbers, and how the real one departs from them.

    Attributes:
        focal: fx, fy in pixels, or None where `angle_x` (the horizontal field of view, radians) is given instead.
        centre: cx from the left and cy from the top edge in pixels, or None for the middle of the image.
        size: (width, height) in pixels which the numbers refer to, or None for the image's own.
        distortion: what is undone when the image is read.
    """

    focal: tuple[float, float] | None
    angle_x: float | None = None
    angle_y: float | None = None
    centre: tuple[float, float] | None = None
    size: tuple[int, int] | None = None
    distortion: Distortion = STRAIGHT

    def fits(self, width: int, height: int) -> bool:
        """An image of this size has the aspect of the lens's, within one pixel of rounding."""
        if self.size is None:
            return True
        return abs(width * self.size[1] - height * self.size[0]) <= max(self.size)

    def intrinsics(self, width: int, height: int) -> tuple[float, float, float, float]:
        """fx, fy, cx, cy in the pixels of an image of this size (cy from the top edge, pixel centres at +0.5)."""
        own_width, own_height = self.size or (width, height)
        if self.focal is not None:
            fx, fy = self.focal
        else:
            assert self.angle_x is not None
            fx = 0.5 * own_width / math.tan(0.5 * self.angle_x)
            fy = fx if self.angle_y is None else 0.5 * own_height / math.tan(0.5 * self.angle_y)
        cx, cy = self.centre or (0.5 * own_width, 0.5 * own_height)
        across, down = width / own_width, height / own_height
        return fx * across, fy * down, cx * across, cy * down


@dataclass(frozen=True)
class PosedImage:
    """One image of a source.

    Attributes:
        name: as the source calls it; unique.
        image: the file.
        mask: its mask's file, or None where the alpha channel is the mask.
        camera_to_world: [4, 4] float64, rigid; looks down -Z, +Y up in the image, Z up in the world.
        lens: what it was taken through.
        split: the source's own division into fitted and held out, or None where it makes none.
    """

    name: str
    image: Path
    mask: Path | None
    camera_to_world: np.ndarray
    lens: Lens
    split: Split | None = None


@dataclass(frozen=True)
class Capture:
    """What one camera file says of all its images.

    Attributes:
        images: those that can be used.
        warnings: sentences about what was missing, left over or doubtful.
        points: [P, 3] float64 points of the object and its surroundings in the images' world, or None where the file has none.
        from_source: [4, 4] float64 similarity that takes the file's own world into the images' world.
    """

    images: tuple[PosedImage, ...]
    warnings: tuple[str, ...] = ()
    points: np.ndarray | None = None
    from_source: np.ndarray = field(default_factory=lambda: np.eye(4))


def rigid_pose(matrix: object, where: str) -> np.ndarray:
    """A source's camera matrix (3x4 or 4x4 lists) -> [4, 4] float64 with an exact rotation, or RequestError that names `where`."""
    hint = "solve the cameras again, or take this frame out of the file"
    try:
        given = np.array(matrix, dtype=np.float64)
    except (TypeError, ValueError):
        given = np.zeros(0)
    if given.shape not in ((4, 4), (3, 4)):
        raise RequestError(f"{where}: the pose is not a 4x4 matrix of numbers", hint=hint, code="pose-invalid")
    if not np.isfinite(given).all():
        raise RequestError(
            f"{where}: the pose holds a number that is not finite (NaN or inf)", hint=hint, code="pose-invalid"
        )
    turn = given[:3, :3]
    left, stretch, right = np.linalg.svd(turn)
    if np.linalg.det(turn) <= 0 or abs(stretch - 1).max() > 0.01:
        scale = ", ".join(f"{value:.3g}" for value in stretch)
        kind = "mirrors" if np.linalg.det(turn) < 0 else "stretches"
        raise RequestError(
            f"{where}: the pose {kind} (scales {scale}); expected a rotation and a position",
            hint="export camera matrices without scale",
            code="pose-invalid",
        )
    pose = np.eye(4)
    pose[:3, :3] = left @ right
    pose[:3, 3] = given[:3, 3]
    return pose


def pose_of_opencv(camera_to_world: np.ndarray, position: np.ndarray, where: str) -> np.ndarray:
    """[4, 4] camera-to-world of a camera given in OpenCV's axes (x right, y down, z forward): a [3, 3] turn and a position [3]."""
    axes = np.asarray(camera_to_world, dtype=np.float64) * np.array([1.0, -1.0, -1.0])
    return rigid_pose(np.column_stack([axes, position]), where)


def listed(names: Sequence[str]) -> str:
    """The first five names, and how many more there are."""
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more ({len(names)} in all)"
