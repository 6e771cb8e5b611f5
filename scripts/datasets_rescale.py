"""The two layouts, NeRF-synthetic's and NeRD's, copied or rescaled: images premultiplied while they shrink, cameras along with them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from datasets_archive import Container
from datasets_disk import room_for
from datasets_progress import Meter, say
from demo_common import encode_srgb

from backend.contract import RequestError, write_json
from backend.dataset.array_file import read_npy
from backend.dataset.llff import FILE, LIST
from backend.dataset.pairing import MASK_ENDINGS
from backend.dataset.picture_file import IMAGE_SUFFIXES, Picture, decode_picture, mask_channels
from backend.dataset.pixels import coverage_of, light_of, resize_area, shrink_rows
from backend.dataset.posed import Lens, listed
from backend.export.images import write_png

SPLITS = ("transforms_train.json", "transforms_val.json", "transforms_test.json")
_BYTES_A_PIXEL = 6  # of a PNG with its mask, at most


def copy(container: Container, files: Mapping[str, str], target: Path) -> None:
    """Write files of the container (their path below `target` -> their name in it) as they are."""
    room_for(sum(container.sizes[name] for name in files.values()), target, target.name)
    meter = Meter("  unpacked ", 0, len(files), "files")
    for short, name in files.items():
        path = target / short
        path.parent.mkdir(parents=True, exist_ok=True)
        with container.refusing_damage(name), container.open(name) as stream, path.open("wb") as written:
            shutil.copyfileobj(stream, written)
        meter.add(1)
    meter.end()


def synthetic(container: Container, root: str, target: Path, size: int) -> None:
    """NeRF-synthetic's scene in the folder `root` of the container: all files as they are, or the images that frames name at `size`."""
    prefix = f"{root}/" if root else ""
    here = {name.removeprefix(prefix): name for name in container.below(root)}
    if not size:
        copy(container, here, target)
        return
    files = {split: _frames(container, here[split]) for split in SPLITS if split in here}
    frames = [(split, frame) for split, shared in files.items() for frame in shared["frames"]]
    room_for(len(frames) * size * size * _BYTES_A_PIXEL, target, target.name)
    meter, scales = Meter("  rescaled ", 0, len(frames), "images"), dict.fromkeys(files, (1.0, 1.0))
    for split, frame in frames:
        short = _image_of(here, str(frame["file_path"]), f"{container.path}: {split}")
        picture = decode_picture(container.read(here[short]), f"{container.path}: {here[short]}")
        small = _shrunk(picture, size)
        path = target / PurePosixPath(short).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_png(path, np.concatenate([_straight(small, np.zeros_like(small)), small[..., 3:]], axis=2))
        if PurePosixPath(frame["file_path"]).suffix.lower() in IMAGE_SUFFIXES:
            frame["file_path"] = str(PurePosixPath(frame["file_path"]).with_suffix(".png"))
        height, width = picture.values.shape[:2]
        scales[split] = small.shape[1] / width, small.shape[0] / height
        _scale_lens(frame, *scales[split])
        meter.add(1)
    meter.end()
    for split, shared in files.items():
        _scale_lens(shared, *scales[split])
        write_json(target / split, shared)


def nerd(container: Container, root: str, target: Path, size: int) -> None:
    """NeRD's capture in the folder `root`: photographs and masks at `size`, or as they are where it is 0.

    `poses_bounds.npy` has a row for each and no names, so these are written beside it. Raises RequestError where they do not agree.
    """
    prefix = f"{root}/" if root else ""
    (target / FILE).write_bytes(container.read(f"{prefix}{FILE}"))
    rows = read_npy(target / FILE)
    pairs = _pairs(container, prefix, len(rows))
    if not size:
        names = [name for pair in pairs for name in pair]
        copy(container, {name.removeprefix(prefix): name for name in names}, target)
    else:
        room_for(len(rows) * size * size * _BYTES_A_PIXEL, target, target.name)
        _rescale(container, pairs, rows, target, size)
        np.save(target / FILE, rows)
    photographs = [PurePosixPath(name) for name, _ in pairs]
    lines = [f"{path.stem}.png\n" if size else f"{path.name}\n" for path in photographs]
    (target / LIST).write_text("".join(lines), encoding="utf-8")


def _rescale(container: Container, pairs: list[tuple[str, str]], rows: np.ndarray, target: Path, size: int) -> None:
    """Write the photographs and masks smaller; their rows follow, in place."""
    for folder in ("images", "masks"):
        (target / folder).mkdir()
    meter = Meter("  rescaled ", 0, len(pairs), "photographs")
    for row, (name, mask_name) in zip(rows, pairs):
        camera = Lens(None, size=(round(row[9]), round(row[4])))
        picture = _as_solved(decode_picture(container.read(name), f"{container.path}: {name}"), camera)
        height, width = picture.values.shape[:2]
        mask = mask_channels(decode_picture(container.read(mask_name), f"{container.path}: {mask_name}"))
        if mask.values.shape[:2] != (height, width):
            mask = Picture(resize_area(coverage_of(mask)[..., None], (height, width)), linear=True)
        inside = _shrunk(picture, size, mask)
        stem = PurePosixPath(name).stem
        write_png(target / "images" / f"{stem}.png", _straight(inside, _shrunk(picture, size)))
        write_png(target / "masks" / f"{stem}.png", inside[..., 3:])
        _scale_row(row, inside.shape[1], inside.shape[0])
        meter.add(1)
    meter.end()


