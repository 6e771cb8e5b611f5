"""Pictures that change with the scene's frame: which frames are taken of them, and where each frame's picture is stored."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bpy


@dataclass(frozen=True)
class MovieFrame:
    """A frame of a movie file; the first is 0."""

    file: Path
    index: int


def spread(frames: Sequence[int], most: int) -> list[int]:
    """Every n-th of `frames`, from the first on, with the least n that leaves at most `most`."""
    return list(frames[:: max(1, math.ceil(len(frames) / most))])


def of_image(user: bpy.types.ImageUser, scene: bpy.types.Scene) -> range:
    """The scene's frames, within its range, at which an image's user shows a new frame; a repeated one counts once round."""
    first = scene.frame_start if user.use_cyclic else max(scene.frame_start, user.frame_start)
    end = first if user.use_cyclic else user.frame_start
    return range(first, min(scene.frame_end, end + user.frame_duration - 1) + 1)


def of_clip(clip: bpy.types.MovieClip, scene: bpy.types.Scene) -> range:
    """The scene's frames, within its range, at which a clip has a frame."""
    first, end = clip.frame_start, clip.frame_start + clip.frame_duration
    return range(max(scene.frame_start, first), min(scene.frame_end + 1, end))


def image_number(user: bpy.types.ImageUser, frame: int) -> int:
    """The number of the frame that an image's user shows at the scene's frame: in its file's name, or from 1 on in a movie."""
    count, number = user.frame_duration, frame - user.frame_start + 1
    if user.use_cyclic and count:
        number = (number - 1) % count + 1
    return min(max(number, 1), max(count, 1)) + user.frame_offset


def clip_picture(clip: bpy.types.MovieClip, frame: int) -> Path | MovieFrame:
    """The file, or the movie's frame, that a clip shows at the scene's frame."""
    file = Path(bpy.path.abspath(clip.filepath, library=clip.library))
    index = frame - clip.frame_start + clip.frame_offset
    if clip.source == "MOVIE":
        return MovieFrame(file, index)
    first = _digits(file)
    return numbered(file, index + int(first.group(2))) if first is not None else file


def numbered(file: Path, number: int) -> Path:
    """The file of a sequence with this number, in as many digits as `file` has; `file` itself where its name has none."""
    found = _digits(file)
    if found is None:
        return file
    head, digits, tail = found.groups()
    return file.with_name(f"{head}{number:0{len(digits)}}{tail}{file.suffix}")


@contextmanager
def timeline(scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer) -> Iterator[Callable[[int], bpy.types.Depsgraph]]:
    """A function that evaluates the scene at a frame.

    It turns the frames of a copy, so that the scene stays at its own and keeps changes that are not keyed.
    """
    copy = scene.copy()

    def at(frame: int) -> bpy.types.Depsgraph:
        copy.frame_set(frame)
        return copy.view_layers[view_layer.name].depsgraph

    try:
        yield at
    finally:
        bpy.data.scenes.remove(copy)


def moves(thing: bpy.types.Object) -> bool:
    """Whether a camera may stand or see differently at another frame: it, its lens or a parent is animated, driven or constrained."""
    holder: bpy.types.Object | None = thing
    blocks: list[bpy.types.Object | bpy.types.ID] = [thing.data]
    while holder is not None:
        blocks.append(holder)
        if len(holder.constraints):
            return True
        holder = holder.parent
    return any(_animated(block) for block in blocks)


def _animated(block: bpy.types.ID) -> bool:
    animation: bpy.types.AnimData | None = getattr(block, "animation_data", None)
    return animation is not None and bool(animation.action or len(animation.nla_tracks) or len(animation.drivers))


def _digits(file: Path) -> re.Match[str] | None:
    """What stands before, in and after the last number of a file's name."""
    return re.fullmatch(r"(.*?)(\d+)(\D*)", file.stem)
