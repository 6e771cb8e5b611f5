"""Photographs of a painted block on a painted floor, traced ray by ray, with the cameras they were taken by."""

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SIZE = (256, 192)
FOCAL = 240.0
HALF = np.array([0.5, 0.35, 0.4])  # of the block, which stands on the floor at z = -0.4


def texture(seed, side=512):
    """Noise of several sizes, [side, side, 3] float32."""
    random = np.random.default_rng(seed)
    layers = [
        cv2.resize(random.random((cells, cells, 3), dtype=np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
        for cells in (16, 64, 160)
    ]
    return sum(layers) / len(layers)


PAINT = [texture(seed) for seed in range(4)]


def photograph(pose):
    """[H, W, 3] uint8 and [H, W] bool, where the block is."""
    width, height = SIZE
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    local = np.stack([(x - width / 2) / FOCAL, -(y - height / 2) / FOCAL, -np.ones_like(x)], -1)
    rays, eye = local @ pose[:3, :3].T, pose[:3, 3]
    with np.errstate(all="ignore"):
        near, far = np.sort(np.stack([(-HALF - eye) / rays, (HALF - eye) / rays]), axis=0)
    entry, leave, axis = near.max(-1), far.min(-1), near.argmax(-1)
    block = (entry < leave) & (entry > 0)
    floor = np.where(rays[..., 2] < 0, (-HALF[2] - eye[2]) / rays[..., 2], 1e3)
    distance = np.where(block, entry, floor)
    point = eye + distance[..., None] * rays
    picture = np.full((height, width, 3), 0.5, np.float32)
    for which in range(4):
        kind = (block & (axis == which)) if which < 3 else (~block & (distance < 12))
        across = point[..., [(which + 1) % 3 if which < 3 else 0, (which + 2) % 3 if which < 3 else 1]]
        place = (across / (1.4 if which < 3 else 4.0) % 1.0 * 511).astype(np.float32)
        painted = cv2.remap(PAINT[which], place[..., 0], place[..., 1], cv2.INTER_LINEAR)
        picture[kind] = painted[kind]
    return (255 * picture.clip(0, 1)).astype(np.uint8), block


def write(folder: Path, poses, on_its_side=()):
    """JPEGs into `folder`; those in `on_its_side` are stored as a camera held upright stores them, with EXIF's word for it."""
    folder.mkdir(parents=True)
    for index, pose in enumerate(poses):
        colours, _ = photograph(pose)
        exif = Image.Exif()
        if index in on_its_side:
            colours = np.rot90(colours)  # turned back a quarter clockwise (orientation 6) it is upright
            exif[0x0112] = 6
        data = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(colours)).save(data, "JPEG", quality=95, exif=exif)
        (folder / f"photo {index:02d}.jpg").write_bytes(data.getvalue())


def aligned_errors(solved, true):
    """Degrees and distances by which [N, 4, 4] poses differ after the similarity that fits their places best (Umeyama 1991)."""
    solved, true = np.stack(solved), np.stack(true)
    places, wanted = solved[:, :3, 3], true[:, :3, 3]
    here, there = places.mean(0), wanted.mean(0)
    left, stretch, right = np.linalg.svd((wanted - there).T @ (places - here))
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    turn = left * signs @ right
    scale = (stretch * signs).sum() / ((places - here) ** 2).sum()
    distances = np.linalg.norm((places - here) @ turn.T * scale + there - wanted, axis=1)
    between = np.swapaxes(turn @ solved[:, :3, :3], 1, 2) @ true[:, :3, :3]
    cosines = (np.trace(between, axis1=1, axis2=2) - 1) / 2
    return np.degrees(np.arccos(cosines.clip(-1, 1))), distances, turn
