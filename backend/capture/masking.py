"""The pictures of a folder that are to get masks, and where the masks go."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from backend.capture.photographs import find_photographs
from backend.contract import RequestError
from backend.dataset.formats import FORMATS, read_capture
from backend.dataset.orient import box_of
from backend.dataset.pairing import MASK_FOLDERS
from backend.dataset.picture_file import Picture, read_picture
from backend.dataset.pixels import light_of
from backend.dataset.posed import PosedImage

WIDENED = 0.08  # of a side, at each end
LIGHT_ENCODED = 1 / 2.2  # how light of EXR and HDR files is made to look like a photograph


@dataclass(frozen=True)
class Subject:
    """A picture that is to get a mask.

    Attributes:
        name: as messages call it.
        image: the file.
        mask: where its mask goes.
        posed: its camera, or None where the folder has none.
    """

    name: str
    image: Path
    mask: Path
    posed: PosedImage | None


def find_subjects(folder: Path) -> list[Subject]:
    """The images of a camera file, or else the photographs of a folder. Raises RequestError where it holds neither."""
    if folder.is_dir() and any(form.find(folder) for form in FORMATS):
        posed = read_capture(folder).images
        files = [image.image for image in posed]
        return [Subject(image.name, image.image, _mask_file(image.image, folder, files), image) for image in posed]
    album = find_photographs(folder, least=1)
    files = [photograph.file for photograph in album.photographs]
    return [Subject(file.name, file, _mask_file(file, folder, files), None) for file in files]


def _mask_file(image: Path, root: Path, files: list[Path]) -> Path:
    place = image.parent if image.parent == root else image.parent.parent
    alike = Counter((file.parent, file.stem) for file in files)[(image.parent, image.stem)]
    return place / MASK_FOLDERS[0] / f"{image.stem if alike == 1 else image.name}.png"


def read_subject(subject: Subject) -> Picture:
    """The picture as its mask will be laid on it: upright, unless its camera was solved for the pixels as they are stored."""
    picture = read_picture(subject.image)
    if picture.orientation == 1:
        return picture
    height, width = picture.values.shape[:2]
    lens = None if subject.posed is None else subject.posed.lens
    stored = lens is not None and lens.size is not None and lens.fits(width, height) and not lens.fits(height, width)
    return Picture(picture.values, picture.linear) if stored else picture.upright()


def encoded_colour(picture: Picture) -> np.ndarray:
    """[H, W, 3] float32 in [0, 1] as it looks: sRGB-encoded; light of float files by a power near to that."""
    if picture.linear:
        light = light_of(picture)[..., :3]
        return ((light / max(float(np.quantile(light, 0.99)), 1e-9)).clip(0.0, 1.0) ** LIGHT_ENCODED).astype(np.float32)
    values = picture.scaled()
    colour = values[..., :3] if values.shape[2] >= 3 else np.repeat(values[..., :1], 3, axis=2)
    return np.ascontiguousarray(colour)


def object_box(folder: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Two corners around the object, by the points that the camera file holds; None where there are none."""
    capture = read_capture(folder)
    if capture.points is None or not len(capture.points):
        return None
    box = box_of(capture.points, [image.camera_to_world for image in capture.images])
    if box is None:
        return None
    pad = WIDENED * (box[1] - box[0])  # points are found on texture, and the object's outermost part may have none
    return box[0] - pad, box[1] + pad


def write_mask(path: Path, mask: np.ndarray) -> None:
    """A mask [H, W] in [0, 1] as a grey PNG of 8 bits."""
    done, data = cv2.imencode(".png", (255 * mask.clip(0.0, 1.0) + 0.5).astype(np.uint8))
    assert done
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.tobytes())


def refuse_taken(subjects: list[Subject], replace: bool) -> None:
    """Raise RequestError (output-not-empty) where masks are there already and `replace` is False."""
    there = sorted({subject.mask.parent for subject in subjects if subject.mask.parent.is_dir()})
    taken = [place for place in there if any(place.iterdir())]
    if taken and not replace:
        raise RequestError(
            f"{taken[0]} holds masks already",
            hint="Add --replace to write over those of the same names, or -o with another folder.",
            code="output-not-empty",
        )
