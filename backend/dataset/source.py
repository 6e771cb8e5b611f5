"""A folder of posed images: what it holds, and its frames read by threads. Without torch, so that reading begins before torch is there."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.contract import RequestError
from backend.dataset.choosing import chosen
from backend.dataset.formats import read_capture
from backend.dataset.frame import Frame, read_frame
from backend.dataset.orient import box_of
from backend.dataset.outline import Outline, outline
from backend.dataset.picture_file import picture_size
from backend.dataset.posed import Capture, PosedImage, listed

MESH_SUFFIXES = (".glb", ".gltf", ".obj")
READING = 10**9  # bytes for the photographs that are open at once, at full size
_AHEAD = 4 * 10**9  # bytes of frames that are read before anything was planned
_OUTLINED = 32  # fitted images, spread over all, that are read first and give the first mesh


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


class Reading:
    """The frames of a source while threads read them.

    Attributes:
        source: what is read.
        resolution: pixels of a frame's long side, 0 for each image's own.
    """

    def __init__(self, source: Source, resolution: int, threads: int, reading: int = READING) -> None:
        """Begin: so many images at once, as far as `reading` bytes allow; one is read whatever it needs."""
        self.source, self.resolution = source, resolution
        self._pool = ThreadPoolExecutor(_affordable(source, threads, reading), "read")
        posed = (*source.train, *source.test)
        self._some = range(0, len(source.train), max(1, -(-len(source.train) // _OUTLINED)))
        read = {index: self._pool.submit(read_frame, posed[index], resolution) for index in self._some}  # these first
        rest = {n: self._pool.submit(read_frame, one, resolution) for n, one in enumerate(posed) if n not in read}
        self._frames: list[Future[Frame]] = [future for _, future in sorted((read | rest).items())]

    def frames(self) -> list[Frame]:
        """All frames, once they are read; what fails is collected, so that one RequestError names every file."""
        posed = (*self.source.train, *self.source.test)
        failures: dict[str, RequestError] = {}
        found: list[Frame] = []
        for image, future in zip(posed, self._frames, strict=True):
            try:
                found.append(future.result())
            except RequestError as error:
                failures[image.name] = error
        self.leave()
        if failures:
            first, *others = failures.values()
            more = f"; other frames cannot be used either: {listed(list(failures)[1:])}" if others else ""
            raise RequestError(first.message + more, hint=first.hint, code=first.code)
        return found

    def outline(self) -> Outline | None:
        """The coarse shape that some of the fitted frames show, which are read first; None where one is faulty, or nothing is common."""
        reading = self._frames
        try:
            frames = [reading[index].result() for index in self._some]
        except (RequestError, CancelledError, IndexError):  # the run itself says what is wrong, or has left already
            return None
        posed = [self.source.train[index] for index in self._some]
        return outline(posed, frames) if all(frame.masked for frame in frames) else None

    def leave(self) -> None:
        """Read no further; what was read is forgotten."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._frames = []


def find_source(source: Path, holdout: int, only: str | None = None) -> Source:
    """What a folder holds, from its camera file and its images' heads; see `load`, and `choosing.chosen` for `only`."""
    capture = read_capture(source)
    images = capture.images
    if only is not None:
        wanted = chosen([image.name for image in images], only)
        images = tuple(image for place, image in enumerate(images) if place in wanted)
    train, test = _split(images, holdout)
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
        (*capture.warnings, *_repeats(images)),
        _point_box(capture),
    )


def survey(path: Path, holdout: int, only: str | None = None) -> Source | None:
    """What a run will read of the folder `path` or of the folder the file is in; None for a mesh, of which views are rendered."""
    if path.suffix.lower() in MESH_SUFFIXES:
        return None
    return find_source(path.parent if path.is_file() else path, holdout, only)


def read_ahead(source: Source, resolution: int, threads: int) -> Reading | None:
    """Begin to read what a run will most likely ask for; None where that would take much memory that nobody has planned yet."""
    long = max(source.height, source.width)
    shrink = min(1.0, resolution / long) if resolution else 1.0
    needed = 8 * len(source) * round(source.height * shrink) * round(source.width * shrink)
    return Reading(source, resolution, threads) if resolution and needed < _AHEAD else None


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


def _affordable(source: Source, threads: int, reading: int) -> int:
    """So many of the threads that their photographs fit into `reading` bytes, by what a pixel was measured to take."""
    one = (44 if source.floats else 20) * source.height * source.width
    return max(1, min(threads, reading // one))
