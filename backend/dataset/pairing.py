"""Which file belongs to which camera, and which mask to which photograph: by name, never by order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from backend.contract import RequestError
from backend.dataset.picture_file import IMAGE_SUFFIXES
from backend.dataset.posed import listed

IMAGE_FOLDERS = ("images", "image", ".")
MASK_FOLDERS = ("masks", "mask")
MASK_ENDINGS = ("", "_mask")  # behind the photograph's stem


@dataclass(frozen=True)
class Pairs:
    """Photographs and masks of named cameras.

    Attributes:
        images, masks: name -> file; a name without a photograph is in neither.
        warnings: what was missing or left over.
    """

    images: Mapping[str, Path]
    masks: Mapping[str, Path]
    warnings: tuple[str, ...]


def pair(root: Path, names: Sequence[str], source: Path, folders: Sequence[Path] | None = None) -> Pairs:
    """The photograph and the mask of each camera that a file names.

    A name is looked for as the path it is under each folder, then by its last part (camera files hold the paths of other machines), then
    by its stem (exporters write other endings, or none); a stem that two pictures share is nobody's.

    Args:
        root: the folder the artist gave.
        names: what the camera file calls the images.
        source: the camera file, for messages.
        folders: where photographs may be; `IMAGE_FOLDERS` under `root` unless given.

    Raises:
        RequestError: no photograph is there (image-missing), two cameras mean one photograph (image-ambiguous), a mask belongs to no
            photograph (mask-without-image).
    """
    folders = [place for place in (folders or [root / name for name in IMAGE_FOLDERS]) if place.is_dir()]
    by_stem = [_by_stem(place) for place in folders]
    images: dict[str, Path] = {}
    for name in names:
        found = _photograph(name, folders, by_stem)
        if found is not None:
            images[name] = found
    missing = [name for name in names if name not in images]
    if not images:
        where = ", ".join(str(place) for place in folders) or f"{root} (it has no folder images/)"
        raise RequestError(
            f"{source}: none of the images it names is there: {listed(missing)}; looked in {where}",
            hint=f"put the photographs into {root / 'images'} under the names the camera file has",
            code="image-missing",
        )
    owners: dict[Path, list[str]] = {}
    for name, file in images.items():
        owners.setdefault(file, []).append(name)
    shared = [" and ".join(who) for who in owners.values() if len(who) > 1]
    if shared:
        raise RequestError(
            f"{source}: cameras of different names mean one image: {listed(shared)}",
            hint="keep the folders the camera file names, or give the images names of their own",
            code="image-ambiguous",
        )
    refuse_orphan_masks(images, root)
    masks = {name: mask for name, file in images.items() if (mask := mask_beside(file, root)) is not None}
    warnings = [f"{source.name} names images that are not there, left out: {listed(missing)}"] if missing else []
    return Pairs(images, masks, (*warnings, *_left_over(images, masks, root)))


def _photograph(name: str, folders: Sequence[Path], by_stem: Sequence[Mapping[str, Path | None]]) -> Path | None:
    plain = name.replace("\\", "/")
    last = PureWindowsPath(name).name
    if not last:
        return None
    inside = not plain.startswith("/") and ":" not in plain and ".." not in plain.split("/")
    for spelling in (plain, last) if inside else (last,):
        for place in folders:
            if Path(spelling).suffix.lower() in IMAGE_SUFFIXES and (place / spelling).is_file():
                return place / spelling
    for table in by_stem:
        for stem in (last, Path(last).stem):
            found = table.get(stem.casefold())
            if found is not None:
                return found
    return None


def _by_stem(folder: Path) -> dict[str, Path | None]:
    """Pictures by their stem in small letters; None where two share it."""
    table: dict[str, Path | None] = {}
    for file in pictures(folder):
        stem = file.stem.casefold()
        table[stem] = None if stem in table else file
    return table


def _left_over(images: Mapping[str, Path], masks: Mapping[str, Path], root: Path) -> list[str]:
    """Photographs beside the paired ones that no camera names. Companions such as `a_depth.png` beside `a.png` are none."""
    known = {*images.values(), *masks.values()}
    stems = {file.stem for file in images.values()}
    folders = sorted({file.parent for file in images.values()})
    extra = [
        file.name
        for place in folders
        for file in pictures(place)
        if file not in known and not is_companion(file.stem, stems)
    ]
    return [f"images without a camera are left out: {listed(extra)}"] if extra else []


def find_image(folder: Path, file_path: str) -> Path | None:
    """The file of a frame: as named, or with the extension the NeRF-synthetic sets leave out."""
    named = folder / file_path.replace("\\", "/")
    if named.suffix.lower() in IMAGE_SUFFIXES:
        return named if named.is_file() else None
    for suffix in IMAGE_SUFFIXES:
        for spelling in (suffix, suffix.upper()):
            candidate = named.with_name(named.name + spelling)
            if candidate.is_file():
                return candidate
    return named if named.is_file() else None


def mask_folders(image: Path, root: Path) -> list[Path]:
    """Where an image's mask may be: masks/ or mask/ in its own folder or beside that, but not outside the source."""
    places = [image.parent] if image.parent == root else [image.parent, image.parent.parent]
    return [place / name for place in places for name in MASK_FOLDERS]


def mask_beside(image: Path, root: Path) -> Path | None:
    """The mask of an image by its stem, or None."""
    for folder in mask_folders(image, root):
        if not folder.is_dir():
            continue
        # `name.png`, `name_mask.png`, or `name.jpg.png` as COLMAP likes it
        for stem in (*(image.stem + ending for ending in MASK_ENDINGS), image.name):
            found = find_image(folder, stem)
            if found is not None and found != image:
                return found
    return None


def refuse_orphan_masks(images: Mapping[str, Path | None], root: Path) -> None:
    """A mask whose image is nowhere is most often a misspelt pair."""
    files = [image for image in images.values() if image is not None]
    stems = {file.stem for folder in {image.parent for image in files} for file in pictures(folder)}
    folders = {folder for image in files for folder in mask_folders(image, root)}
    masks = [mask for folder in sorted(folders) for mask in pictures(folder)]
    orphans = [
        str(mask)
        for mask in masks
        if not {mask.stem, Path(mask.stem).stem, mask.stem.removesuffix(MASK_ENDINGS[-1])} & stems
    ]
    if orphans:
        raise RequestError(
            f"masks without an image of the same name: {listed(orphans)}",
            hint="name each mask like its image, or take these away",
            code="mask-without-image",
        )


def pictures(folder: Path) -> list[Path]:
    """The image files of a folder in the order of their names; none where there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)


def is_companion(stem: str, stems: set[str]) -> bool:
    """The stem is another's with more words behind underscores."""
    words = stem.split("_")
    return any("_".join(words[:count]) in stems for count in range(1, len(words)))
