"""How exactly the outlines agree: whether cameras and masks fit one another to the pixel, though none of them is wrong as a whole.

A ray just inside a mask's outline grazes the object, so somewhere along it every other view must show the object too. Where the cameras
stand a little off the masks cut such rays away: each view's outline juts out of the hull of the rest, and a fit grows fins to fill it.
"""

from __future__ import annotations

import cv2
import numpy as np
from torch import Tensor

from backend.dataset.asking import Asked, ask
from backend.dataset.hull import shrunk
from backend.dataset.views import Cameras
from backend.preflight.cells import asked_of

SIDE = 512  # pixels of a mask's long side
INSET = 2  # pixels inside the outline
_VIEWS, _RAYS = 48, 24  # most views whose outlines are looked at, rays of each
_COARSE = 64  # points along a ray
_FINE = 384  # points along one that seems to be cut away by the first: thin parts hide between them
_REACH = 1.8  # half the way that is looked along; half the box's diagonal is 1.73 at the most
_BORDER = 5  # pixels: where the image ends no outline is seen


def jutting(cameras: Cameras, masks: Tensor) -> float:
    """Part of the rays just inside the outlines that meet nothing which all other views but one show.

    Args:
        cameras: N cameras in the normalised box.
        masks: [N, H, W] coverage in [0, 1], on one canvas.

    Returns:
        In [0, 1]; NaN where no outline is seen.
    """
    small, shrunken = shrunk(cameras.to("cpu"), masks.cpu(), SIDE)
    shown = shrunken.numpy() > 0.5
    poses, lenses, sizes = small.camera_to_world.numpy(), small.intrinsics.numpy(), small.sizes.tolist()
    views = asked_of(small, shown)
    chance = np.random.default_rng(0)
    starts, ways, owners = [], [], []
    for view in range(0, len(views), max(1, -(-len(views) // _VIEWS))):
        pixels = _just_inside(shown[view], sizes[view])
        if len(pixels):
            chosen = pixels[chance.integers(0, len(pixels), _RAYS)]
            starts.append(np.repeat(poses[view][None, :3, 3], _RAYS, 0))
            ways.append(_ways(chosen, poses[view], lenses[view]))
            owners.append(np.full(_RAYS, view))
    if not starts:
        return float("nan")
    start, way, owner = np.concatenate(starts), np.concatenate(ways), np.concatenate(owners)
    cut = np.arange(len(owner))
    for steps in (_COARSE, _FINE):
        cut = cut[_cut(views, shown, start[cut], way[cut], owner[cut], steps)]
    return len(cut) / len(owner)


def _cut(
    views: list[Asked], shown: np.ndarray, start: np.ndarray, way: np.ndarray, owner: np.ndarray, steps: int
) -> np.ndarray:
    """[M] bool: no point of the ray is shown by all views but one; rays by start and way [M, 3], and the view [M] each belongs to."""
    far = np.linalg.norm(start, axis=1, keepdims=True) + np.linspace(-_REACH, _REACH, steps)
    points = start[:, None] + way[:, None] * far[..., None].clip(min=1e-3)
    empty, _ = ask(views, shown, points.reshape(-1, 3).T.astype(np.float32))
    empty[np.repeat(owner, steps), np.arange(len(owner) * steps)] = False  # a ray lies inside its own mask
    cut: np.ndarray = empty.sum(0, dtype=np.int16).reshape(-1, steps).min(1) > 1
    return cut


def _just_inside(mask: np.ndarray, size: list[int]) -> np.ndarray:
    """[M, 2] rows and columns of the pixels that lie INSET inside the outline of [H, W] bool, away from the image's border."""
    own = mask[: size[0], : size[1]].astype(np.uint8)
    depth = cv2.distanceTransform(own, cv2.DIST_L2, 5)
    ring = (depth > INSET) & (depth <= INSET + 1)
    ring[:_BORDER] = ring[-_BORDER:] = False
    ring[:, :_BORDER] = ring[:, -_BORDER:] = False
    return np.argwhere(ring)


def _ways(pixels: np.ndarray, pose: np.ndarray, lens: np.ndarray) -> np.ndarray:
    """[M, 3] unit vectors from the camera through [M, 2] pixels."""
    fx, fy, cx, cy = lens
    local = np.stack([(pixels[:, 1] + 0.5 - cx) / fx, (cy - pixels[:, 0] - 0.5) / fy, -np.ones(len(pixels))], 1)
    ways: np.ndarray = local @ pose[:3, :3].T
    return ways / np.linalg.norm(ways, axis=1, keepdims=True)
