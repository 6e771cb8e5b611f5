"""`masks FOLDER`: masks of photographs, by their alpha, their backdrop, a box or a network."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from backend.capture.agree import agreed_regions
from backend.capture.chroma import backdrop_colour, chroma_inside, encoded_to_light, named_colour
from backend.capture.coverage import Coverage, coverage, suspicions
from backend.capture.cut import grab_cut, projected_region, rectangle_region, without_specks
from backend.capture.learned import learned_masks
from backend.capture.masking import (
    Subject,
    encoded_colour,
    find_subjects,
    object_box,
    read_subject,
    refuse_taken,
    write_mask,
)
from backend.capture.soft_edge import soft_edge
from backend.console import Console
from backend.contract import Cancelled, Finished, Progress, RequestError, Warned
from backend.dataset.picture_file import Picture
from backend.dataset.pixels import resize_area
from backend.dataset.posed import listed
from backend.job import Cancellation

EVEN = 0.5  # of the border has the backdrop's colour, else the backdrop is not of one colour
BAND = 0.004  # of the long side: how far a soft edge reaches to each side, in pixels at least 2
FIRST_LONGEST = 240  # pixels of the first cuts, whose outlines need not be exact
LEAST_VIEWS = 4  # from which on views are asked to agree
Method = Callable[[Subject, Picture], np.ndarray]


def masks(arguments: argparse.Namespace, console: Console) -> None:
    """The verb `masks`."""
    began = time.monotonic()
    folder = Path(os.path.abspath(arguments.folder))  # noqa: PTH100 - links stay as they were given
    subjects = find_subjects(folder)
    if arguments.output:
        place = Path(os.path.abspath(arguments.output))  # noqa: PTH100
        subjects = [Subject(one.name, one.image, place / one.mask.name, one.posed) for one in subjects]
    refuse_taken(subjects, arguments.replace)
    uneven: list[str] = []
    method = _method(arguments, folder, subjects, uneven)
    cancellation = Cancellation()
    cancellation.listen_to_signals()
    found: dict[str, Coverage] = {}

    def one(subject: Subject) -> Coverage | None:
        if cancellation.cancelled():
            return None
        mask = method(subject, read_subject(subject))
        write_mask(_partial(subject), mask)
        return coverage(mask)

    try:
        with ThreadPoolExecutor(arguments.threads or os.cpu_count() or 1) as pool:
            for subject, made in zip(subjects, pool.map(one, subjects)):
                if made is not None:
                    found[subject.name] = made
                    console(Progress(stage="masks", step=len(found), steps=len(subjects)))
        if cancellation.cancelled():
            raise Cancelled("No mask was written.", hint="Run the same command again.")
        for subject in subjects:
            _partial(subject).replace(subject.mask)
    finally:
        for subject in subjects:
            _partial(subject).unlink(missing_ok=True)
    odd = suspicions(found)
    if uneven:
        message = f"the border is not of one colour, so the backdrop may be mistaken: {listed(sorted(uneven))}"
        console(
            Warned(message=message, code="backdrop-uneven", hint="Name the colour with --color, or use --method box.")
        )
    if odd:
        told = listed([f"{name} ({what})" for name, what in odd.items()])
        hint = "Look at these; mend them in an image editor, or take the photographs out."
        console(Warned(message=f"suspicious masks: {told}", code="masks-suspicious", hint=hint))
    shares = {name: round(one.share, 4) for name, one in found.items()}
    if console.json_lines:
        console.text(json.dumps({"event": "masks", "coverage": shares, "suspicious": odd}))
    else:
        console.text("\n".join(f"{name}  {one.share:6.1%}  {odd.get(name, '')}" for name, one in found.items()))
    metrics: dict[str, float | None] = {
        "coverage": float(np.median(list(shares.values()))),
        "suspicious": float(len(odd)),
    }
    console(Finished(result=str(subjects[0].mask.parent), seconds=time.monotonic() - began, metrics=metrics))


def _partial(subject: Subject) -> Path:
    """A mask until all are made; a name that no reader takes for a picture."""
    return subject.mask.with_name(f".{subject.mask.name}.part")


def _method(arguments: argparse.Namespace, folder: Path, subjects: list[Subject], uneven: list[str]) -> Method:
    if arguments.method == "alpha":
        return _alpha
    if arguments.method == "chroma":
        return _chroma(arguments.color, uneven)
    if arguments.method == "box":
        return _box(arguments.box, folder, subjects, arguments.threads or os.cpu_count() or 1)
    learned = learned_masks(arguments.model, arguments.download)
    return lambda subject, picture: learned(encoded_colour(picture))


def _alpha(subject: Subject, picture: Picture) -> np.ndarray:
    if not picture.has_alpha:
        raise RequestError(
            f"{subject.image}: it has no alpha channel",
            hint="use --method chroma for an even backdrop, or --method box",
            code="alpha-missing",
        )
    return picture.scaled()[..., -1].clip(0.0, 1.0)


def _chroma(color: str | None, uneven: list[str]) -> Method:
    named = named_colour(color) if color else None
    if color and named is None:
        raise RequestError(
            f"the colour {color!r} is not known",
            hint="give green, blue, red, magenta, white, grey, black or #rrggbb; without --color it is found from the border",
            code="usage",
        )

    def method(subject: Subject, picture: Picture) -> np.ndarray:
        encoded = encoded_colour(picture)
        backdrop = named
        if backdrop is None:
            backdrop, share = backdrop_colour(encoded)
            if share < EVEN:
                uneven.append(subject.name)
        return _softened(encoded, without_specks(chroma_inside(encoded, backdrop)))

    return method


def _box(box: list[float] | None, folder: Path, subjects: list[Subject], threads: int) -> Method:
    corners = None
    posed = all(subject.posed is not None for subject in subjects)
    if box is not None and len(box) not in (4, 6):
        raise RequestError(
            f"--box has {len(box)} numbers", hint="give x y w h, or x y z x y z of two corners in space", code="usage"
        )
    if box is not None and len(box) == 6 and posed:
        corners = np.minimum(box[:3], box[3:]), np.maximum(box[:3], box[3:])
    elif box is None or len(box) == 6:
        corners = object_box(folder) if posed else None
        if corners is None:
            what = "the cameras come without points" if posed else "the photographs have no cameras"
            raise RequestError(
                f"{folder}: {what}, so where the object lies is not known",
                hint="give --box x y w h (pixels, or shares of the picture), or solve the cameras first: python -m backend poses FOLDER",
                code="box-missing",
            )

    rectangle = None if corners is not None or box is None else (box[0], box[1], box[2], box[3])
    regions = {} if corners is None else _regions(subjects, corners, threads)

    def method(subject: Subject, picture: Picture) -> np.ndarray:
        height, width = picture.values.shape[:2]
        if rectangle is not None:
            region = rectangle_region(rectangle, height, width)
        else:
            small = regions[subject.name].astype(np.uint8)
            region = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST).astype(bool)
        encoded = encoded_colour(picture)
        return _softened(encoded, grab_cut(encoded, region))

    return method


def _regions(subjects: list[Subject], corners: tuple[np.ndarray, np.ndarray], threads: int) -> dict[str, np.ndarray]:
    """Where each view may show the object: first the box as its camera sees it, then what the first cuts of most views agree on."""

    def first(subject: Subject) -> tuple[np.ndarray, np.ndarray, tuple[float, float, float, float]]:
        assert subject.posed is not None
        encoded = encoded_colour(read_subject(subject))
        height, width = encoded.shape[:2]
        shrink = min(1.0, FIRST_LONGEST / max(height, width))
        size = (max(2, round(height * shrink)), max(2, round(width * shrink)))
        small = resize_area(encoded, size)
        region = projected_region(*corners, subject.posed.camera_to_world, subject.posed.lens, *size)
        return region, grab_cut(small, region), subject.posed.lens.intrinsics(size[1], size[0])

    with ThreadPoolExecutor(threads) as pool:
        outlines, cuts, lenses = zip(*pool.map(first, subjects))
    if len(subjects) < LEAST_VIEWS:
        return {subject.name: region for subject, region in zip(subjects, outlines)}
    poses = [subject.posed.camera_to_world for subject in subjects if subject.posed is not None]
    agreed = agreed_regions(poses, lenses, cuts, *corners)
    return {
        subject.name: outline & region if (outline & region).any() else outline
        for subject, outline, region in zip(subjects, outlines, agreed)
    }


def _softened(encoded: np.ndarray, inside: np.ndarray) -> np.ndarray:
    return soft_edge(encoded_to_light(encoded), inside, max(2, round(BAND * max(inside.shape))))
