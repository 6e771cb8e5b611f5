"""What the solver looks at: every photograph upright, grey, eight bits and no larger than it needs to be, with its mask."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from backend.capture.photographs import Photograph
from backend.contract import Cancelled, RequestError
from backend.dataset.picture_file import read_picture
from backend.dataset.pixels import coverage_of, light_of, resize_area
from backend.dataset.posed import listed

MARGIN = 0.008  # of the long side; masks are widened by so much, since the object's own edge is worth a point too


def prepare(
    photographs: list[Photograph],
    folder: Path,
    masks: Path | None,
    resolution: int,
    threads: int,
    on_done: Callable[[int], None],
    cancelled: Callable[[], bool],
) -> None:
    """Write `NAME.png` into `folder` for each photograph, and `NAME.png.png` into `masks`; what is there already stays.

    Args:
        photographs: what is to be solved.
        folder: takes the pictures.
        masks: takes the masks of those photographs that have one, or None where they shall not count.
        resolution: pixels of the long side at the most.
        threads: photographs read at once.
        on_done: told how many are done.
        cancelled: asked between photographs.

    Raises:
        RequestError: image-unreadable; it names every such file.
        Cancelled: `cancelled` said so.
    """
    for place in (folder, *([masks] if masks else [])):
        place.mkdir(parents=True, exist_ok=True)

    def one(photograph: Photograph) -> RequestError | None:
        if cancelled():
            return None
        try:
            _write(photograph, folder, masks, resolution)
        except RequestError as error:
            return error
        return None

    failures: list[tuple[Photograph, RequestError]] = []
    with ThreadPoolExecutor(max(1, threads)) as pool:
        for done, (photograph, error) in enumerate(zip(photographs, pool.map(one, photographs))):
            if error is not None:
                failures.append((photograph, error))
            on_done(done + 1)
    if cancelled():
        raise Cancelled("The photographs were being read.", hint="Run the same command to go on.")
    if failures:
        first = failures[0][1]
        more = f"; others cannot be read either: {listed([p.name for p, _ in failures[1:]])}" if failures[1:] else ""
        raise RequestError(first.message + more, hint=first.hint, code=first.code)


def picture_name(photograph: Photograph) -> str:
    """What the working copy of a photograph is called."""
    return f"{photograph.name}.png"


def shrunk_size(photograph: Photograph, resolution: int) -> tuple[int, int]:
    """(height, width) of the working copy."""
    shrink = min(1.0, resolution / max(photograph.width, photograph.height))
    return max(1, round(photograph.height * shrink)), max(1, round(photograph.width * shrink))


def _write(photograph: Photograph, folder: Path, masks: Path | None, resolution: int) -> None:
    size = shrunk_size(photograph, resolution)
    target = folder / picture_name(photograph)
    if not target.exists():
        _store(target, _grey(photograph, size))
    if masks is not None and photograph.mask is not None:
        target = masks / f"{picture_name(photograph)}.png"
        if not target.exists():
            coverage = coverage_of(read_picture(photograph.mask).upright())
            wide = resize_area(coverage[..., None], size)[..., 0] > 0.1
            reach = 2 * max(1, round(MARGIN * max(size))) + 1
            _store(target, cv2.dilate(wide.astype(np.uint8) * np.uint8(255), np.ones((reach, reach), np.uint8)))


def _grey(photograph: Photograph, size: tuple[int, int]) -> np.ndarray:
    """[H, W] uint8, encoded by a square root, which is near what sRGB does and keeps the dark parts' texture."""
    picture = read_picture(photograph.file).upright()
    if picture.values.dtype == np.uint8:
        colour = picture.scaled()[..., : 3 if picture.values.shape[2] >= 3 else 1].mean(axis=2, keepdims=True)
        return _eight_bits(resize_area(np.ascontiguousarray(colour), size)[..., 0])
    light = resize_area(light_of(picture), size)[..., :3].mean(axis=2)
    exposed = light / max(float(np.quantile(light, 0.99)), 1e-9) if picture.linear else light
    return _eight_bits(np.sqrt(exposed.clip(0.0, 1.0)))


def _eight_bits(values: np.ndarray) -> np.ndarray:
    return (255 * values.clip(0.0, 1.0) + 0.5).astype(np.uint8)


def _store(path: Path, values: np.ndarray) -> None:
    """Whole or not at all: what stands there under its name is believed when the run goes on."""
    done, data = cv2.imencode(".png", values, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    assert done
    partial = path.with_name(f"{path.name}.part")
    partial.write_bytes(data.tobytes())
    partial.replace(path)
