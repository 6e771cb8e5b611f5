"""A thing of several balls, photographed by formulas, and the faults that are planted into its photographs."""

import cv2
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from backend.dataset.views import Cameras, Views

SIDE = 128
FOCAL = 1.3 * SIDE
BALLS = (  # centre, radii: nothing is symmetric
    ((0.0, 0.0, -0.2), (0.55, 0.4, 0.7)),
    ((0.45, 0.2, 0.3), (0.5, 0.18, 0.2)),
    ((-0.3, -0.35, 0.45), (0.2, 0.45, 0.15)),
    ((-0.5, 0.3, -0.6), (0.35, 0.2, 0.25)),
)
MOVED = (*BALLS[:3], ((-0.5, -0.1, -0.6), (0.25, 0.2, 0.35)))  # the same thing, its last ball elsewhere


def pose_at(away, distance=3.6):
    """Camera-to-world of a camera that looks at the origin from the direction `away`."""
    back = np.asarray(away, float) / np.linalg.norm(away)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(back, right), back], axis=1)
    pose[:3, 3] = distance * back
    return pose


def spread(count, height=0.85):
    """Directions of a Fibonacci sphere, its poles left out; from `height` down."""
    z = height - 2 * 0.85 * (np.arange(count) + 0.5) / count * (height + 0.85) / 1.7
    turn = np.arange(count) * np.pi * (3 - np.sqrt(5))
    return np.stack([np.cos(turn) * np.sqrt(1 - z**2), np.sin(turn) * np.sqrt(1 - z**2), z], axis=1)


def photograph(pose, side=SIDE, balls=BALLS):
    """[side, side, 4] float32 linear premultiplied: detail of all widths painted on, light from above."""
    fine, focal = 2 * side, 2 * FOCAL * side / SIDE
    x, y = np.meshgrid(np.arange(fine) + 0.5 - side, np.arange(fine) + 0.5 - side)
    ray = np.stack([x / focal, -y / focal, -np.ones_like(x)], axis=-1) @ pose[:3, :3].T
    nearest, normal = np.full(x.shape, np.inf), np.zeros((*x.shape, 3))
    for centre, radii in balls:
        start, way = (pose[:3, 3] - centre) / radii, ray / radii
        a, b, c = (way**2).sum(-1), way @ start, start @ start - 1
        root = b**2 - a * c
        depth = np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf)
        closer = depth < nearest
        nearest = np.where(closer, depth, nearest)
        place = start + way * np.where(closer, depth, 0)[..., None]
        normal[closer] = (place / radii)[closer]
    hit = np.isfinite(nearest)
    point = pose[:3, 3] + ray * np.where(hit, nearest, 0)[..., None]
    paint = sum(np.sin(point @ np.array(wave)) for wave in ((7, 3, 4), (-13, 21, 9), (31, -17, 43), (-61, 67, 53)))
    shade = 0.6 + 0.4 * normal[..., 2] / np.linalg.norm(normal, axis=-1).clip(min=1e-9)
    value = (0.18 + 0.035 * paint) * shade
    image = np.stack([value, 0.8 * value, 0.6 * value, np.ones_like(value)], axis=-1) * hit[..., None]
    return image.reshape(side, 2, side, 2, 4).mean(axis=(1, 3)).astype(np.float32)


def outlines(poses, side):
    """[N, side, side] what `photograph` shows of the thing, without its colours."""
    focal = FOCAL * side / SIDE
    x, y = np.meshgrid(np.arange(side) + 0.5 - side / 2, np.arange(side) + 0.5 - side / 2)
    shown = np.zeros((len(poses), side, side), np.float32)
    for mask, pose in zip(shown, poses):
        ray = np.stack([x / focal, -y / focal, -np.ones_like(x)], axis=-1) @ pose[:3, :3].T
        for centre, radii in BALLS:
            start, way = (pose[:3, 3] - centre) / radii, ray / radii
            mask[(way @ start) ** 2 > (way**2).sum(-1) * (start @ start - 1)] = 1.0
    return torch.from_numpy(shown)


def cameras_of(poses, side):
    count, focal = len(poses), FOCAL * side / SIDE
    return Cameras(
        torch.tensor(np.stack(poses), dtype=torch.float32),
        torch.tensor([focal, focal, side / 2, side / 2]).repeat(count, 1),
        torch.tensor([side, side]).repeat(count, 1),
    )


def views_of(poses, side=SIDE, moved=()):
    """Views as a run has them; those whose places are in `moved` show the thing with a part moved."""
    images = torch.from_numpy(
        np.stack([photograph(p, side, MOVED if n in moved else BALLS) for n, p in enumerate(poses)])
    ).half()
    return Views(tuple(f"IMG_{index:03d}.png" for index in range(len(poses))), cameras_of(poses, side), images)


def _masked(image, mask):
    """A photograph under another mask, what the first one hid being grey."""
    image = image.float()
    whole = image[..., :3] + 0.2 * (1 - image[..., 3:])
    return torch.cat([whole * mask[..., None], mask[..., None]], -1).half()


def blur(views, index):
    rgba = views.images[index].float().numpy()
    soft = cv2.GaussianBlur(rgba, (0, 0), 2.0)
    color = soft[..., :3] / soft[..., 3:].clip(min=1e-6) * rgba[..., 3:]
    views.images[index] = torch.from_numpy(np.concatenate([color, rgba[..., 3:]], -1))


def expose(views, index):
    views.images[index, ..., :3] = (4 * views.images[index, ..., :3]).minimum(views.images[index, ..., 3:])


def shift_mask(views, index):
    moved = views.images[index, ..., 3].float().roll((4, -7), (0, 1))  # 6 % of the side
    views.images[index] = _masked(views.images[index], moved)


def take_mask(views, index):
    other = views.images[(index + 7) % len(views), ..., 3].float()
    views.images[index] = _masked(views.images[index], other)


def hole_mask(views, index):
    mask = views.images[index, ..., 3].float()
    cv2.circle(hole := np.ones((SIDE, SIDE), np.float32), (SIDE // 2, SIDE // 2 + 8), 11, 0.0, -1)
    views.images[index] = _masked(views.images[index], mask * torch.from_numpy(hole))


def turn_camera(views, index):
    axis = np.array([np.cos(index), np.sin(index), 0.3])
    turn = Rotation.from_rotvec(np.radians(5) * axis / np.linalg.norm(axis)).as_matrix()
    views.cameras.camera_to_world[index, :3, :3] @= torch.from_numpy(turn).float()


def swap_cameras(views, index):
    other = (index + 7) % len(views)
    views.cameras.camera_to_world[[index, other]] = views.cameras.camera_to_world[[other, index]].clone()


FAULTS = {  # what is planted -> what the check calls it, and how many further on a second view suffers
    blur: ("blurred", None),
    expose: ("exposure", None),
    shift_mask: ("silhouette", None),
    take_mask: ("silhouette", None),
    turn_camera: ("silhouette", None),
    swap_cameras: ("silhouette", 7),
}