def _shrunk(picture: Picture, size: int, mask: Picture | None = None) -> np.ndarray:
    """[h, w, 4] linear light, premultiplied by its alpha or the mask, of a long side of `size` (a smaller picture keeps its own)."""
    height, width = picture.values.shape[:2]
    shrink = min(1.0, size / max(height, width))

    def rows(first: int, last: int) -> np.ndarray:
        light = light_of(picture.rows(first, last))
        if mask is None:
            return light
        coverage = coverage_of(mask.rows(first, last))[..., None]
        return np.concatenate([light[..., :3] * coverage, coverage], axis=2)

    return shrink_rows(rows, height, width, (max(1, round(height * shrink)), max(1, round(width * shrink))))


def _straight(inside: np.ndarray, elsewhere: np.ndarray) -> np.ndarray:
    """[H, W, 3] sRGB: the colour of what the mask covers, so that no background runs into its edge; beyond it that of `elsewhere`."""
    coverage = inside[..., 3:]
    return encode_srgb(np.where(coverage > 0.0, inside[..., :3] / np.maximum(coverage, 1e-6), elsewhere[..., :3]))


def _scale_lens(values: dict[str, Any], across: float, down: float) -> None:
    """What a transforms file says in pixels follows the image; angles stay."""
    for keys, factor in ((("fl_x", "cx", "w"), across), (("fl_y", "cy", "h"), down)):
        for key in keys:
            if isinstance(values.get(key), (int, float)):
                values[key] = round(values[key] * factor) if key in ("w", "h") else values[key] * factor


def _scale_row(row: np.ndarray, width: int, height: int) -> None:
    """Height, width and focal length of a row follow the image.

    The format has one focal length for both directions. Where rounding the size changed the aspect, no one number is right, and the row
    keeps the original's three: readers take them in proportion to the image they find.
    """
    if abs(width * row[4] - height * row[9]) < 1e-6 * width * row[4]:
        row[14] *= width / row[9]
        row[4], row[9] = height, width


def _as_solved(picture: Picture, camera: Lens) -> Picture:
    """The picture as its camera saw it: solvers ignore EXIF's turn, unless their size says otherwise."""
    height, width = picture.values.shape[:2]
    return picture if picture.orientation == 1 or camera.fits(width, height) else picture.upright()


def _pairs(container: Container, prefix: str, count: int) -> list[tuple[str, str]]:
    """The photograph and the mask of each row, in the order of the photographs' names. RequestError where the counts do not agree."""
    photographs = _pictures(container, f"{prefix}images")
    masks = _pictures(container, f"{prefix}masks")
    found = {}
    for stem, name in photographs.items():
        own = [masks[stem + ending] for ending in MASK_ENDINGS if stem + ending in masks]
        if own:
            found[name] = own[0]
    if len(found) != count:
        raise RequestError(
            f"{container.path}: {prefix}{FILE} has {count} rows; there are {len(photographs)} photographs, {len(found)} with a mask",
            hint="get the archive or clone anew: photographs, masks and cameras must be of one state",
            code="image-count",
        )
    bare = sorted(set(photographs.values()) - set(found))
    if bare:
        say(f"  photographs without a mask are left out: {listed([PurePosixPath(name).name for name in bare])}")
    return sorted(found.items())


def _pictures(container: Container, folder: str) -> dict[str, str]:
    """The pictures right in a folder, by their stem."""
    paths = [PurePosixPath(name) for name in container.below(folder)]
    return {
        path.stem: str(path) for path in paths if str(path.parent) == folder and path.suffix.lower() in IMAGE_SUFFIXES
    }


def _image_of(here: Mapping[str, str], file_path: str, where: str) -> str:
    """The file a frame names, with or without its ending."""
    plain = str(PurePosixPath(file_path))
    for ending in ("", *IMAGE_SUFFIXES):
        if plain + ending in here:
            return plain + ending
    raise RequestError(
        f"{where} names {file_path}, which is not there", hint="get the archive anew", code="image-missing"
    )


def _frames(container: Container, name: str) -> dict[str, Any]:
    """A transforms file whose frames all name an image; RequestError otherwise."""
    try:
        shared = json.loads(container.read(name))
        if all("file_path" in frame for frame in shared["frames"]):
            return dict(shared)
    except (ValueError, KeyError, TypeError):
        pass
    raise RequestError(
        f"{container.path}: {name} lists no frames", hint="get the archive anew", code="source-unreadable"
    )
