"""A folder of solved photographs, as `reconstruct` reads it: sparse/0, images/, masks/, poses.json."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
from PIL import Image

from backend.capture.photographs import Photograph
from backend.capture.verdict import Verdict
from backend.contract import RequestError, write_json
from backend.dataset.colmap import read_colmap
from backend.dataset.orient import box_of
from backend.dataset.picture_file import read_picture

FILE = "poses.json"
_QUALITY = 98  # of JPEGs that are turned upright
_FORMAT = 1


def refuse_taken(output: Path) -> None:
    """Raise RequestError unless `output` can be made: it is not there, or an empty folder."""
    if output.is_file():
        raise RequestError(f"{output} is a file; expected a folder for the result", code="output-not-a-folder")
    if output.is_dir() and any(output.iterdir()):
        what = "holds solved cameras already" if (output / FILE).is_file() else "is not empty"
        raise RequestError(
            f"{output} {what}",
            hint="Give a new or empty folder with -o; nothing in this one was touched.",
            code="output-not-empty",
        )


def write_folder(
    output: Path,
    staging: Path,
    photographs: Mapping[str, Photograph],
    model: Path,
    verdict: Verdict,
    figures: Mapping[str, Any],
) -> dict[str, Any]:
    """Gather the result in `staging` (on the disk of `output`), then make it `output` in one step; what poses.json holds.

    Photographs are linked where the disk can (they take no room), else copied; those with an EXIF orientation are turned upright, as they
    were solved. Only photographs with a camera are there.
    """
    shutil.rmtree(staging, ignore_errors=True)
    shutil.copytree(model, staging / "sparse" / "0")
    views = {name.removesuffix(".png"): view for name, view in figures["views"].items()}
    (staging / "images").mkdir()
    for name in views:
        photograph = photographs[name]
        _place(photograph.file, staging / "images" / name, photograph.turned)
        if photograph.mask is not None:
            (staging / "masks").mkdir(exist_ok=True)
            mask = staging / "masks" / f"{Path(name).stem}{photograph.mask.suffix}"
            _place(photograph.mask, mask, read_picture(photograph.mask).orientation != 1)
    capture = read_colmap(staging)
    box = None
    if capture.points is not None and len(capture.points):
        box = box_of(capture.points, [image.camera_to_world for image in capture.images])
    figures = {
        "format": _FORMAT,
        **{key: figures[key] for key in ("registered", "error", "points", "track", "angle", "still", "models")},
        "photographs": len(photographs),
        **asdict(verdict),
        "box": None if box is None else [round(float(value), 6) for corner in box for value in corner],
        "views": views,
    }
    write_json(staging / FILE, figures)
    if output.is_dir():
        output.rmdir()  # empty, as was seen before; a rename over it is refused on Windows
    staging.rename(output)
    return figures


def _place(file: Path, target: Path, turned: bool) -> None:
    """The picture under another path; a `turned` one is written anew, upright."""
    if not turned:
        with contextlib.suppress(OSError):
            os.link(file.resolve(), target)
            return
        shutil.copyfile(file, target)
        return
    with Image.open(file) as before:
        profile = before.info.get("icc_profile", b"")
    values = read_picture(file).upright().values
    imageio.imwrite(target, np.squeeze(values), extension=".jpg", quality=_QUALITY, subsampling=0, icc_profile=profile)
