"""Meshroom's `cameras.sfm` (also `sfm.json`): AliceVision's scene as JSON.

A pose holds the camera's centre and the world-to-camera rotation by columns, in OpenCV's axes. Focal lengths are in pixels (pxFocalLength)
or millimetres with the sensor's width; the principal point is in pixels from the image's corner, from version 1.2.1 on from its middle.
Pixels have their centres at whole numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from backend.contract import RequestError
from backend.dataset.distortion import Distortion
from backend.dataset.json_file import read_json
from backend.dataset.orient import upright
from backend.dataset.pairing import pair
from backend.dataset.posed import Capture, Lens, PosedImage, listed, pose_of_opencv
from backend.dataset.projection import CORNER

FILES = ("cameras.sfm", "sfm.json", "sfm.sfm")
MODELS = ("pinhole", "radial1", "radial3", "brown", "fisheye", "fisheye1", "fisheye4")


def find_meshroom(folder: Path) -> Path | None:
    """The file this module reads, or None."""
    return next((folder / name for name in FILES if (folder / name).is_file()), None)


def read_meshroom(folder: Path) -> Capture:
    """The posed views, turned Z up and recentred. Raises RequestError, which names file and view."""
    path = find_meshroom(folder)
    assert path is not None
    content = read_json(path)
    version = content.get("version", ["1", "0", "0"])
    centred = isinstance(version, list) and [_whole(part) for part in version[:3]] >= [1, 2, 1]
    views, poses = _objects(content, "views", path), _objects(content, "poses", path)
    intrinsics = {str(each.get("intrinsicId")): each for each in _objects(content, "intrinsics", path)}
    solved = {str(each.get("poseId")): each for each in poses}
    named = {str(view.get("path", "")): view for view in views}
    unsolved = [PureWindowsPath(name).name for name, view in named.items() if str(view.get("poseId")) not in solved]
    placed = {name: view for name, view in named.items() if str(view.get("poseId")) in solved}
    if not placed or len(named) != len(views):
        what = "no view of it has a pose" if not placed else "it names an image twice"
        raise RequestError(f"{path}: {what}", hint="run StructureFromMotion again and export it", code="no-frames")
    rigs = [
        PureWindowsPath(name).name
        for name, view in placed.items()
        if _whole(view.get("rigId", -1)) not in (-1, 4294967295)
    ]
    if rigs:
        raise RequestError(
            f"{path}: views that belong to a rig of cameras: {listed(rigs)}; expected single cameras",
            hint="solve the images without a rig",
            code="camera-model",
        )
    pairs = pair(folder, list(placed), path)
    images = []
    for name, view in placed.items():
        if name in pairs.images:
            where = f"{path}: view {PureWindowsPath(name).name}"
            pose = _pose(solved[str(view["poseId"])], where)
            lens = _lens(intrinsics.get(str(view.get("intrinsicId")), {}), view, centred, where)
            short = PureWindowsPath(name).name
            images.append(PosedImage(short, pairs.images[name], pairs.masks.get(name), pose, lens))
    warnings = [f"images that {path.name} has no pose for are left out: {listed(unsolved)}"] if unsolved else []
    left = [warning for warning in pairs.warnings if not (unsolved and warning.startswith("images without a camera"))]
    return upright(Capture(tuple(images), (*warnings, *left)))


def _objects(content: Mapping[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    found = content.get(key)
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise RequestError(
            f"{path}: it has no list '{key}'; expected views, intrinsics and poses",
            hint="take the cameras.sfm of StructureFromMotion, or of ConvertSfMFormat with the type sfm and all of them kept",
            code="no-frames",
        )
    return found


def _whole(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0


def _numbers(values: object, count: int | None, what: str, where: str) -> list[float]:
    try:
        numbers = [float(value) for value in values]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        numbers = [math.nan]
    if (count is not None and len(numbers) != count) or not all(map(math.isfinite, numbers)):
        wanted = "numbers" if count is None else f"{count} numbers"
        raise RequestError(
            f"{where}: {what} is {str(values)[:60]}; expected {wanted}",
            hint="export the file again",
            code="camera-invalid",
        )
    return numbers


def _pose(pose: Mapping[str, Any], where: str) -> np.ndarray:
    inner = pose.get("pose")
    transform = inner.get("transform") if isinstance(inner, dict) else None
    if not isinstance(transform, dict):
        raise RequestError(f"{where}: its pose has no transform", hint="export the file again", code="pose-invalid")
    # by columns and world to camera: by rows it is the transpose, camera to world
    turn = np.array(_numbers(transform.get("rotation"), 9, "rotation", where)).reshape(3, 3)
    return pose_of_opencv(turn, np.array(_numbers(transform.get("center"), 3, "center", where)), where)


def _lens(intrinsic: Mapping[str, Any], view: Mapping[str, Any], centred: bool, where: str) -> Lens:
    def number(key: str, default: object = None) -> float:
        return _numbers([intrinsic.get(key, view.get(key, default))], 1, key, where)[0]

    width, height = number("width"), number("height")
    pixels = intrinsic.get("pxFocalLength")
    if pixels is not None:
        focal = _numbers(pixels if isinstance(pixels, list) else [pixels] * 2, 2, "pxFocalLength", where)
    else:
        focal = [number("focalLength") * width / max(number("sensorWidth"), 1e-9)] * 2
        focal[1] = focal[0] / (number("pixelRatio", 1.0) or 1.0)
    if not (1 <= width < 1e6 and 1 <= height < 1e6 and min(focal) > 0):
        raise RequestError(
            f"{where}: {width:g} x {height:g} pixels and the focal lengths {focal} make no camera",
            hint="export the file again",
            code="camera-invalid",
        )
    middle = (0.5 * width, 0.5 * height) if centred else (0.0, 0.0)
    cx, cy = _numbers(intrinsic.get("principalPoint"), 2, "principalPoint", where)
    return Lens(
        focal=(focal[0], focal[1]),
        centre=(cx + middle[0] + CORNER, cy + middle[1] + CORNER),
        size=(round(width), round(height)),
        distortion=_distortion(intrinsic, where),
    )


def _distortion(intrinsic: Mapping[str, Any], where: str) -> Distortion:
    """By the model's name: `type`, or from version 1.2.6 on `distortionType` behind it."""
    kind, apart = str(intrinsic.get("type", "pinhole")).lower(), str(intrinsic.get("distortionType", "")).lower()
    model = {"": kind, "none": "pinhole", "radialk1": "radial1", "radialk3": "radial3"}.get(apart, apart)
    values = _numbers(intrinsic.get("distortionParams") or [], None, "distortionParams", where)
    counts = {"pinhole": 0, "radial1": 1, "radial3": 3, "brown": 5, "fisheye": 4, "fisheye4": 4, "fisheye1": 1}
    if model not in counts or (any(values) and len(values) != counts[model]):
        raise RequestError(
            f"{where}: the camera model {model} with {len(values)} distortion numbers is not known; expected one of {', '.join(MODELS)}",
            hint="choose radial3, brown or fisheye4 in CameraInit, or undistort with PrepareDenseScene",
            code="camera-model",
        )
    if not any(values) and model in ("pinhole", "radial1", "radial3", "brown"):
        return Distortion()
    if model == "brown":
        return Distortion(radial=tuple(values[:3]), tangential=(values[3], values[4]))
    if model == "fisheye1":
        return Distortion(projection="fov", view=values[0] if values else 0.0)
    return Distortion(projection="fisheye" if model.startswith("fisheye") else "pinhole", radial=tuple(values))
