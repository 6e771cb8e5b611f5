"""`cameras_sphere.npz`, as IDR, NeuS and their successors prepare DTU, BlendedMVS and own captures.

`world_mat_i` projects the world to pixels of image i whose centres are whole numbers; `scale_mat_i` takes the unit sphere around the object
to the world. The i-th photograph in the order of names is image i.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from backend.contract import RequestError
from backend.dataset.array_file import read_npz
from backend.dataset.orient import upright
from backend.dataset.pairing import IMAGE_FOLDERS, pair, pictures
from backend.dataset.posed import Capture, PosedImage, listed
from backend.dataset.projection import decomposed, lens_of_matrix

FILES = ("cameras_sphere.npz", "cameras.npz", "cameras_large.npz")


def find_neus(folder: Path) -> Path | None:
    """The file this module reads, or None."""
    return next((folder / name for name in FILES if (folder / name).is_file()), None)


def read_neus(folder: Path) -> Capture:
    """The cameras in the coordinates of the object's unit sphere, turned Z up. Raises RequestError, which names file and matrix."""
    path = find_neus(folder)
    assert path is not None
    matrices = read_npz(path)
    numbers = sorted(int(match[1]) for key in matrices if (match := re.fullmatch(r"world_mat_(\d{1,6})", key)))
    if not numbers:
        raise RequestError(
            f"{path}: it holds no world_mat_0, world_mat_1, ...; it has {listed(sorted(matrices)) or 'nothing'}",
            hint="this is not the camera file of IDR or NeuS: make it again",
            code="no-frames",
        )
    names, warnings = _names(folder, path, numbers)
    pairs = pair(folder, list(names.values()), path)
    images, sphere = [], None
    for number, name in names.items():
        if name not in pairs.images:
            continue
        where = f"{path}: world_mat_{number}"
        world = _matrix(matrices, f"world_mat_{number}", path)
        scale = _matrix(matrices, f"scale_mat_{number}", path) if f"scale_mat_{number}" in matrices else np.eye(4)
        sphere = scale if sphere is None else sphere
        if not np.allclose(scale, sphere, rtol=1e-4, atol=1e-6 * np.abs(sphere).max()):
            raise RequestError(
                f"{path}: scale_mat_{number} differs from the first; expected one sphere for all images",
                hint="prepare the cameras again",
                code="pose-invalid",
            )
        K, pose = decomposed((world @ scale)[:3], where)
        images.append(PosedImage(name, pairs.images[name], pairs.masks.get(name), pose, lens_of_matrix(K, None, where)))
    assert sphere is not None
    # the sphere is centred on the object already, so only its direction is wanted
    into_sphere = np.linalg.inv(sphere)
    return upright(Capture(tuple(images), (*warnings, *pairs.warnings), from_source=into_sphere), recentre=False)


def _matrix(matrices: Mapping[str, np.ndarray], name: str, path: Path) -> np.ndarray:
    matrix = matrices[name]
    good = matrix.shape in ((3, 4), (4, 4)) and np.isfinite(matrix).all()
    full = np.vstack([matrix, [0, 0, 0, 1]]) if good and matrix.shape == (3, 4) else matrix
    if not good or (name.startswith("scale") and abs(np.linalg.det(full)) < 1e-18):
        raise RequestError(
            f"{path}: {name} is of shape {list(matrix.shape)}{'' if not good else ' and singular'}; expected 4 x 4 finite numbers",
            hint="the file may be damaged: prepare the cameras again",
            code="pose-invalid",
        )
    return full


def _names(folder: Path, path: Path, numbers: list[int]) -> tuple[dict[int, str], list[str]]:
    """Number -> photograph. The format goes by order; where the counts differ, by the numbers that the names are, or not at all."""
    place = next((folder / name for name in reversed(IMAGE_FOLDERS[:2]) if pictures(folder / name)), folder)
    photographs = [file.name for file in pictures(place)]
    if len(photographs) == len(numbers):
        return dict(zip(numbers, photographs)), []
    stems = {
        int(Path(name).stem): name for name in photographs if Path(name).stem.isascii() and Path(name).stem.isdigit()
    }
    if len(stems) == len(photographs) and any(number in stems for number in numbers):
        names = {number: stems.get(number, f"(the photograph {number})") for number in numbers}
        return names, [
            f"{path.name} has {len(numbers)} cameras for {len(photographs)} photographs; paired by their numbers"
        ]
    raise RequestError(
        f"{path}: {len(numbers)} cameras for {len(photographs)} photographs ({listed(photographs) or 'none'}); the file has no names: "
        "which belongs to which is not known",
        hint="keep in image/ just the photographs it was made from, in the order of their names",
        code="image-count",
    )
