"""A folder of posed images -> a Dataset: every edge between files and the run's conventions is crossed here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from backend.contract import RequestError, ViewSettings
from backend.dataset.formats import read_capture
from backend.dataset.frame import Frame, read_frame
from backend.dataset.hull import find_box
from backend.dataset.image_file import picture_size
from backend.dataset.normalise import normalise_cameras, similarity_of
from backend.dataset.orient import box_of
from backend.dataset.posed import Capture, PosedImage, listed
from backend.dataset.views import Cameras, Dataset, Views

READING = 10**9  # bytes for the photographs that are open at once, at full size


@dataclass(frozen=True)
class Source:
    """A folder of posed images before any pixel is read.

    Attributes:
        train, test: the images fitted and held out.
        height, width: the canvas that holds the largest of them at full size, in pixels.
        floats: some are EXR or HDR files, whose numbers take more memory while they are read.
        warnings: what was noticed so far.
        box: two corners around the object by the points that the camera file holds, or None where it has none.
    """

    train: tuple[PosedImage, ...]
    test: tuple[PosedImage, ...]
    height: int
    width: int
    floats: bool
    warnings: tuple[str, ...]
    box: tuple[np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.train) + len(self.test)


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
    return read_source(find_source(source, settings.holdout), settings, threads)


def find_source(source: Path, holdout: int) -> Source:
    """What a folder holds, from its camera file and its images' heads; see `load`."""
    capture = read_capture(source)
    train, test = _split(capture.images, holdout)
    if len(train) < 2:
        raise RequestError(
            f"{source}: it has {len(train)} view{'' if len(train) == 1 else 's'} to fit; expected 2 or more (24 and up work well)",
            hint="add views from other sides, or hold out fewer (views.holdout)",
            code="too-few-views",
        )
    sizes = [picture_size(image.image) or image.lens.size or (1, 1) for image in (*train, *test)]
    width, height = (max(size[axis] for size in sizes) for axis in range(2))
    floats = any(image.image.suffix.lower() in (".exr", ".hdr") for image in (*train, *test))
    return Source(
        tuple(train),
        tuple(test),
        height,
        width,
        floats,
        (*capture.warnings, *_repeats(capture.images)),
        _point_box(capture),
    )


def read_source(source: Source, settings: ViewSettings, threads: int = 4, reading: int = READING) -> Dataset:
    """Read what was found, each image straight to the resolution asked for; see `load`.

    Args:
        source: what `find_source` found.
        settings: resolution and box.
        threads: images read at once, as far as `reading` allows.
        reading: bytes for the photographs that are open at once, at full size; one is read whatever it needs.
    """
    loaded = _read(
        (*source.train, *source.test), settings.resolution, _affordable(source, threads, reading), source.box
    )
    warnings = [*source.warnings, *loaded.warnings]
    count = len(source.train)
    fitted = loaded.views.span(0, count)
    masks = fitted.masks()
    _refuse_empty_masks(fitted.names, masks)
    if settings.box == "auto" and source.box is not None and _all_full(fitted):
        low, high = (torch.from_numpy(corner).float() for corner in source.box)
        warnings.append("the masks are white throughout; the object's box is taken from the camera file's points")
    elif settings.box == "auto":
        box = find_box(fitted.cameras, masks, fitted.names)
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


def _split(posed: Sequence[PosedImage], holdout: int) -> tuple[list[PosedImage], list[PosedImage]]:
    """The source's own division, where a validation set is held out only if there is no test set; else every `holdout`-th view."""
    splits = {image.split for image in posed}
    if splits != {None}:
        held_out = "test" if "test" in splits else "val"
        return [i for i in posed if i.split in (None, "train")], [i for i in posed if i.split == held_out]
    apart = range(holdout - 1, len(posed), holdout) if holdout else range(0)
    return [i for n, i in enumerate(posed) if n not in apart], [posed[n] for n in apart]


def _point_box(capture: Capture) -> tuple[np.ndarray, np.ndarray] | None:
    poses = [image.camera_to_world for image in capture.images]
    return None if capture.points is None else box_of(capture.points, poses)


def _all_full(views: Views) -> bool:
    """No mask tells object from background."""
    return bool(((views.masks() > 0.5) | ~views.valid()[..., 0]).all())


def _repeats(posed: Sequence[PosedImage]) -> list[str]:
    """Photographs that are the same file twice, as frames of a video that stood still are; only files of one length are read."""
    by_length: dict[int, list[PosedImage]] = {}
    for image in posed:
        by_length.setdefault(image.image.stat().st_size, []).append(image)
    first: dict[bytes, str] = {}
    again = []
    for images in by_length.values():
        for image in images if len(images) > 1 else []:
            with image.image.open("rb") as file:
                digest = hashlib.sha256(file.read()).digest()
            original = first.setdefault(digest, image.name)
            if original is not image.name:
                again.append(f"{image.name} (as {original})")
    return [f"images that are the same photograph as another: {listed(sorted(again))}"] if again else []


def _read(
    posed: Sequence[PosedImage], resolution: int, threads: int, box: tuple[np.ndarray, np.ndarray] | None
) -> _Loaded:
    """All frames at the asked resolution on one canvas; what fails is collected, so that one message names every file."""

    def attempt(image: PosedImage) -> Frame | RequestError:
        try:
            return read_frame(image, resolution)
        except RequestError as error:
            return error

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(attempt, posed))
    failures = {image.name: result for image, result in zip(posed, results) if isinstance(result, RequestError)}
    if failures:
        first, *others = failures.values()
        more = f"; other frames cannot be used either: {listed(list(failures)[1:])}" if others else ""
        raise RequestError(first.message + more, hint=first.hint, code=first.code)
    frames = [result for result in results if isinstance(result, Frame)]
    del results
    _refuse_maskless(posed, frames, box)
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
        canvas[: rgba.shape[0], : rgba.shape[1]] = rgba
    return _Loaded(
        Views(names, Cameras(poses, intrinsics, sizes), images), [f"{n}: {listed(who)}" for n, who in notes.items()]
    )


def _affordable(source: Source, threads: int, reading: int) -> int:
    """So many of the threads that their photographs fit into `reading` bytes, by what a pixel was measured to take."""
    one = (44 if source.floats else 20) * source.height * source.width
    return max(1, min(threads, reading // one))


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
        "name it with mask_path; or save RGBA images",
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
