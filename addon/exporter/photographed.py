"""The photographs of camera backgrounds, copied with their cameras and masks into a job folder."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from ...backend import contract
from . import rendered
from .photographs import SUFFIXES, Photograph


def write(
    photographs: Sequence[Photograph], folder: Path, held_out: int, masks: Path | None, on_view: rendered.OnView
) -> Path:
    """Write the job folder: images/, masks/ where a folder of masks is given, then transforms.json, last and in one piece.

    Raises RequestError when fewer than two photographs are left to fit or a mask is missing, before anything is written. Returns
    the path of transforms.json.
    """
    if len(photographs) - held_out < 2:
        raise contract.RequestError(
            f"{len(photographs)} photographs, {held_out} of them held out; expected at least two to fit",
            hint="Add cameras with photographs (24 and more work well), or hold fewer out.",
            code="views-few",
        )
    paired = {photograph.name: mask_of(photograph, masks) for photograph in photographs} if masks else {}
    names = contract.JobFolder(folder)
    rendered.prepare(names)
    tested = rendered.held_out_indices(len(photographs), held_out)
    frames = []
    for index, photograph in enumerate(photographs):
        on_view(index, len(photographs))
        stem = f"{index:03}_{rendered.file_stem(photograph.name)}"
        image = names.images / (stem + photograph.suffix)
        if photograph.file is None:
            image.write_bytes(photograph.packed or b"")
        else:
            shutil.copyfile(photograph.file, image)
        split = "test" if index in tested else "train"
        frame = rendered.frame_of(
            f"images/{image.name}", split, photograph.pinhole, photograph.pose, photograph.distortion
        )
        if masks is not None:
            mask = paired[photograph.name]
            names.masks.mkdir(exist_ok=True)
            shutil.copyfile(mask, names.masks / (stem + mask.suffix.lower()))
            frame["mask_path"] = f"masks/{stem}{mask.suffix.lower()}"
        frames.append(frame)
    on_view(len(photographs), len(photographs))
    return rendered.write_transforms(names, frames, "as photographed")


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
