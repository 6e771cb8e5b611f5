"""A folder of posed images -> a Dataset: every edge between files and the run's conventions is crossed here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from backend.contract import RequestError, ViewSettings
from backend.dataset.frame import Frame
from backend.dataset.hull import find_box
from backend.dataset.normalise import normalise_cameras, similarity_of
from backend.dataset.posed import PosedImage, listed
from backend.dataset.source import Reading, Source, find_source
from backend.dataset.views import Cameras, Dataset, Views


@dataclass(frozen=True)
class _Loaded:
    """Views in the scene's own space and what was noticed on the way."""

    views: Views
    warnings: list[str]


def load(source: Path, settings: ViewSettings, threads: int = 4) -> Dataset:
    """Read posed images, find or take the object's box and move the cameras into it.

    Args:
        source: a folder with a camera file of one of `formats.FORMATS` and the images it names.
        settings: resolution, held-out views and box.
        threads: images read at once.

    Returns:
        A dataset on the CPU; its images are float16.

    Raises:
        RequestError: whatever is wrong with the source, with names and what to do.
    """
    return read_source(
        Reading(find_source(source, settings.holdout, settings.only), settings.resolution, threads), settings
    )


def read_source(reading: Reading, settings: ViewSettings, device: torch.device | None = None) -> Dataset:
    """Views of what is being read; see `load`.

    Args:
        reading: of the source, at the resolution that the run wants.
        settings: the box.
        device: where the box is looked for; the views stay on the CPU.
    """
    source = reading.source
    loaded = _views(source, reading.frames())
    warnings = [*source.warnings, *loaded.warnings]
    count = len(source.train)
    fitted = loaded.views.span(0, count)
    masks = fitted.masks()
    _refuse_empty_masks(fitted.names, masks)
    if settings.box == "auto" and source.box is not None and _all_full(fitted):
        low, high = (torch.from_numpy(corner).float() for corner in source.box)
        warnings.append("the masks are white throughout; the object's box is taken from the camera file's points")
    elif settings.box == "auto":
        box = find_box(fitted.cameras, masks, fitted.names, device=device)
        low, high = box.low, box.high
        if box.doubtful:
            names = listed([fitted.names[index] for index in box.doubtful])
            warnings.append(f"masks or poses that contradict the other views: {names}")
    else:
        low, high = torch.tensor(settings.box[:3]), torch.tensor(settings.box[3:])
    similarity = similarity_of(low, high)
    everything = replace(loaded.views, cameras=normalise_cameras(loaded.views.cameras, similarity))
    return Dataset(
        train=everything.span(0, count),
        test=everything.span(count, len(source)) if source.test else None,
        similarity=similarity,
        warnings=tuple(warnings),
    )


def _all_full(views: Views) -> bool:
    """No mask tells object from background."""
    return bool(((views.masks() > 0.5) | ~views.valid()[..., 0]).all())


def _views(source: Source, frames: list[Frame]) -> _Loaded:
    """All frames on one canvas; the list is emptied."""
    posed = (*source.train, *source.test)
    _refuse_maskless(posed, frames, source.box)
    names = tuple(image.name for image in posed)
    notes: dict[str, list[str]] = {}
    for frame, name in zip(frames, names):
        for note in frame.notes:
            notes.setdefault(note, []).append(name)
    poses = torch.tensor([image.camera_to_world.tolist() for image in posed], dtype=torch.float32)
    intrinsics = torch.tensor([frame.intrinsics for frame in frames], dtype=torch.float32)
    sizes = torch.tensor([frame.rgba.shape[:2] for frame in frames], dtype=torch.int64)
    height, width = sizes.amax(0).tolist()
    images = torch.zeros(len(frames), height, width, 4, dtype=torch.float16)
    frames.reverse()
    for canvas in images:  # each frame's memory goes as its place on the canvas is first written to
        rgba = frames.pop().rgba
        canvas[: rgba.shape[0], : rgba.shape[1]] = torch.from_numpy(rgba)
    return _Loaded(
        Views(names, Cameras(poses, intrinsics, sizes), images), [f"{n}: {listed(who)}" for n, who in notes.items()]
    )


def _refuse_maskless(
    posed: Sequence[PosedImage], frames: Sequence[Frame], box: tuple[np.ndarray, np.ndarray] | None
) -> None:
    bare = [image.name for image, frame in zip(posed, frames) if not frame.masked]
    if not bare:
        return
    what = "the images have neither masks nor an alpha channel" if len(bare) == len(frames) else "images without a mask"
    place = "" if box is None else ", ".join(f"{value:.4g}" for corner in box for value in corner)
    points = f"; by the camera file's points the object lies in the box {place}" if place else ""
    raise RequestError(
        f"{what}: {listed(bare)}{points}",
        hint="put a mask for each image (white on the object) into a folder masks/ beside images/, with the image's name; "
        "name it with mask_path; or save RGBA images; `python -m backend masks FOLDER` makes them from an even backdrop or a box",
        code="mask-missing",
    )


def _refuse_empty_masks(names: Sequence[str], masks: Tensor) -> None:
    covered: Tensor = (masks > 0.5).flatten(1).any(dim=1)
    if not covered.all():
        empty = [name for name, seen in zip(names, covered.tolist()) if not seen]
        raise RequestError(
            f"masks that show nothing: {listed(empty)}",
            hint="white marks the object: check that masks are not inverted, or take these frames out",
            code="mask-empty",
        )
