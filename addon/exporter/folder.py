"""What a folder of posed photographs holds, in words; cheap enough to be drawn. The backend reads it and judges for good. No bpy."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from ...backend.contract import CAMERA_FILES, CameraFiles

SUFFIXES = {".png", ".jpg", ".jpeg", ".exr", ".tif", ".tiff", ".webp", ".bmp", ".hdr"}  # of photographs
PLAIN = {".jpg", ".jpeg", ".bmp", ".hdr"}  # that have no alpha
_HEAD = 4096  # bytes in which a file says whose it is
_LOOKED_AT = 20  # files of a pattern, and photographs, that are looked at


def messages(folder: Path) -> Iterator[str]:
    """Whose cameras were found, or what to add; and what is wrong with the photographs."""
    if not folder.is_dir():
        yield f"The folder {folder} is not there"
        return
    found = [(kind, file) for kind in CAMERA_FILES if (file := _mark(folder, kind)) is not None]
    if not found:
        yield f"No cameras in {folder.name}; expected one of:"
        yield from (f"{kind.files} ({kind.name})" for kind in CAMERA_FILES)
        return
    (kind, file), *others = found
    yield f"Found: {file.relative_to(folder).as_posix()}, cameras of {kind.name}"
    if others:
        names = ", ".join(other.relative_to(folder).as_posix() for _, other in others)
        yield f"Not read, for the first counts: {names}"
    if kind is CAMERA_FILES[0]:
        return  # it names its images, wherever they are
    photographs = _photographs(folder)
    if not photographs:
        yield f"No photographs in {folder.name}, images or image"
    elif PLAIN.issuperset(photograph.suffix.lower() for photograph in photographs) and not _has_masks(folder):
        yield "Photographs of a kind without alpha need masks, in masks/ beside them"


def _mark(folder: Path, kind: CameraFiles) -> Path | None:
    """The first file that tells this kind of camera files."""
    for pattern, says in kind.marks:
        for file in islice(sorted(folder.glob(pattern)), _LOOKED_AT):
            if file.is_file() and says.lower() in _head(file).lower():
                return file
    return None


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_HEAD)
    except OSError:
        return b""


def _photographs(folder: Path) -> list[Path]:
    """The first few photographs of the folder that the backend takes them from."""
    for place in (folder / "images", folder / "image", folder):
        files = place.iterdir() if place.is_dir() else iter(())
        if found := list(islice((file for file in files if file.suffix.lower() in SUFFIXES), _LOOKED_AT)):
            return found
    return []


def _has_masks(folder: Path) -> bool:
    return any((folder / name).is_dir() for name in ("masks", "mask"))
