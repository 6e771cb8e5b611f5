"""LLFF's `poses_bounds.npy`, as NeRF's forward-facing scenes and NeRD's captures have it.

A row an image: a 3x5 matrix by rows, then the nearest and the furthest depth. Its columns are the camera's axes down, right and back in the
world, its position, and (height, width, focal length in pixels) of the photograph the camera was solved for. The principal point is the
middle of the image. The file has no names: row i belongs to the i-th photograph in the order of their names.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from backend.contract import RequestError
from backend.dataset.array_file import read_npy
from backend.dataset.orient import upright
from backend.dataset.pairing import IMAGE_FOLDERS, pair, pictures
from backend.dataset.posed import Capture, Lens, PosedImage, listed, rigid_pose

FILE = "poses_bounds.npy"
LIST = "view_imgs.txt"  # the names of the rows, where the solver wrote them down


def find_llff(folder: Path) -> Path | None:
    """The file this module reads, or None."""
    return folder / FILE if (folder / FILE).is_file() else None


def read_llff(folder: Path) -> Capture:
    """The cameras of `poses_bounds.npy` in a world turned Z up, recentred. Raises RequestError, which names file and row."""
    path = folder / FILE
    rows = read_npy(path)
    if rows.ndim != 2 or rows.shape[1] not in (15, 17) or not len(rows):
        raise RequestError(
            f"{path}: an array of shape {list(rows.shape)}; expected 17 numbers for each image",
            hint="this is not the poses_bounds.npy of LLFF: make it again (imgs2poses.py)",
            code="source-unreadable",
        )
    names, warnings = _names(folder, len(rows))
    pairs = pair(folder, names, path)
    images = []
    for name, row in zip(names, rows):
        if name in pairs.images:
            pose, lens = _camera(row, f"{path}: image {name}")
            images.append(PosedImage(name, pairs.images[name], pairs.masks.get(name), pose, lens))
    return upright(Capture(tuple(images), (*warnings, *pairs.warnings)))


def _camera(row: np.ndarray, where: str) -> tuple[np.ndarray, Lens]:
    matrix = row[:15].reshape(3, 5)
    height, width, focal = matrix[:, 4].tolist()
    if not (np.isfinite(matrix[:, 4]).all() and 1 <= width < 1e6 and 1 <= height < 1e6 and focal > 0):
        raise RequestError(
            f"{where}: height {height:g}, width {width:g}, focal length {focal:g} make no camera",
            hint="solve the cameras again",
            code="camera-invalid",
        )
    down, right, back, position = matrix[:, :4].T
    pose = rigid_pose(np.stack([right, -down, back, position], axis=1), where)
    return pose, Lens(focal=(focal, focal), size=(round(width), round(height)))


def _names(folder: Path, count: int) -> tuple[list[str], list[str]]:
    """The photograph of each row, and warnings."""
    place = next((folder / name for name in IMAGE_FOLDERS if pictures(folder / name)), None)
    photographs = [file.name for file in pictures(place)] if place else []
    listing = folder / LIST
    if listing.is_file():
        names = [
            line.strip() for line in listing.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()
        ]
        if len(names) == count and len(set(names)) == count:
            return names, []
        raise RequestError(
            f"{listing}: {len(names)} names, {FILE} has {count} rows; expected a name for each row",
            hint="take the file away to pair by the order of names, or make it again",
            code="image-count",
        )
    if len(photographs) == count:
        return photographs, []
    # photographs that were taken away or added leave a gap only their numbers show
    stems = [re.fullmatch(r"\D*(\d+)", Path(name).stem) for name in photographs]
    numbers = [int(match[1]) for match in stems if match]
    if len(photographs) < count and len(numbers) == len(photographs) > 1:
        first = next((start for start in (0, 1) if start <= min(numbers) and max(numbers) < count + start), None)
        if first is not None and len(set(numbers)) == len(numbers):
            rows = {number - first: name for number, name in zip(numbers, photographs)}
            if 0 in rows and count - 1 in rows:
                names = [rows.get(row, f"(the photograph of row {row})") for row in range(count)]
                return names, [
                    f"{FILE} has {count} rows for {len(photographs)} photographs; paired by the numbers in their names"
                ]
    raise RequestError(
        f"{folder / FILE}: {count} rows for {len(photographs)} photographs ({listed(photographs) or 'none'}); the file has no names: which "
        "belongs to which is not known",
        hint=f"keep in images/ just the photographs it was made from, or name them in {LIST}, one a line in the order of the rows",
        code="image-count",
    )
