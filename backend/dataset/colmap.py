"""COLMAP's sparse models, text and binary.

Poses take the world to the camera in OpenCV's axes (x right, y down, z forward), pixels count from the corner of the first one, and the
world lies as the solver left it: it is turned Z up and recentred here.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from backend.contract import RequestError
from backend.dataset.colmap_binary import read_cameras_binary, read_images_binary, read_points_binary
from backend.dataset.colmap_text import Solved, read_cameras_text, read_images_text, read_points_text
from backend.dataset.orient import upright
from backend.dataset.pairing import IMAGE_FOLDERS, pair
from backend.dataset.posed import Capture, PosedImage, listed, pose_of_opencv

PLACES = ("sparse", "colmap/sparse", "distorted/sparse", "model", ".")


def find_colmap(folder: Path) -> Path | None:
    """The image file of the first model in the folder, or None."""
    models = _models(folder)
    return _images_file(models[0]) if models else None


def read_colmap(folder: Path) -> Capture:
    """The model with the most images, its photographs, and its points. Raises RequestError, which names file and place."""
    models = _models(folder)
    solved = {model: _solved(model) for model in models}
    model = max(models, key=lambda model: len(solved[model]))
    path, images = _images_file(model), solved[model]
    assert path is not None
    warnings = []
    if len(models) > 1:
        others = ", ".join(f"{other.relative_to(folder)} ({len(solved[other])})" for other in models if other != model)
        warnings.append(
            f"the cameras fell into several models; used {model.relative_to(folder)} ({len(images)}), not {others}"
        )
    if not images:
        raise RequestError(f"{path}: it holds no images", hint="solve the cameras again", code="no-frames")
    repeated = sorted(name for name, times in Counter(image.name for image in images).items() if times > 1)
    if repeated:
        raise RequestError(
            f"{path}: images named twice: {listed(repeated)}", hint="export the model again", code="frame-repeated"
        )
    binary = path.suffix == ".bin"
    cameras = path.with_name("cameras" + path.suffix)
    lenses = read_cameras_binary(cameras) if binary else read_cameras_text(cameras)
    lost = [image.name for image in images if image.camera not in lenses]
    if lost:
        raise RequestError(
            f"{cameras}: it has no camera for {listed(lost)}",
            hint=f"{cameras.name} and {path.name} belong together: export both again",
            code="camera-invalid",
        )
    pairs = pair(folder, [image.name for image in images], path, _photograph_folders(folder, model))
    posed = tuple(
        PosedImage(
            name=image.name,
            image=pairs.images[image.name],
            mask=pairs.masks.get(image.name),
            camera_to_world=_pose(image, f"{path}: image {image.name}"),
            lens=lenses[image.camera],
        )
        for image in sorted(images, key=lambda image: image.name)
        if image.name in pairs.images
    )
    points = path.with_name("points3D" + path.suffix)
    cloud = (read_points_binary(points) if binary else read_points_text(points)) if points.is_file() else None
    if cloud is not None:
        cloud = cloud[np.isfinite(cloud).all(axis=1)]
    return upright(Capture(posed, (*warnings, *pairs.warnings), cloud))


def quaternion_matrix(turn: tuple[float, float, float, float], where: str) -> np.ndarray:
    """[3, 3] rotation of a quaternion (w, x, y, z) of any length but 0. Raises RequestError (pose-invalid)."""
    length = float(np.linalg.norm(turn))
    if not np.isfinite(length) or length < 1e-6:
        raise RequestError(
            f"{where}: the quaternion {turn} is no rotation", hint="solve the cameras again", code="pose-invalid"
        )
    w, x, y, z = (value / length for value in turn)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _pose(image: Solved, where: str) -> np.ndarray:
    turn = quaternion_matrix(image.turn, where)
    return pose_of_opencv(turn.T, -turn.T @ np.array(image.shift), where)


def _solved(model: Path) -> list[Solved]:
    path = _images_file(model)
    assert path is not None
    return read_images_binary(path) if path.suffix == ".bin" else read_images_text(path)


def _images_file(model: Path) -> Path | None:
    """images.bin, which COLMAP itself prefers, or images.txt; only beside the cameras of its kind."""
    for suffix in (".bin", ".txt"):
        if (model / f"images{suffix}").is_file() and (model / f"cameras{suffix}").is_file():
            return model / f"images{suffix}"
    return None


def _models(folder: Path) -> list[Path]:
    """Folders that hold a model: one of `PLACES` or the numbered folders in it."""
    for name in PLACES:
        place = folder / name
        numbered = sorted(place.glob("[0-9]*")) if place.is_dir() and name != "." else []
        models = [model for model in (place, *numbered) if _images_file(model) is not None]
        if models:
            return models
    return []


def _photograph_folders(folder: Path, model: Path) -> list[Path]:
    """images/ in the folder, and beside the model where the folder given is the model's own."""
    roots = [folder, *(parent for parent in (folder.parent, folder.parent.parent) if model == folder)]
    return [root / name for root in roots for name in IMAGE_FOLDERS[:-1]] + [folder]
