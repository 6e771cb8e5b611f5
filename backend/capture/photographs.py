"""A folder of photographs whose cameras nobody knows: which files it holds, what their heads say, and which lens each was taken through."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from backend.contract import RequestError
from backend.dataset.pairing import IMAGE_FOLDERS, MASK_ENDINGS, mask_beside, pictures
from backend.dataset.picture_file import IMAGE_SUFFIXES, picture_size
from backend.dataset.posed import listed

LEAST = 3  # photographs; two show a surface, but say nothing that a third could contradict
UNREAD = (".heic", ".heif", ".tif", ".tiff", ".webp", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2")
_FILM = math.hypot(36.0, 24.0)  # mm; what focal lengths "of 35 mm film" refer to
_MAKE, _MODEL, _ORIENTATION, _EXIF = 0x010F, 0x0110, 0x0112, 0x8769  # EXIF 2.32, tables 4 and 8
_FOCAL, _FOCAL_35, _PLANE_X, _PLANE_UNIT = 0x920A, 0xA405, 0xA20E, 0xA210
_PLANE_MM = {2: 25.4, 3: 10.0, 4: 1.0}


@dataclass(frozen=True)
class Photograph:
    """A picture that is to get a camera.

    Attributes:
        file: where it is.
        mask: its mask's file, or None.
        width, height: pixels of the upright picture.
        focal: pixels of the upright picture, by its EXIF data, or None where that does not say.
        lens: equal for photographs whose EXIF data and size are alike.
        turned: the file's pixels lie otherwise than upright, as its EXIF data says.
    """

    file: Path
    mask: Path | None
    width: int
    height: int
    focal: float | None
    lens: str
    turned: bool = False

    @property
    def name(self) -> str:
        """What the model calls it: the file's name."""
        return self.file.name


@dataclass(frozen=True)
class Album:
    """The photographs of a folder in the order of their names, and what was noticed about them."""

    photographs: tuple[Photograph, ...]
    warnings: tuple[str, ...]


def find_photographs(folder: Path, least: int = LEAST) -> Album:
    """The photographs of a folder: those in images/, or those in the folder itself.

    Files that are byte for byte the same as an earlier one (a video that stood still) are left out with a warning: they would be
    matched with each other first and tell nothing.

    Args:
        folder: of the artist.
        least: fewer photographs are refused.

    Raises:
        RequestError: source-missing, no-photographs, too-few-photographs, image-unreadable.
    """
    if not folder.is_dir():
        raise RequestError(
            f"{folder}: no such folder", hint="give the folder that holds the photographs", code="source-missing"
        )
    place = next((folder / name for name in IMAGE_FOLDERS if pictures(folder / name)), None)
    if place is None:
        raise _none(folder)
    files = pictures(place)
    stems = {file.stem for file in files}
    endings = tuple(ending for ending in MASK_ENDINGS if ending)
    files = [file for file in files if not any(_is_mask_of(file.stem, ending, stems) for ending in endings)]
    kept, repeated = _without_repeats(files)
    warnings = []
    if repeated:
        warnings.append(
            f"the same photograph twice, as frames of a video that stood still are; left out: {listed(repeated)}"
        )
    unread = sorted(file.name for file in place.iterdir() if file.suffix.lower() in UNREAD)
    if unread:
        warnings.append(f"files of types that are not read, left out (save them as JPEG or PNG): {listed(unread)}")
    if len(kept) < least:
        but = f" that differ ({len(files)} files)" if repeated else ""
        raise RequestError(
            f"{place}: it holds {len(kept)} photograph{'' if len(kept) == 1 else 's'}{but}; expected {least} at the very least",
            hint="walk around the object and take 30 to 100 photographs, each of which shows much of what the one before shows",
            code="too-few-photographs",
        )
    return Album(tuple(_photograph(file, folder) for file in kept), tuple(warnings))


def _is_mask_of(stem: str, ending: str, stems: set[str]) -> bool:
    return stem.endswith(ending) and stem.removesuffix(ending) in stems


def _photograph(file: Path, root: Path) -> Photograph:
    size = picture_size(file)
    if size is None:
        raise RequestError(
            f"{file}: the image cannot be read",
            hint="open it in an image editor and save it again, or take it out of the folder",
            code="image-unreadable",
        )
    orientation, maker, focal = _exif(file, *size)
    width, height = size[::-1] if orientation in (5, 6, 7, 8) else size
    lens = f"{width}x{height} {maker} {'' if focal is None else round(focal, 2)}".strip()
    return Photograph(file, mask_beside(file, root), width, height, focal, lens, orientation != 1)


def _exif(file: Path, width: int, height: int) -> tuple[int, str, float | None]:
    """Orientation, make and model, and the focal length in pixels, of a JPEG; of other files nothing is believed."""
    if file.suffix.lower() not in (".jpg", ".jpeg"):
        return 1, "", None
    try:
        with Image.open(file) as picture:
            head = picture.getexif()
            inner = head.get_ifd(_EXIF)
    except (OSError, ValueError, SyntaxError, KeyError):
        return 1, "", None
    orientation = head.get(_ORIENTATION, 1)
    maker = " ".join(str(head.get(tag, "")).strip("\0 ") for tag in (_MAKE, _MODEL)).strip()
    return orientation if orientation in range(1, 9) else 1, maker, _focal(inner, width, height)


def _focal(inner: dict, width: int, height: int) -> float | None:
    film = _number(inner.get(_FOCAL_35))
    if film:
        return film / _FILM * math.hypot(width, height)
    focal, density = _number(inner.get(_FOCAL)), _number(inner.get(_PLANE_X))
    unit = _PLANE_MM.get(inner.get(_PLANE_UNIT, 2))
    if focal and density and unit:
        pixels = focal / unit * density
        return pixels if 0.2 < pixels / max(width, height) < 50 else None  # shrunk pictures keep the sensor's density
    return None


def _number(value: object) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0


def _without_repeats(files: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """The files that differ, and what is left out; only files of one length are read."""
    by_length: dict[int, list[Path]] = {}
    for file in files:
        by_length.setdefault(file.stat().st_size, []).append(file)
    first: dict[bytes, Path] = {}
    repeated: dict[Path, str] = {}
    for alike in by_length.values():
        for file in alike if len(alike) > 1 else []:
            original = first.setdefault(hashlib.sha256(file.read_bytes()).digest(), file)
            if original is not file:
                repeated[file] = f"{file.name} (as {original.name})"
    return [file for file in files if file not in repeated], [repeated[file] for file in files if file in repeated]


def _none(folder: Path) -> RequestError:
    others = sorted(
        file.name for name in IMAGE_FOLDERS if (folder / name).is_dir() for file in (folder / name).iterdir()
    )
    unread = [name for name in others if Path(name).suffix.lower() in UNREAD]
    there = f"; it holds {listed(unread)}" if unread else ""
    return RequestError(
        f"{folder}: no photographs found{there}; looked in images/ and in the folder itself for {', '.join(IMAGE_SUFFIXES)}",
        hint="save the photographs as JPEG or PNG; take frames out of a video with `ffmpeg -i VIDEO -vf fps=2 images/%04d.png`",
        code="no-photographs",
    )
