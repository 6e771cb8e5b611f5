"""COLMAP's binary models: cameras.bin, images.bin, points3D.bin, little-endian. Every length is checked before it is believed."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from backend.contract import RequestError
from backend.dataset.array_file import file_bytes
from backend.dataset.colmap_lens import colmap_lens, parameter_count
from backend.dataset.colmap_text import Solved
from backend.dataset.posed import Lens


class _Bytes:
    """A file's bytes from the front; what is not there is refused with its place."""

    def __init__(self, path: Path) -> None:
        self.path, self.data, self.place = path, file_bytes(path), 0

    def take(self, layout: struct.Struct, what: str) -> tuple:
        self._expect(layout.size, what)
        values = layout.unpack_from(self.data, self.place)
        self.place += layout.size
        return values

    def count(self, least: int, what: str) -> int:
        """A number of entries that take `least` bytes each or more."""
        (number,) = self.take(_COUNT, f"the number of {what}")
        self._expect(number * least, f"{number} {what}")
        return number

    def skip(self, size: int, what: str) -> None:
        self._expect(size, what)
        self.place += size

    def text(self, what: str) -> str:
        end = self.data.find(b"\0", self.place)
        if end < 0:
            raise self._short(f"the end of {what}")
        try:
            value = self.data[self.place : end].decode("utf-8")
        except UnicodeDecodeError:
            raise _damaged(self.path, f"at byte {self.place}, {what} is no text") from None
        self.place = end + 1
        return value

    def end(self) -> None:
        if self.place != len(self.data):
            raise _damaged(self.path, f"{len(self.data) - self.place} bytes are left over after the last entry")

    def _expect(self, size: int, what: str) -> None:
        if self.place + size > len(self.data):
            raise self._short(what)

    def _short(self, what: str) -> RequestError:
        return _damaged(self.path, f"it ends after {len(self.data)} bytes; expected {what} at byte {self.place}")


_COUNT = struct.Struct("<Q")
_CAMERA = struct.Struct("<iiQQ")
_IMAGE = struct.Struct("<I7dI")
_POINT = struct.Struct("<Q3d3Bd")
_SEEN, _TRACK = 24, 8  # bytes of a 2D point (x, y, 3D point) and of a track's entry (image, 2D point)


def read_cameras_binary(path: Path) -> dict[int, Lens]:
    """cameras.bin: number -> lens."""
    content, lenses = _Bytes(path), {}
    for _ in range(content.count(_CAMERA.size, "cameras")):
        number, model, width, height = content.take(_CAMERA, "a camera")
        where = f"{path}: camera {number}"
        values = content.take(struct.Struct(f"<{parameter_count(model, where)}d"), f"the parameters of camera {number}")
        lenses[number] = colmap_lens(model, width, height, values, where)
    content.end()
    return lenses


def read_images_binary(path: Path) -> list[Solved]:
    """images.bin: what was solved of each image."""
    content, images = _Bytes(path), []
    for _ in range(content.count(_IMAGE.size + 1 + _COUNT.size, "images")):
        values = content.take(_IMAGE, "an image")
        name = content.text("an image's name")
        content.skip(_SEEN * content.count(_SEEN, f"points in {name}"), f"the points in {name}")
        images.append(Solved(name, values[1:5], values[5:8], values[8]))
    content.end()
    return images


def read_points_binary(path: Path) -> np.ndarray:
    """points3D.bin: [P, 3] positions."""
    content, points = _Bytes(path), []
    for _ in range(content.count(_POINT.size + _COUNT.size, "points")):
        values = content.take(_POINT, "a point")
        content.skip(_TRACK * content.count(_TRACK, "images of a point"), "a point's track")
        points.append(values[1:4])
    content.end()
    return np.array(points, dtype=np.float64).reshape(-1, 3)


def _damaged(path: Path, reason: str) -> RequestError:
    return RequestError(
        f"{path}: the file is damaged: {reason}",
        hint="it may be cut short: copy it again, or export the model again from COLMAP",
        code="source-unreadable",
    )
