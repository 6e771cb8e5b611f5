"""What is wrong with a capture before it is begun, in words. Cheap enough to be drawn: no image is opened, no mesh is evaluated."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import bpy

from ...backend.contract import RequestError
from . import clips, folder, moving, photographs

FEW = 12  # views under which a reconstruction guesses more than it sees
LASTS = 1.0  # seconds for which a look at the files is trusted
PLAIN = folder.PLAIN | {".mov", ".mp4", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mts"}  # files without alpha


class _Memory:
    """The last look: which settings it was about, when it was, and what it found."""

    about: tuple[object, ...] = ()
    at = 0.0
    messages: tuple[str, ...] = ()


def remembered(context: bpy.types.Context) -> tuple[str, ...]:
    """`messages` for a draw function: looked at anew when the settings changed, or after a second."""
    settings = context.scene.unrender
    about = (
        context.scene.name, settings.source, settings.image_folder, settings.mask_folder, settings.count,
        settings.held_out, settings.only_selected, settings.mask, settings.mask_index, settings.engine, settings.frames,
        settings.clip and settings.clip.name, *(thing.name for thing in selected_objects(context)),
    )  # fmt: skip
    now = time.monotonic()
    if about != _Memory.about or now - _Memory.at > LASTS:
        _Memory.about, _Memory.at, _Memory.messages = about, now, tuple(messages(context))
    return _Memory.messages


def messages(context: bpy.types.Context) -> list[str]:
    """Sentences on what is wrong or doubtful with the capture as it is set; none when all is well."""
    settings = context.scene.unrender
    if settings.source == "FOLDER":
        chosen = bpy.path.abspath(settings.image_folder)
        return list(folder.messages(Path(chosen))) if chosen else ["No image folder is chosen"]
    cameras = camera_objects(context)
    found: list[str] = []
    if settings.source in {"PHOTOS", "SCENE"}:
        found += _cameras(cameras)
    if settings.source == "PHOTOS":
        found += _photographs(cameras, context.scene)
    if settings.source in {"PHOTOS", "CLIP"}:
        found += _masks(context)
    elif settings.mask != "ALPHA" and settings.engine != "CYCLES":
        found.append("EEVEE cannot light with objects that it does not show; choose Cycles for this mask")
    elif settings.mask == "INDEX" and not indexed_objects(context):
        found.append(f"No object has the pass index {settings.mask_index}")
    elif settings.mask != "INDEX" and (
        settings.source == "RIG" or settings.only_selected or settings.mask == "SELECTED"
    ):
        found += _selection(selected_objects(context))
    if cameras or settings.source in {"RIG", "CLIP"}:
        try:
            views = view_count(context) - settings.held_out
        except RequestError as error:
            return found if settings.source == "PHOTOS" else [*found, _sentence(error)]
        if views < 2:
            found.append(f"{max(views, 0)} views are left to fit; hold fewer out, or add cameras")
        elif views < FEW:
            found.append(f"Only {views} views to fit; 24 and more work well")
    return found


def view_count(context: bpy.types.Context) -> int:
    """Views that an export writes, those held out included; RequestError where a clip or a background cannot be used."""
    settings, scene = context.scene.unrender, context.scene
    if settings.source == "RIG":
        return int(settings.count + settings.held_out)
    if settings.source == "CLIP":
        return len(moving.of_clip(settings.clip or scene.active_clip, scene, settings.frames).frames)
    cameras = camera_objects(context)
    changing = moving.shots(cameras, scene, settings.frames) if settings.source == "PHOTOS" else []
    return len(cameras) - len(changing) + sum(len(shot.frames) for shot in changing)


def indexed_objects(context: bpy.types.Context) -> list[bpy.types.Object]:
    """The view layer's objects with the pass index of the settings."""
    wanted = context.scene.unrender.mask_index
    known = [thing for thing in context.view_layer.objects if thing.type not in {"CAMERA", "LIGHT", "EMPTY"}]
    return [thing for thing in known if thing.pass_index == wanted]


def selected_objects(context: bpy.types.Context) -> list[bpy.types.Object]:
    """What is selected and can be seen. `blender --command` has no window, and its context then no member of this name."""
    layer = context.view_layer
    return [thing for thing in layer.objects.selected if thing.visible_get(view_layer=layer)]


def camera_objects(context: bpy.types.Context) -> list[bpy.types.Object]:
    """The selected cameras, or all of the scene's where none is selected, by name."""
    selected = [thing for thing in selected_objects(context) if thing.type == "CAMERA"]
    found = selected or [thing for thing in context.scene.objects if thing.type == "CAMERA"]
    return sorted(found, key=lambda thing: thing.name)


def _cameras(cameras: Sequence[bpy.types.Object]) -> Iterator[str]:
    if not cameras:
        yield "The scene has no camera"
    for thing in cameras:
        if thing.data.type != "PERSP":
            yield f"Camera {thing.name} is {thing.data.type.lower()}; only perspective ones can be used"
        elif thing.matrix_world.determinant() <= 0.0:
            yield f"Camera {thing.name} is mirrored or flattened by its scale"


def _photographs(cameras: Iterable[bpy.types.Object], scene: bpy.types.Scene) -> Iterator[str]:
    for thing in cameras:
        try:
            if not moving.shots([thing], scene, 1):
                photographs.image_file(thing.data, photographs.background(thing.data))
        except RequestError as error:
            yield _sentence(error)


def _masks(context: bpy.types.Context) -> Iterator[str]:
    """What is missing of the photographs' masks."""
    settings, scene = context.scene.unrender, context.scene
    masks = Path(bpy.path.abspath(settings.mask_folder)) if settings.mask_folder else None
    if masks is not None and not masks.is_dir():
        yield f"The mask folder {masks} is not there"
    stored = []
    if settings.source == "CLIP":
        clip = settings.clip or scene.active_clip
        stored = [clip.filepath] if clip is not None else []
    else:
        for thing in camera_objects(context):
            solved = clips.followed(thing, scene)
            shown = [item for item in thing.data.background_images if item.show_background_image]
            contents = [item.clip if item.source == "MOVIE_CLIP" else item.image for item in shown]
            stored += [block.filepath for block in contents or [solved] if block is not None]
    if masks is None and any(Path(name).suffix.lower() in PLAIN for name in stored):
        yield "Photographs of a kind without alpha need a folder of masks"


def _sentence(error: RequestError) -> str:
    return str(error)[0].upper() + str(error)[1:]


def _selection(selected: Sequence[bpy.types.Object]) -> Iterator[str]:
    things = [thing for thing in selected if thing.type not in {"CAMERA", "LIGHT"}]
    if not things:
        yield "No object is selected"
    family = [part for thing in things for part in (thing, *thing.children_recursive)]
    if things and all(part.type == "MESH" and not part.data.polygons and not part.modifiers for part in family):
        yield "The selected objects have no faces"
