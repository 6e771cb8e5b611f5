"""The photographs of camera backgrounds, copied with their cameras and masks into a job folder."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

from ...backend import contract
from ..slices import Slices, beside, finish
from . import rendered
from .photographs import SUFFIXES, Photograph


def write(
    photographs: Sequence[Photograph], folder: Path, held_out: int, masks: Path | None, on_view: rendered.OnView
) -> Path:
    """Write the job folder: images/, masks/ where a folder of masks is given, then transforms.json, last and in one piece.

    Raises RequestError when fewer than two photographs are left to fit or a mask is missing, before anything is written. Returns
    the path of transforms.json.
    """
    return finish(writing(photographs, folder, held_out, masks, on_view))


def writing(
    photographs: Sequence[Photograph],
    folder: Path,
    held_out: int,
    masks: Path | None,
    on_view: rendered.OnView = lambda done, total: None,
) -> Slices[Path]:
    """The same in slices: the files are copied in a thread, which stops when the work is given up."""
    if len(photographs) - held_out < 2:
        raise contract.RequestError(
            f"{len(photographs)} photographs, {held_out} of them held out; expected at least two to fit",
            hint="Add cameras with photographs (24 and more work well), or hold fewer out.",
            code="views-few",
        )
    paired = {photograph.name: mask_of(photograph, masks) for photograph in photographs} if masks else {}
    names = contract.JobFolder(folder)
    frames: list[dict[str, object]] = []
    stop = threading.Event()

    def copy() -> None:
        rendered.prepare(names)
        tested = rendered.held_out_indices(len(photographs), held_out)
        for index, photograph in enumerate(photographs):
            if stop.is_set():
                return
            split = "test" if index in tested else "train"
            frames.append(_copied(photograph, names, index, split, paired.get(photograph.name)))

    says = f"Copying {len(photographs)} photographs"
    try:
        for now in beside(copy, says, lambda: len(frames) / len(photographs)):
            on_view(len(frames), len(photographs))
            yield now
    except BaseException:
        stop.set()
        raise
    on_view(len(photographs), len(photographs))
    return rendered.write_transforms(names, frames, "as photographed")


def _copied(
    photograph: Photograph, names: contract.JobFolder, index: int, split: str, mask: Path | None
) -> dict[str, object]:
    """Copy one photograph and its mask; its frame of transforms.json."""
    stem = f"{index:03}_{rendered.file_stem(photograph.name)}"
    image = names.images / (stem + photograph.suffix)
    if photograph.file is None:
        image.write_bytes(photograph.packed or b"")
    else:
        shutil.copyfile(photograph.file, image)
    frame = rendered.frame_of(f"images/{image.name}", split, photograph.pinhole, photograph.pose, photograph.distortion)
    if mask is not None:
        names.masks.mkdir(exist_ok=True)
        shutil.copyfile(mask, names.masks / (stem + mask.suffix.lower()))
        frame["mask_path"] = f"masks/{stem}{mask.suffix.lower()}"
    return frame


def mask_of(photograph: Photograph, folder: Path) -> Path:
    """The mask named like the photograph's file (`name.png` or `name.jpg.png`); RequestError where there is none."""
    names = (photograph.file.stem, photograph.file.name) if photograph.file else (photograph.name,)
    for name in names:
        for suffix in sorted(SUFFIXES):
            if (folder / (name + suffix)).is_file():
                return folder / (name + suffix)
    raise contract.RequestError(
        f"{folder} has no mask for {names[0]!r}",
        hint="Name each mask like its photograph, or leave Masks empty to use the images' alpha.",
        code="mask-missing",
    )
