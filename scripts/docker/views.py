"""Writes a dozen pictures of a ball with stripes, with their cameras: FOLDER/transforms.json. For check.py, inside what it checks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import imageio.v3 as imageio
import numpy as np

SIDE, COUNT, ANGLE, DISTANCE = 48, 12, 0.7, 4.0


def main(folder: Path) -> None:
    """Ray casting, one ray a pixel; the ball has radius 1 and stands at the origin."""
    folder.mkdir(parents=True, exist_ok=True)
    across = ((np.arange(SIDE) + 0.5) / SIDE * 2 - 1) * np.tan(ANGLE / 2)
    frames = []
    for number in range(COUNT):
        turn, height = 2.4 * number, 0.85 * (1 - (2 * number + 1) / COUNT)
        away = np.array([np.cos(turn) * np.sqrt(1 - height**2), np.sin(turn) * np.sqrt(1 - height**2), height])
        right = np.cross([0, 0, 1], away) / np.linalg.norm(np.cross([0, 0, 1], away))
        pose = np.eye(4)
        pose[:3] = np.column_stack([right, np.cross(away, right), away, DISTANCE * away])
        x, y = np.meshgrid(across, -across)
        ray = np.stack([x, y, -np.ones_like(x)], axis=-1) @ pose[:3, :3].T
        along, length = ray @ away * DISTANCE, (ray**2).sum(-1)
        inside = along**2 - length * (DISTANCE**2 - 1)
        hit = inside > 0
        point = DISTANCE * away + ray * ((-along - np.sqrt(np.maximum(inside, 0))) / length)[..., None]
        colour = 0.5 + 0.3 * np.sin(point * [6.0, 5.0, 4.0])
        pixels = np.concatenate([colour, np.ones_like(x)[..., None]], axis=-1) * hit[..., None]
        imageio.imwrite(folder / f"{number:02}.png", np.rint(pixels * 255).astype(np.uint8))
        frames.append({"file_path": f"{number:02}.png", "transform_matrix": pose.tolist()})
    (folder / "transforms.json").write_text(json.dumps({"camera_angle_x": ANGLE, "frames": frames}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
