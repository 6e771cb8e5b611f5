"""Views of cameras before changing pictures: solved movie clips, image sequences and movies, a view for each frame that is taken."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import bpy
from mathutils import Matrix

from ...backend.contract import RequestError
from . import cameras, clips, frames, image_header, movies, photographs
from .photographs import SUFFIXES, Photograph


@dataclass(frozen=True)
class Shot:
    """What one camera sees at several frames.

    Attributes:
        name: of its views, before the frame's number.
        frames: of the scene.
        camera: where the views stand; None for a clip's solution itself.
        clip: whose solution is the lens; None where that is the camera's own.
        item: the background; None where the clip alone counts.
    """

    name: str
    frames: Sequence[int]
    camera: bpy.types.Object | None
    clip: bpy.types.MovieClip | None
    item: bpy.types.CameraBackgroundImage | None


def shots(objects: Sequence[bpy.types.Object], scene: bpy.types.Scene, most: int) -> list[Shot]:
    """The cameras among `objects` that look at a clip, a sequence or a movie, each with at most `most` frames.

    A camera that stands still sees one frame only, the present. Raises RequestError for a background that cannot be taken exactly.
    """
    found = []
    for thing in objects:
        clip = clips.followed(thing, scene)
        shown = [item for item in thing.data.background_images if item.show_background_image]
        if clip is not None and all(item.source == "MOVIE_CLIP" and item.clip in (clip, None) for item in shown):
            found.append(Shot(thing.name, clips.chosen(clip, scene, most), thing, clip, None))
            continue
        item = photographs.background(thing.data)
        if item.source == "IMAGE" and item.image.source not in {"SEQUENCE", "MOVIE"}:
            continue
        found.append(Shot(thing.name, _taken(thing, item, scene, most), thing, None, item))
    return found


def of_clip(clip: bpy.types.MovieClip | None, scene: bpy.types.Scene, most: int) -> Shot:
    """A solved clip, seen by the camera that follows it; where none does, by its solution, in the solution's own axes."""
    if clip is None:
        raise RequestError(
            "no movie clip is chosen", hint="Choose one, or make it the scene's active clip.", code="clip-missing"
        )
    return Shot(Path(clip.name).stem, clips.chosen(clip, scene, most), clips.follower(clip, scene), clip, None)


@contextmanager
def opened(
    scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer, found: Sequence[Shot]
) -> Iterator[list[Photograph]]:
    """The photographs of `found`, in its order. Frames of movies lie in files that are gone when the block ends."""
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="unrender-")))
        write = stack.enter_context(movies.writer())
        at = stack.enter_context(frames.timeline(scene, view_layer))
        taken: dict[tuple[int, int], Photograph] = {}
        for frame in sorted({frame for shot in found for frame in shot.frames}):
            depsgraph = at(frame)
            for number, shot in enumerate(found):
                if frame in shot.frames:
                    taken[number, frame] = _seen(shot, frame, depsgraph, scene, write, place)
        yield [taken[key] for key in sorted(taken)]


def _taken(
    thing: bpy.types.Object, item: bpy.types.CameraBackgroundImage, scene: bpy.types.Scene, most: int
) -> list[int]:
    """The frames at which a background that changes is taken."""
    content = item.clip if item.source == "MOVIE_CLIP" else item.image
    where = f"{content.name!r}, the background of camera {thing.name!r},"
    if item.source == "MOVIE_CLIP":
        _refuse_bent(item.clip, thing)
        known = frames.of_clip(item.clip, scene)
    else:
        known = frames.of_image(item.image_user, scene)
    if not frames.moves(thing):
        return [scene.frame_current]
    if not known:
        raise RequestError(
            f"{where} shows no frame from {scene.frame_start} to {scene.frame_end}, the scene's range",
            hint="Set its number of frames and its start in the camera's properties, or the scene's range.",
            code="background-unusable",
        )
    return frames.spread(known, most)


