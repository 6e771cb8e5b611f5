"""The `transforms.json` family: NeRF-synthetic, instant-ngp, nerfstudio and our own job folder.

All give camera-to-world matrices with the camera looking down -Z and +Y up in the image, and a world with Z up: our inside convention, so
poses pass through unchanged.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from backend.contract import RequestError
from backend.dataset.distortion import Distortion
from backend.dataset.json_file import read_json
from backend.dataset.pairing import find_image, is_companion, mask_beside, pictures, refuse_orphan_masks
from backend.dataset.posed import Lens, PosedImage, Split, listed, rigid_pose

PINHOLE_MODELS = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "PERSPECTIVE")
FISHEYE_MODELS = ("OPENCV_FISHEYE", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE")


def find_transforms(folder: Path) -> Path | None:
    """The file this module reads, or None."""
    names = ("transforms.json", "transforms_train.json")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def is_transforms(folder: Path) -> bool:
    """The folder holds a file this module reads."""
    return find_transforms(folder) is not None


def read_transforms(folder: Path) -> tuple[list[PosedImage], list[str]]:
    """The posed images of a folder, and warnings.

    `transforms.json` is read where there is one; else `transforms_train.json` and `transforms_test.json` (`transforms_val.json` takes the
    test's place where that is absent). Raises RequestError for what cannot be used, naming files and frames.
    """
    whole = folder / "transforms.json"
    if whole.is_file():
        posed, warnings = _read_file(whole, None)
    else:
        posed, warnings = _read_file(folder / "transforms_train.json", "train")
        for name in ("transforms_test.json", "transforms_val.json"):
            if (folder / name).is_file():
                held_out, more = _read_file(folder / name, "test")
                posed, warnings = posed + held_out, warnings + more
                break
    return posed, warnings + _unlisted_images(folder, posed)


def _read_file(path: Path, split: Split | None) -> tuple[list[PosedImage], list[str]]:
    shared = read_json(path)
    frames = shared.get("frames")
    if not isinstance(frames, list) or not frames or not all(isinstance(frame, dict) for frame in frames):
        raise RequestError(
            f"{path}: it lists no frames",
            hint="export the cameras again: 'frames' holds one entry an image",
            code="no-frames",
        )
    frames, warnings = _without_repeats(path, frames)
    images = {_name(path, frame): find_image(path.parent, frame["file_path"]) for frame in frames}
    missing = [name for name, image in images.items() if image is None]
    if missing:
        raise RequestError(
            f"{path}: images it names are not there: {listed(missing)}",
            hint=f"put them under {path.parent}, or take their frames out of the file",
            code="image-missing",
        )
    masks, mask_warnings = _find_masks(path, frames, images)
    posed = []
    for frame in frames:
        name, image = _name(path, frame), images[_name(path, frame)]
        assert image is not None
        where = f"{path}: frame {name}"
        posed.append(
            PosedImage(
                name=name,
                image=image,
                mask=masks.get(name),
                camera_to_world=rigid_pose(frame.get("transform_matrix"), where),
                lens=_lens({**shared, **frame}, where),
                split=split or _own_split(shared, frame, path),
            )
        )
    return posed, warnings + mask_warnings


def _name(path: Path, frame: Mapping[str, Any]) -> str:
    name = frame.get("file_path")
    if not isinstance(name, str) or not name:
        raise RequestError(
            f"{path}: a frame has no file_path", hint="every frame names its image", code="frame-invalid"
        )
    return _plain(name)


def _plain(file_path: object) -> str:
    """A path as different tools spell it -> one spelling."""
    return str(file_path).replace("\\", "/").removeprefix("./")


def _without_repeats(path: Path, frames: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Frames named twice with one pose are kept once and warned of; with two poses nobody can tell which is meant."""
    kept: dict[str, dict[str, Any]] = {}
    repeated: list[str] = []
    contradicting: list[str] = []
    for frame in frames:
        first = kept.setdefault(_name(path, frame), frame)
        if first is not frame:
            same = first.get("transform_matrix") == frame.get("transform_matrix")
            (repeated if same else contradicting).append(_name(path, frame))
    if contradicting:
        raise RequestError(
            f"{path}: images named twice with different poses: {listed(contradicting)}",
            hint="keep one frame for each image",
            code="frame-repeated",
        )
    return list(kept.values()), [f"{path.name} names images twice; used once: {listed(repeated)}"] if repeated else []


def _find_masks(
    path: Path, frames: Sequence[Mapping[str, Any]], images: Mapping[str, Path | None]
) -> tuple[dict[str, Path], list[str]]:
    """Masks by name: `mask_path`, else a file of the image's stem in `masks/` beside the image or its folder."""
    masks: dict[str, Path] = {}
    absent: list[str] = []
    for frame in frames:
        name = _name(path, frame)
        image = images[name]
        assert image is not None
        stated = frame.get("mask_path")
        if isinstance(stated, str) and stated:
            found = find_image(path.parent, stated)
            if found is None:
                absent.append(stated)
        else:
            found = mask_beside(image, path.parent)
        if found is not None:
            masks[name] = found
    refuse_orphan_masks(images, path.parent)
    if absent and masks:
        raise RequestError(
            f"{path}: masks it names are not there: {listed(absent)}",
            hint=f"put them under {path.parent}, or take mask_path out of every frame to use the alpha channels",
            code="mask-missing",
        )
    if absent:
        return masks, [
            f"none of the masks {path.name} names is there ({listed(absent)}); the images' alpha channels are used"
        ]
    return masks, []


def _unlisted_images(folder: Path, posed: Sequence[PosedImage]) -> list[str]:
    """Images in the frames' folders that no transforms file of the source names: solvers drop photographs they cannot place.

    Companions such as `r_0_depth.png` beside `r_0.png` are no photographs.
    """
    known = {image.image.resolve() for image in posed} | {image.mask.resolve() for image in posed if image.mask}
    for other in ("transforms_test.json", "transforms_val.json"):
        if (folder / other).is_file():
            frames = read_json(folder / other).get("frames") or []
            found = [find_image(folder, _name(folder / other, frame)) for frame in frames]
            known |= {image.resolve() for image in found if image}
    folders = sorted({image.image.parent for image in posed if image.image.parent != folder})
    suffixes = {image.image.suffix for image in posed}
    stems = {image.stem for image in known}
    extra = [
        file.name
        for place in folders
        for file in pictures(place)
        if file.resolve() not in known and file.suffix in suffixes and not is_companion(file.stem, stems)
    ]
    return [f"images that no frame names are left out: {listed(extra)}"] if extra else []


def _own_split(shared: Mapping[str, Any], frame: Mapping[str, Any], path: Path) -> Split | None:
    """A frame's `split`, else the one of nerfstudio's lists of file names that holds it."""
    name = _name(path, frame)
    own = frame.get("split")
    for split in typing.get_args(Split):
        named = shared.get(f"{split}_filenames")
        if own == split or (own is None and isinstance(named, list) and name in map(_plain, named)):
            return split
    if own is not None:
        raise RequestError(
            f"{path}: frame {name}: split is {own!r}; expected 'train', 'test' or 'val'",
            hint="correct it",
            code="frame-invalid",
        )
    return None


def _lens(values: Mapping[str, Any], where: str) -> Lens:
    model = str(values.get("camera_model", "OPENCV")).upper()
    fisheye = bool(values.get("is_fisheye")) or model in FISHEYE_MODELS
    if model not in (*PINHOLE_MODELS, *FISHEYE_MODELS):
        raise RequestError(
            f"{where}: the camera model is {model}; expected one of {', '.join((*PINHOLE_MODELS, *FISHEYE_MODELS))}",
            hint="undistort the images to a pinhole camera (in COLMAP: image_undistorter) and use its cameras",
            code="camera-model",
        )

    def number(key: str) -> float | None:
        value = values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise RequestError(
                f"{where}: {key} is {value!r}; expected a number", hint="correct it", code="camera-invalid"
            )
        return float(value)

    fx, fy, width, height = number("fl_x"), number("fl_y"), number("w"), number("h")
    cx, cy, angle_x, angle_y = number("cx"), number("cy"), number("camera_angle_x"), number("camera_angle_y")
    fx, fy = fx or fy, fy or fx
    focal = None if fx is None or fy is None else (fx, fy)
    sensible = [value > 0 for value in (fx, fy, width, height) if value is not None]
    sensible += [0 < angle < math.pi for angle in (angle_x, angle_y) if angle is not None]
    if (focal is None and angle_x is None) or not all(sensible):
        raise RequestError(
            f"{where}: no usable focal length (fl_x {fx}, fl_y {fy}, camera_angle_x {angle_x}, size {width} x {height})",
            hint="give fl_x and fl_y in pixels with w and h, or camera_angle_x in radians",
            code="camera-invalid",
        )
    k1, k2, k3, k4, p1, p2 = (number(key) or 0.0 for key in ("k1", "k2", "k3", "k4", "p1", "p2"))
    return Lens(
        focal=focal,
        angle_x=angle_x,
        angle_y=angle_y,
        centre=None if cx is None or cy is None else (cx, cy),
        size=None if width is None or height is None else (round(width), round(height)),
        distortion=Distortion(
            projection="fisheye" if fisheye else "pinhole",
            radial=(k1, k2, k3, k4),
            tangential=(0.0, 0.0) if fisheye else (p1, p2),
        ),
    )
