"""Middlebury's multi-view sets: `<set>_par.txt`.

The number of images, then a line for each: its name, K by rows (9 numbers), R by rows (9), t (3); K (R x + t) is the pixel, x to the right
and y down, whole numbers at the pixels' centres.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from backend.contract import RequestError
from backend.dataset.array_file import file_bytes, unreadable
from backend.dataset.orient import upright
from backend.dataset.pairing import pair
from backend.dataset.posed import Capture, PosedImage, listed, pose_of_opencv
from backend.dataset.projection import lens_of_matrix


def find_middlebury(folder: Path) -> Path | None:
    """The file this module reads, or None."""
    return next(iter(sorted(folder.glob("*_par.txt"))), None)


def read_middlebury(folder: Path) -> Capture:
    """The cameras of `*_par.txt`, turned Z up and recentred. Raises RequestError, which names file and line."""
    path = find_middlebury(folder)
    assert path is not None
    try:
        text = file_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise unreadable(path, f"no text at byte {error.start}") from None
    first, *rows = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    if not first.isascii() or not first.isdigit() or int(first) != len(rows) or not rows:
        raise unreadable(
            path, f"its first line is '{first[:40]}', {len(rows)} lines follow; expected the number of images first"
        )
    cameras: dict[str, list[tuple[int, np.ndarray]]] = {}
    for number, row in enumerate(rows, 2):
        name, *words = row.rsplit(maxsplit=21)
        try:
            values = np.array([float(word) for word in words])
        except ValueError:
            values = np.zeros(0)
        if len(values) != 21:
            raise unreadable(path, f"line {number}: '{row[:60]}'; expected a name and 21 numbers")
        cameras.setdefault(name, []).append((number, values))
    repeated = [name for name, lines in cameras.items() if len(lines) > 1]
    if repeated:
        raise RequestError(
            f"{path}: images named twice: {listed(repeated)}", hint="keep one line each", code="frame-repeated"
        )
    pairs = pair(folder, list(cameras), path)
    images = []
    for name, [(number, values)] in cameras.items():
        if name in pairs.images:
            where = f"{path}: line {number}"
            turn, shift = values[9:18].reshape(3, 3), values[18:]
            pose = pose_of_opencv(turn.T, -turn.T @ shift, where)
            lens = lens_of_matrix(values[:9].reshape(3, 3), None, where)
            images.append(PosedImage(name, pairs.images[name], pairs.masks.get(name), pose, lens))
    return upright(Capture(tuple(images), pairs.warnings))
