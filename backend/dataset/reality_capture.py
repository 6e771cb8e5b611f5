"""RealityCapture's (RealityScan's) cameras: the CSV "Internal/External camera parameters", or an XMP file beside each image.

Lengths of the lens are in millimetres of a 36 mm wide frame (CSV), or its focal length so and its principal point as a part of the longer
side (XMP): f / 36 times the longer side is in pixels; the principal point counts from the middle of the image. The world has Z up. CSV:
heading, pitch and roll in degrees, at 0, 0, 0 of a camera that looks down, north on top: Rz(-heading) Rx(pitch) Ry(roll). XMP: the
world-to-camera rotation by rows in OpenCV's axes, and the position.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from backend.contract import RequestError
from backend.dataset.array_file import file_bytes, unreadable
from backend.dataset.distortion import Distortion
from backend.dataset.pairing import IMAGE_FOLDERS, pair
from backend.dataset.picture_file import picture_size
from backend.dataset.posed import Capture, Lens, PosedImage, listed, pose_of_opencv, rigid_pose
from backend.dataset.xml_file import numbers, read_xml

FRAME = 36.0  # mm, of the longer side
COLUMNS = ("x", "y", "alt", "heading", "pitch", "roll", "f", "px", "py")
XCR = "{http://www.capturingreality.com/ns/xcr/1.1#}"
STRAIGHT_MODELS = ("perspective", "brown3", "brown4", "brown3t2", "brown4t2")


def find_reality_capture(folder: Path) -> Path | None:
    """A CSV whose first line names the columns wanted, or the first XMP file of the software; or None."""
    for path in sorted(folder.glob("*.csv")):
        with path.open("rb") as file:
            head = file.read(1024).decode("utf-8-sig", errors="replace").splitlines()
        if head and set(COLUMNS) <= {word.strip().lower() for word in head[0].split(",")}:
            return path
    for place in (folder / name for name in IMAGE_FOLDERS):
        for path in sorted(place.glob("*.xmp")) if place.is_dir() else []:
            with path.open("rb") as file:
                if b"capturingreality.com" in file.read(4096):
                    return path
    return None


def read_reality_capture(folder: Path) -> Capture:
    """The cameras in their own world. Raises RequestError, which names file and line."""
    path = find_reality_capture(folder)
    assert path is not None
    return _from_csv(folder, path) if path.suffix.lower() == ".csv" else _from_xmp(folder, path)


def _from_csv(folder: Path, path: Path) -> Capture:
    try:
        text = file_bytes(path).decode("utf-8-sig")
        header, *rows = [row for row in csv.reader(text.splitlines()) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise unreadable(path, str(error)) from None
    keys = [key.strip().lower().lstrip("#") for key in header]
    cameras: dict[str, dict[str, float]] = {}
    for line, row in enumerate(rows, 2):
        where = f"{path}: line {line}"
        if len(row) != len(keys) or not row[0].strip():
            raise unreadable(path, f"line {line} has {len(row)} columns; expected {len(keys)}")
        values = {
            key: numbers(word, (1,), key, where)[0]
            for key, word in zip(keys[1:], row[1:])
            if key in (*COLUMNS, "k1", "k2", "k3", "k4", "t1", "t2")
        }
        if row[0] in cameras:
            raise RequestError(f"{where}: {row[0]} is named twice", hint="keep one line each", code="frame-repeated")
        cameras[row[0]] = values
    if not cameras:
        raise RequestError(f"{path}: it lists no cameras", hint="export the registration again", code="no-frames")
    pairs = pair(folder, list(cameras), path)
    images = []
    for name, values in cameras.items():
        if name in pairs.images:
            where = f"{path}: {name}"
            turn = _turn(*(values[key] for key in ("heading", "pitch", "roll")))
            position = [values[key] for key in ("x", "y", "alt")]
            pose = rigid_pose(np.column_stack([turn, position]), where)
            lens = _lens(
                pairs.images[name],
                values["f"] / FRAME,
                (values["px"] / FRAME, values["py"] / FRAME),
                [values.get(key, 0.0) for key in ("k1", "k2", "k3", "k4", "t1", "t2")],
                where,
            )
            images.append(PosedImage(name, pairs.images[name], pairs.masks.get(name), pose, lens))
    return Capture(tuple(images), pairs.warnings)


def _from_xmp(folder: Path, first: Path) -> Capture:
    files = {path.stem: path for path in sorted(first.parent.glob("*.xmp"))}
    pairs = pair(folder, list(files), first)
    images, adrift = [], []
    for name, path in files.items():
        if name not in pairs.images:
            continue
        given = _xmp(path)
        if "Rotation" not in given or "Position" not in given:
            adrift.append(path.name)
            continue
        where = str(path)
        if given.get("DistortionModel", "brown3").lower() not in STRAIGHT_MODELS:
            raise RequestError(
                f"{where}: the distortion model {given['DistortionModel']} is not known; expected one of {', '.join(STRAIGHT_MODELS)}",
                hint="choose Brown3 in RealityCapture's alignment settings and export again, or export undistorted images",
                code="camera-model",
            )
        turn = np.array(numbers(given["Rotation"], (9,), "xcr:Rotation", where)).reshape(3, 3)
        pose = pose_of_opencv(turn.T, np.array(numbers(given["Position"], (3,), "xcr:Position", where)), where)
        focal, across, down = (
            numbers(given.get(key, default), (1,), f"xcr:{key}", where)[0]
            for key, default in (("FocalLength35mm", ""), ("PrincipalPointU", "0"), ("PrincipalPointV", "0"))
        )
        bend = numbers(given.get("DistortionCoeficients", "0 0 0 0 0 0"), (6,), "xcr:DistortionCoeficients", where)
        lens = _lens(pairs.images[name], focal / FRAME, (across, down), bend, where)
        images.append(PosedImage(name, pairs.images[name], pairs.masks.get(name), pose, lens))
    if not images:
        raise RequestError(
            f"{first}: none of the {len(files)} XMP files has a pose",
            hint="export them after the alignment",
            code="no-frames",
        )
    warnings = [f"XMP files without a pose, their images are left out: {listed(adrift)}"] if adrift else []
    return Capture(tuple(images), (*warnings, *pairs.warnings))


def _xmp(path: Path) -> Mapping[str, str]:
    """What the file says of the camera, by name: attributes and elements alike."""
    given = {}
    for element in read_xml(path).iter():
        for key, value in element.attrib.items():
            if key.startswith(XCR):
                given[key.removeprefix(XCR)] = value
        if element.tag.startswith(XCR) and element.text:
            given[element.tag.removeprefix(XCR)] = element.text
    return given


def _turn(heading: float, pitch: float, roll: float) -> np.ndarray:
    """[3, 3] camera-to-world in the inside's axes (the camera looks down -Z, +Y up in the image)."""
    (cz, sz), (cx, sx), (cy, sy) = ((math.cos(a), math.sin(a)) for a in map(math.radians, (-heading, pitch, roll)))
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    return about_z @ about_x @ about_y


def _lens(image: Path, focal: float, principal: tuple[float, float], bend: Sequence[float], where: str) -> Lens:
    """`focal` and `principal` as parts of the longer side, which the image itself tells; `bend` is k1 to k4, t1, t2."""
    size = picture_size(image)
    if size is None or not focal > 0:
        what = f"the focal length is {focal * FRAME:g} mm" if size else f"{image} cannot be read"
        raise RequestError(f"{where}: {what}", hint="export the registration again", code="camera-invalid")
    longer = max(size)
    k1, k2, k3, k4, t1, t2 = bend
    return Lens(
        focal=(focal * longer, focal * longer),
        centre=(0.5 * size[0] + principal[0] * longer, 0.5 * size[1] + principal[1] * longer),
        size=size,
        distortion=Distortion(radial=(k1, k2, k3, k4), tangential=(t1, t2)),
    )
