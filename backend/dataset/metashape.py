"""Metashape's cameras (File, Export, Export Cameras, Agisoft XML).

Camera-to-chunk matrices by rows in OpenCV's axes; the chunk's (or component's) rotation, translation and scale lead on to the world, which
has Z up where there is one. Pixels count from the corner of the first one; cx and cy from the middle of the image. With x, y the pinhole's
image and r its radius (the manual's appendix "Camera models"):
x' = x (1 + K1 r^2 + K2 r^4 + K3 r^6 + K4 r^8) + P1 (r^2 + 2 x^2) + 2 P2 x y, y' = y (...) + P2 (r^2 + 2 y^2) + 2 P1 x y,
u = w / 2 + cx + x' f + x' B1 + y' B2, v = h / 2 + cy + y' f.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from backend.contract import RequestError
from backend.dataset.distortion import Distortion
from backend.dataset.orient import upright
from backend.dataset.pairing import pair
from backend.dataset.posed import Capture, Lens, PosedImage, listed, pose_of_opencv
from backend.dataset.xml_file import numbers, read_xml

UNKNOWN = ("p3", "p4")  # a nought in all but odd files


def find_metashape(folder: Path) -> Path | None:
    """The first XML file whose head is that of a Metashape export, or None."""
    for path in sorted(folder.glob("*.xml")):
        with path.open("rb") as file:
            head = file.read(4096)
        if b"<document" in head and b"<chunk" in head:
            return path
    return None


def read_metashape(folder: Path) -> Capture:
    """The aligned cameras of the first chunk. Without a chunk transform the world is turned Z up and recentred."""
    path = find_metashape(folder)
    assert path is not None
    chunk = read_xml(path).find("chunk")
    sensors = {} if chunk is None else {each.get("id", ""): each for each in chunk.iterfind("sensors/sensor")}
    cameras = (
        []
        if chunk is None
        else [each for each in chunk.iter("camera") if each.get("enabled", "true") not in ("false", "0")]
    )
    aligned = {each.get("label", ""): each for each in cameras if each.find("transform") is not None}
    adrift = [each.get("label", "") for each in cameras if each.find("transform") is None]
    if chunk is None or not aligned:
        raise RequestError(
            f"{path}: it has {len(cameras)} cameras, none of them aligned",
            hint="align the photographs in Metashape, then export the cameras as Agisoft XML",
            code="no-frames",
        )
    if len(aligned) + len(adrift) != len(cameras):
        raise RequestError(
            f"{path}: cameras of one label", hint="give each camera a label of its own", code="frame-repeated"
        )
    worlds = {
        each.get("id", ""): _world(each.find("transform"), path) for each in chunk.iterfind("components/component")
    }
    whole = _world(chunk.find("transform"), path)
    pairs = pair(folder, list(aligned), path)
    lenses: dict[str, Lens] = {}
    images = []
    known = False
    parts = {each.get("component_id", "") for each in aligned.values()}
    if len(parts) > 1:
        raise RequestError(
            f"{path}: the cameras fall into {len(parts)} components, which do not share a world",
            hint="align the chunk as a whole, or export one component",
            code="pose-invalid",
        )
    for label, camera in aligned.items():
        if label not in pairs.images:
            continue
        where, number = f"{path}: camera {label}", camera.get("sensor_id", "")
        if number not in sensors:
            raise RequestError(
                f"{where}: its sensor '{number}' is not in the file",
                hint="export the cameras again",
                code="camera-invalid",
            )
        lenses.setdefault(number, _lens(sensors[number], where))
        local = np.array(numbers(camera.findtext("transform"), (16,), "transform", where)).reshape(4, 4)
        world = worlds.get(camera.get("component_id", "")) if whole is None else whole
        known = known or world is not None
        turn, scale, shift = world or (np.eye(3), 1.0, np.zeros(3))
        pose = pose_of_opencv(turn @ local[:3, :3], scale * turn @ local[:3, 3] + shift, where)
        images.append(PosedImage(label, pairs.images[label], pairs.masks.get(label), pose, lenses[number]))
    warnings = [f"cameras that {path.name} has no alignment for are left out: {listed(adrift)}"] if adrift else []
    capture = Capture(tuple(images), (*warnings, *pairs.warnings))
    if not known:
        return upright(capture)
    (turn, scale, shift) = next(world for world in (whole, *worlds.values()) if world is not None)
    motion = np.eye(4)
    motion[:3, :3], motion[:3, 3] = scale * turn, shift
    return Capture(capture.images, capture.warnings, from_source=motion)


def _world(transform: Element | None, path: Path) -> tuple[np.ndarray, float, np.ndarray] | None:
    """Rotation, scale and translation from chunk to world; None where the chunk has none."""
    if transform is None or transform.find("rotation") is None:
        return None
    where = f"{path}: transform"
    turn = np.array(numbers(transform.findtext("rotation"), (9,), "rotation", where)).reshape(3, 3)
    shift = np.array(numbers(transform.findtext("translation"), (3,), "translation", where))
    (scale,) = numbers(transform.findtext("scale") or "1", (1,), "scale", where)
    if scale <= 0:
        raise RequestError(f"{where}: the scale is {scale:g}", hint="expected a number above 0", code="pose-invalid")
    return turn, scale, shift


def _lens(sensor: Element, where: str) -> Lens:
    calibrations = {each.get("class", ""): each for each in sensor.iterfind("calibration")}
    calibration = calibrations.get("adjusted", calibrations.get("initial", next(iter(calibrations.values()), None)))
    size = sensor.find("resolution") if calibration is None else calibration.find("resolution")
    if size is None:
        size = sensor.find("resolution")
    if calibration is None or size is None:
        raise RequestError(
            f"{where}: its sensor has no calibration", hint="align the photographs, then export", code="camera-invalid"
        )
    given = {
        each.tag: numbers(each.text, (1,), each.tag, where)[0]
        for each in calibration
        if each.tag != "resolution" and len(each) == 0
    }
    width, height = (numbers(size.get(key), (1,), key, where)[0] for key in ("width", "height"))
    model = calibration.get("type", sensor.get("type", "frame"))
    odd = [key for key in UNKNOWN if given.get(key)]
    if model not in ("frame", "fisheye", "equidistant_fisheye") or odd:
        raise RequestError(
            f"{where}: the camera type {model}{' with ' + ' and '.join(odd) if odd else ''} is not known; expected frame or fisheye",
            hint="undistort the photographs in Metashape (Export, Undistort Photos) and export their cameras",
            code="camera-model",
        )
    focal = given.get("f", given.get("fx", 0.0))
    focal_y = given.get("f", given.get("fy", focal))
    if not (1 <= width < 1e6 and 1 <= height < 1e6 and focal > 0 and focal_y > 0):
        raise RequestError(
            f"{where}: {width:g} x {height:g} pixels and a focal length of {focal:g} make no camera",
            hint="align the photographs, then export",
            code="camera-invalid",
        )
    return _assembled(given, (round(width), round(height)), (focal, focal_y), model != "frame")


def _assembled(given: Mapping[str, float], size: tuple[int, int], focal: tuple[float, float], fisheye: bool) -> Lens:
    k1, k2, k3, k4, p1, p2 = (given.get(key, 0.0) for key in ("k1", "k2", "k3", "k4", "p1", "p2"))
    across = focal[0] + given.get("b1", 0.0)
    # before 1.0 the file's cx and cy counted from the corner and came with fx and fy
    cx, cy = (given.get(key, 0.0) + (0.0 if "fx" in given else 0.5 * side) for key, side in zip(("cx", "cy"), size))
    return Lens(
        focal=(across, focal[1]),
        centre=(cx, cy),
        size=size,
        distortion=Distortion(
            projection="fisheye" if fisheye else "pinhole",
            radial=(k1, k2, k3, k4),
            tangential=(p2, p1),  # this manual's P1 is OpenCV's p2
            skew=given.get("b2", 0.0) / across,
        ),
    )