def _refuse_bent(clip: bpy.types.MovieClip, thing: bpy.types.Object) -> None:
    """A lens that bends belongs to the solution; through another camera it cannot be told which way."""
    if clips.distortion(clip):
        raise RequestError(
            f"the movie clip {clip.name!r} behind camera {thing.name!r} has lens distortion, but the camera does not follow its solution",
            hint="Give the camera a Camera Solver constraint, or set the clip's distortion to zero where its pictures have none.",
            code="clip-unusable",
        )


def _seen(
    shot: Shot,
    frame: int,
    depsgraph: bpy.types.Depsgraph,
    scene: bpy.types.Scene,
    write: movies.Write,
    place: Path,
) -> Photograph:
    """The photograph of a shot at a frame, for which `depsgraph` is evaluated."""
    clip, item = shot.clip, shot.item
    if clip is None and item is not None and item.source == "MOVIE_CLIP":
        clip = item.clip
    if clip is not None:
        picture, size = frames.clip_picture(clip, frame), (clip.size[0], clip.size[1])
        shape = clip.display_aspect
    else:
        assert item is not None
        picture = _image_picture(item, frame)
        size = _size(picture) if isinstance(picture, Path) else (item.image.size[0], item.image.size[1])
        shape = item.image.display_aspect
    name = f"{shot.name}_{frame:04}"
    file = _file(picture, size, name, write, place)
    distortion: dict[str, float] = {}
    if shot.clip is not None:
        pinhole, distortion = clips.lens(shot.clip)
        pose = clips.solved_pose(shot.clip, frame) if shot.camera is None else _pose(shot.camera, depsgraph)
    else:
        assert shot.camera is not None and item is not None
        camera = shot.camera.evaluated_get(depsgraph).data
        corners = camera.view_frame(scene=scene)
        pinhole, roll = photographs.placed(
            cameras.pinhole(camera, scene.render, whole=True),
            scene.render.pixel_aspect_y / scene.render.pixel_aspect_x,
            camera.background_images[list(shot.camera.data.background_images).index(item)],
            size,
            size[0] * shape[0] / (size[1] * shape[1]),
            abs(corners[0].x - corners[3].x),
        )
        pose = _pose(shot.camera, depsgraph) @ Matrix.Rotation(roll, 4, "Z")
    return Photograph(name, file, file.suffix.lower(), None, pinhole, distortion, pose)


def _pose(thing: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> Matrix:
    return cameras.pose(thing.evaluated_get(depsgraph))


def _image_picture(item: bpy.types.CameraBackgroundImage, frame: int) -> Path | frames.MovieFrame:
    """The file or the movie's frame that a background image shows at the scene's frame."""
    file = Path(bpy.path.abspath(item.image.filepath, library=item.image.library))
    number = frames.image_number(item.image_user, frame)
    if item.image.source == "MOVIE":
        return frames.MovieFrame(file, max(number - 1, 0))
    return frames.numbered(file, number)


def _size(file: Path) -> tuple[int, int]:
    """Width and height of an image file; a sequence's own size is that of a frame 0, which need not be there."""
    if known := image_header.size(file):
        return known
    image = bpy.data.images.load(str(file), check_existing=False) if file.is_file() else None
    if image is None:
        return (0, 0)
    try:
        return (image.size[0], image.size[1])
    finally:
        bpy.data.images.remove(image)


def _file(
    picture: Path | frames.MovieFrame, size: tuple[int, int], name: str, write: movies.Write, place: Path
) -> Path:
    """The picture as a file; RequestError where there is none."""
    stored = picture if isinstance(picture, Path) else picture.file
    if not stored.is_file() or not all(size):
        raise RequestError(
            f"the picture of {name!r} is not there: {stored}" if not stored.is_file() else f"{stored} cannot be read",
            hint="Find the file, or leave its frame out of the scene's range.",
            code="image-missing",
        )
    if isinstance(picture, Path):
        if picture.suffix.lower() not in SUFFIXES:
            raise RequestError(
                f"the picture of {name!r} is of an unknown kind: {picture.name}",
                hint=f"Use one of {', '.join(sorted(SUFFIXES))}.",
                code="background-unusable",
            )
        return picture
    file = place / f"{picture.file.stem}_{picture.index + 1:04}.png"  # masks are named like this
    if not file.exists():
        write(picture, size, file)
    return file
