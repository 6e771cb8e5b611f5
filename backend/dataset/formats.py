"""The formats of posed images: which of them a folder holds, and their readers."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from backend.contract import CAMERA_FILES, RequestError
from backend.dataset.colmap import find_colmap, read_colmap
from backend.dataset.llff import find_llff, read_llff
from backend.dataset.meshroom import find_meshroom, read_meshroom
from backend.dataset.metashape import find_metashape, read_metashape
from backend.dataset.middlebury import find_middlebury, read_middlebury
from backend.dataset.neus import find_neus, read_neus
from backend.dataset.pairing import IMAGE_FOLDERS, pictures
from backend.dataset.posed import Capture
from backend.dataset.reality_capture import find_reality_capture, read_reality_capture
from backend.dataset.transforms import find_transforms, read_transforms


@dataclass(frozen=True)
class Format:
    """One kind of camera file.

    Attributes:
        name: whose it is.
        files: what is looked for, in words.
        find: folder -> the file that decides, or None.
        read: folder -> what it says. Raises RequestError.
    """

    name: str
    files: str
    find: Callable[[Path], Path | None]
    read: Callable[[Path], Capture]


def _transforms(folder: Path) -> Capture:
    posed, warnings = read_transforms(folder)
    return Capture(tuple(posed), tuple(warnings))


_READERS = (
    (find_transforms, _transforms),
    (find_meshroom, read_meshroom),
    (find_metashape, read_metashape),
    (find_reality_capture, read_reality_capture),
    (find_neus, read_neus),
    (find_colmap, read_colmap),
    (find_llff, read_llff),
    (find_middlebury, read_middlebury),
)
FORMATS = tuple(Format(kind.name, kind.files, *reader) for kind, reader in zip(CAMERA_FILES, _READERS, strict=True))


def read_capture(folder: Path) -> Capture:
    """The posed images of a folder in the first of `FORMATS` that it holds; other camera files in it are warned of.

    Raises RequestError: source-missing, source-unknown (it lists all formats), or what is wrong with the file.
    """
    if not folder.is_dir():
        raise RequestError(
            f"{folder}: no such folder",
            hint="give the folder that holds the camera file and its images",
            code="source-missing",
        )
    found = [(form, path) for form in FORMATS if (path := form.find(folder)) is not None]
    if not found:
        known = "; ".join(f"{form.files} ({form.name})" for form in FORMATS)
        raise RequestError(
            f"{folder}: no posed images found; looked for {known}",
            hint=_how_to_get_cameras(folder),
            code="source-unknown",
        )
    (form, path), *others = found
    capture = form.read(folder)
    if not others:
        return capture
    unread = ", ".join(str(other.relative_to(folder)) for _, other in others)
    note = f"the cameras are taken from {path.relative_to(folder)}; also there and not read: {unread}"
    return replace(capture, warnings=(*capture.warnings, note))


def _how_to_get_cameras(folder: Path) -> str:
    if any(pictures(folder / name) for name in IMAGE_FOLDERS):
        return (
            f"these are photographs without cameras: `python -m backend poses {shlex.quote(str(folder))}` solves them"
        )
    return (
        "export views from Blender, or solve the cameras of photographs with `python -m backend poses`, COLMAP, Meshroom, Metashape, "
        "RealityCapture or nerfstudio"
    )
