"""Small posed scenes for the tests, projected by formulas of their own: OpenCV's camera and an ellipsoid solved ray by ray."""

import json
from pathlib import Path

import cv2
import numpy as np
import torch

from backend.dataset.views import Cameras

CENTRE = np.array([0.3, -0.2, 0.5])
AXES = np.array([0.5, 0.3, 0.8])


def pose_from(position, target, up=(0.0, 0.0, 1.0)):
    """Camera-to-world of a camera that looks from `position` at `target`: columns right, up, backwards, position."""
    back = np.asarray(position, float) - np.asarray(target, float)
    back /= np.linalg.norm(back)
    right = np.cross(up, back)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2], pose[:3, 3] = right, np.cross(back, right), back, position
    return pose


def ring(count, distance=4.0, target=CENTRE):
    """Poses around the target at changing heights."""
    turns = 2 * np.pi * np.arange(count) / count
    heights = np.array([0.3, 0.9, -0.4, 0.6])[np.arange(count) % 4]
    away = np.stack([np.cos(turns) * np.cos(heights), np.sin(turns) * np.cos(heights), np.sin(heights)], axis=1)
    return [pose_from(target + distance * direction, target) for direction in away]


def project(points, pose, intrinsics):
    """Pixels [P, 2] (x right, y down, the first pixel's centre at 0.5) by OpenCV, whose cameras look along +Z with +Y down."""
    fx, fy, cx, cy = intrinsics
    flipped = pose @ np.diag([1.0, -1.0, -1.0, 1.0])
    world_to_camera = np.linalg.inv(flipped)
    turn, _ = cv2.Rodrigues(world_to_camera[:3, :3])
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
    pixels, _ = cv2.projectPoints(
        np.asarray(points, float).reshape(-1, 1, 3), turn, world_to_camera[:3, 3], matrix, None
    )
    return pixels[:, 0]


def ellipsoid_mask(pose, intrinsics, size, centre=CENTRE, axes=AXES):
    """[H, W] float: 1 where the ray through a pixel's centre meets the ellipsoid."""
    width, height = size
    fx, fy, cx, cy = intrinsics
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    local = np.stack([(x - cx) / fx, -(y - cy) / fy, -np.ones_like(x)], axis=-1)
    direction = local @ pose[:3, :3].T / axes
    origin = (pose[:3, 3] - centre) / axes
    half = direction @ origin
    return (half**2 - (direction**2).sum(-1) * (origin @ origin - 1) > 0).astype(np.float32)


def ellipsoid_views(count=16, size=(64, 48), intrinsics=(90.0, 90.0, 30.0, 27.0)):
    """Cameras around the ellipsoid and its masks [N, H, W]."""
    poses = ring(count)
    masks = np.stack([ellipsoid_mask(pose, intrinsics, size) for pose in poses])
    return cameras_of(poses, intrinsics, size), torch.from_numpy(masks)


def cameras_of(poses, intrinsics, size):
    count = len(poses)
    return Cameras(
        torch.tensor(np.stack(poses), dtype=torch.float32),
        torch.tensor(intrinsics, dtype=torch.float32).repeat(count, 1),
        torch.tensor([size[1], size[0]]).repeat(count, 1),
    )


def write_png(path: Path, values):
    """Grey, RGB or RGBA uint8 or uint16 values as a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.ascontiguousarray(values)
    if values.ndim == 3:
        values = values[..., [2, 1, 0, 3][: values.shape[2]]]
    assert cv2.imwrite(str(path), values)


def write_scene(folder: Path, count=8, size=(64, 48), intrinsics=(90.0, 90.0, 30.0, 27.0), masks="alpha", edit=None):
    """A transforms.json with PNGs of the ellipsoid; `masks` is 'alpha' or 'files'. `edit` changes the JSON before it is written."""
    frames = []
    for index, pose in enumerate(ring(count)):
        mask = (255 * ellipsoid_mask(pose, intrinsics, size)).astype(np.uint8)
        color = np.full((size[1], size[0], 3), 188, np.uint8)
        color[-1, -1] = index  # no two photographs are the same, in a corner that no mask covers
        if masks == "alpha":
            write_png(folder / f"images/{index:03d}.png", np.dstack([color, mask]))
        else:
            write_png(folder / f"images/{index:03d}.png", color)
            write_png(folder / f"masks/{index:03d}.png", mask)
        frames.append({"file_path": f"images/{index:03d}.png", "transform_matrix": pose.tolist()})
    fx, fy, cx, cy = intrinsics
    content = {"fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy, "w": size[0], "h": size[1], "frames": frames}
    if edit is not None:
        edit(content)
    (folder / "transforms.json").write_text(json.dumps(content))
    return folder
