"""What is wrong with a capture before it is begun, in words. Cheap enough to be drawn: no image is opened, no mesh is evaluated."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import bpy

from ...backend.contract import RequestError
from . import photographs

FEW = 12  # views under which a reconstruction guesses more than it sees
LASTS = 1.0  # seconds for which a look at the files is trusted
FOLDER_FILES = {
    "transforms.json": "cameras as instant-ngp, nerfstudio and Unrender write them",
    "transforms_train.json": "cameras as the NeRF-synthetic sets have them",
}


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
        settings.held_out, settings.only_selected, *(thing.name for thing in selected_objects(context)),
    )  # fmt: skip
    now = time.monotonic()
    if about != _Memory.about or now - _Memory.at > LASTS:
        _Memory.about, _Memory.at, _Memory.messages = about, now, tuple(messages(context))
    return _Memory.messages


def messages(context: bpy.types.Context) -> list[str]:
    """Sentences on what is wrong or doubtful with the capture as it is set; none when all is well."""
    settings = context.scene.unrender
    if settings.source == "FOLDER":
        return list(_folder(settings.image_folder))
    cameras = camera_objects(context)
    found: list[str] = []
    if settings.source == "RIG":
        views = settings.count
    else:
        views = len(cameras) - settings.held_out
        found += _cameras(cameras)
    if settings.source == "PHOTOS":
        found += _photographs(cameras, settings.mask_folder)
    elif settings.source == "RIG" or settings.only_selected:
        found += _selection(selected_objects(context))
    if settings.source == "RIG" or cameras:
        if views < 2:
            found.append(f"{max(views, 0)} views are left to fit; hold fewer out, or add cameras")
        elif views < FEW:
            found.append(f"Only {views} views to fit; 24 and more work well")
    return found


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


def _photographs(cameras: Iterable[bpy.types.Object], mask_folder: str) -> Iterator[str]:
    masks = Path(bpy.path.abspath(mask_folder)) if mask_folder else None
    if masks is not None and not masks.is_dir():
        yield f"The mask folder {masks} is not there"
    alpha = True
    for thing in cameras:
        try:
            item = photographs.background(thing.data)
            photographs.refuse_clip(thing.data, item)
            file = photographs.image_file(thing.data, item)
        except RequestError as error:
            yield str(error)[0].upper() + str(error)[1:]
            continue
        alpha = alpha and (file is None or file.suffix.lower() not in {".jpg", ".jpeg", ".bmp", ".hdr"})
    if masks is None and not alpha:
        yield "Photographs of a kind without alpha need a folder of masks"


def _selection(selected: Sequence[bpy.types.Object]) -> Iterator[str]:
    things = [thing for thing in selected if thing.type not in {"CAMERA", "LIGHT"}]
    if not things:
        yield "No object is selected"
    family = [part for thing in things for part in (thing, *thing.children_recursive)]
    if things and all(part.type == "MESH" and not part.data.polygons and not part.modifiers for part in family):
        yield "The selected objects have no faces"


def _folder(image_folder: str) -> Iterator[str]:
    folder = Path(bpy.path.abspath(image_folder)) if image_folder else None
    if folder is None:
        yield "No image folder is chosen"
    elif not folder.is_dir():
        yield f"The folder {folder} is not there"
    else:
        known = [words for name, words in FOLDER_FILES.items() if (folder / name).is_file()]
        yield f"Found: {known[0]}" if known else f"No cameras in {folder.name}; expected {' or '.join(FOLDER_FILES)}"
