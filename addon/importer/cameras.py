"""The cameras the views were taken with, as Blender cameras: the exporter's formula the other way round."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import bpy
from mathutils import Matrix

from ...backend.contract import RequestError
from . import marks

SENSOR = 36.0  # mm across the image's width


@dataclass(frozen=True)
class StoredCamera:
    """One entry of a result's cameras.json, in pixels; `pose` is camera to world, in the scene's units."""

    name: str  # without folder and suffix
    view: str  # the whole of it, unlike any other of the result
    split: str
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    pose: Matrix


def read(path: Path) -> list[StoredCamera]:
    """All cameras of a cameras.json; RequestError where it cannot be used."""
    try:
        cameras = [
            StoredCamera(
                name=Path(entry["name"]).stem,
                view=str(entry["name"]),
                split=entry["split"],
                width=int(entry["width"]),
                height=int(entry["height"]),
                fx=float(entry["fx"]),
                fy=float(entry["fy"]),
                cx=float(entry["cx"]),
                cy=float(entry["cy"]),
                pose=Matrix(entry["camera_to_world"]),
            )
            for entry in json.loads(path.read_text(encoding="utf-8"))["cameras"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{path} cannot be read as cameras: {error!r}", code="result-unreadable") from error
    for one in cameras:
        numbers = (one.fx, one.fy, one.cx, one.cy, *(value for row in one.pose for value in row))
        if (
            min(one.width, one.height, one.fx, one.fy) <= 0
            or not all(map(math.isfinite, numbers))
            or len(one.pose) != 4
        ):
            raise RequestError(
                f"{path}: camera {one.view!r} has width {one.width}, height {one.height}, fx {one.fx:g}, fy {one.fy:g} and the pose "
                f"{[list(row) for row in one.pose]}; expected sizes above zero and 4 x 4 finite numbers",
                code="result-unreadable",
            )
    return cameras


def place(group: bpy.types.Collection, stored: list[StoredCamera]) -> None:
    """Make `group` hold these cameras: those it has are moved, new ones are added, and those of views that are gone are removed."""
    present = {thing[marks.VIEW]: thing for thing in group.objects if thing.get(marks.VIEW) is not None}
    for one in stored:
        thing = present.pop(one.view, None)
        if thing is None:
            thing = bpy.data.objects.new(one.name, bpy.data.cameras.new(one.name))
            thing[marks.VIEW] = one.view
            group.objects.link(thing)
        adjust(thing, one)
    for thing in present.values():
        data = thing.data
        bpy.data.objects.remove(thing)
        if data.users == 0:
            bpy.data.cameras.remove(data)


def adjust(thing: bpy.types.Object, stored: StoredCamera) -> None:
    """Give a camera the stored lens and pose. With the render's size and `pixel_aspect` it sees what the view saw."""
    data = thing.data
    data.sensor_fit, data.sensor_width = "HORIZONTAL", SENSOR
    data.lens = stored.fx / stored.width * SENSOR
    data.shift_x = (stored.width / 2 - stored.cx) / stored.width
    data.shift_y = (stored.cy - stored.height / 2) / stored.width * stored.fx / stored.fy
    thing.matrix_world = stored.pose


def pixel_aspect(stored: StoredCamera) -> tuple[float, float]:
    """(x, y) for the render settings; Blender wants neither below 1."""
    ratio = stored.fy / stored.fx  # fy = fx * ax / ay
    return (ratio, 1.0) if ratio >= 1.0 else (1.0, 1.0 / ratio)
