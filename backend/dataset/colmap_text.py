"""COLMAP's text models: cameras.txt, images.txt, points3D.txt."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.contract import RequestError
from backend.dataset.array_file import file_bytes, unreadable
from backend.dataset.colmap_lens import MODELS, NUMBERS, colmap_lens, unknown_model
from backend.dataset.posed import Lens


@dataclass(frozen=True)
class Solved:
    """An image of a model: world-to-camera as a quaternion (w, x, y, z) and a shift, in OpenCV's axes; the number of its camera."""

    name: str
    turn: tuple[float, float, float, float]
    shift: tuple[float, float, float]
    camera: int


def read_cameras_text(path: Path) -> dict[int, Lens]:
    """cameras.txt: CAMERA_ID MODEL WIDTH HEIGHT PARAMETERS... -> number -> lens."""
    lenses = {}
    for row, line in _lines(path):
        if not line:
            continue
        words = line.split()
        where = f"{path}: line {row}"
        if len(words) < 4:
            raise _wrong(where, line, "CAMERA_ID MODEL WIDTH HEIGHT PARAMETERS")
        if words[1] not in NUMBERS:
            raise unknown_model(words[1], where)
        model = NUMBERS[words[1]]
        wanted = MODELS[model][1]
        if len(words) != 4 + len(wanted):
            raise _wrong(where, line, f"{len(wanted)} parameters of {words[1]} ({', '.join(wanted)})")
        number, width, height = (_whole(word, where, line) for word in (words[0], *words[2:4]))
        lenses[number] = colmap_lens(model, width, height, [_number(word, where, line) for word in words[4:]], where)
    return lenses


def read_images_text(path: Path) -> list[Solved]:
    """images.txt: two lines an image, IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME and its 2D points, which may be none."""
    images = []
    lines = _lines(path)
    for row, line in lines:
        if not line:
            continue
        where = f"{path}: line {row}"
        words = line.split(maxsplit=9)  # a name may have spaces
        if len(words) != 10:
            raise _wrong(where, line, "IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME")
        w, x, y, z, *shift = (_number(word, where, line) for word in words[1:8])
        images.append(Solved(words[9], (w, x, y, z), (shift[0], shift[1], shift[2]), _whole(words[8], where, line)))
        points = next(lines, None)
        if points is None:
            raise _wrong(where, line, "a line of its 2D points after it; the file is cut short")
        if len(points[1].split()) % 3:
            raise _wrong(f"{path}: line {points[0]}", points[1], "X Y POINT3D_ID for each 2D point")
    return images


def read_points_text(path: Path) -> np.ndarray:
    """points3D.txt: POINT3D_ID X Y Z R G B ERROR TRACK... -> [P, 3] positions."""
    points = []
    for row, line in _lines(path):
        if line:
            where, words = f"{path}: line {row}", line.split(maxsplit=8)
            if len(words) < 8:
                raise _wrong(where, line, "POINT3D_ID X Y Z R G B ERROR")
            points.append([_number(word, where, line) for word in words[1:4]])
    return np.array(points, dtype=np.float64).reshape(-1, 3)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, comments left out, blank ones kept."""
    try:
        text = file_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise unreadable(path, f"no text at byte {error.start}") from None
    for row, line in enumerate(text.split("\n"), 1):
        if not line.startswith("#"):
            yield row, line.strip()


def _number(word: str, where: str, line: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise _wrong(where, line, f"a number instead of {word!r}") from None


def _whole(word: str, where: str, line: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise _wrong(where, line, f"a whole number instead of {word!r}") from None


def _wrong(where: str, line: str, wanted: str) -> RequestError:
    return RequestError(
        f"{where}: '{line[:80]}'; expected {wanted}",
        hint="the file may be cut short or edited: export the model again from COLMAP",
        code="source-unreadable",
    )
