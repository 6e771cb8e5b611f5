"""The views as the scene's settings ask for them, rendered in this Blender or copied, whoever asks."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import bpy

from ...backend.contract import RequestError
from ..slices import Slices, finish
from . import checks, moving, photographed, photographs, rendered, studio


def export(context: bpy.types.Context, folder: Path, on_view: rendered.OnView) -> int:
    """Write the job folder as the scene's settings say; returns how many views it has."""
    settings = context.scene.unrender
    depsgraph = context.evaluated_depsgraph_get()
    if settings.source == "FOLDER":
        raise RequestError(
            "an image folder needs no export", hint="Press Reconstruct; the folder is read as it is.", code="source"
        )
    if settings.source in {"PHOTOS", "CLIP"}:
        if changing := shots(context):
            return _frames(context, changing, folder, on_view)
        return finish(copying(context, folder, on_view))
    chosen, masked = _subject(context), settings.mask != "ALPHA"
    only = chosen if settings.only_selected or masked else None
    if not chosen and (settings.source == "RIG" or only is not None):
        raise _nothing(settings)
    with contextlib.ExitStack() as stack:
        if settings.source == "RIG":
            size = (settings.resolution, settings.resolution)
            views = stack.enter_context(rendered.rig_views(chosen, depsgraph, settings.count, settings.held_out, size))
        else:
            size = None
            views = stack.enter_context(
                rendered.scene_camera_views(checks.camera_objects(context), depsgraph, settings.held_out)
            )
        quality = studio.Quality(
            size=size, samples=settings.samples, engine=settings.engine, surroundings="UNSEEN" if masked else "ABSENT"
        )
        rendered.write(context.scene, context.view_layer, views, quality, folder, only, on_view)
        return len(views)


def shots(context: bpy.types.Context) -> list[moving.Shot]:
    """The clips, sequences and movies that the settings ask for; RequestError where one cannot be used."""
    settings, scene = context.scene.unrender, context.scene
    if settings.source == "CLIP":
        return [moving.of_clip(settings.clip or scene.active_clip, scene, settings.frames)]
    if settings.source == "PHOTOS":
        return moving.shots(checks.camera_objects(context), scene, settings.frames)
    return []


def _frames(context: bpy.types.Context, changing: list[moving.Shot], folder: Path, on_view: rendered.OnView) -> int:
    """Write the job folder from changing pictures, and from the photographs of the cameras that have no such."""
    settings, scene = context.scene.unrender, context.scene
    masks = Path(bpy.path.abspath(settings.mask_folder)) if settings.mask_folder else None
    seen = {shot.camera for shot in changing}
    still = (
        [thing for thing in checks.camera_objects(context) if thing not in seen] if settings.source == "PHOTOS" else []
    )
    found = photographs.read(still, scene, context.evaluated_depsgraph_get())
    with moving.opened(scene, context.view_layer, changing) as taken:
        photographed.write([*found, *taken], folder, settings.held_out, masks, on_view)
    return len(found) + len(taken)


def _subject(context: bpy.types.Context) -> list[bpy.types.Object]:
    """What is to be reconstructed: the objects with the mask's index, or the selected ones and all below them."""
    if context.scene.unrender.mask == "INDEX":
        return checks.indexed_objects(context)
    things = with_children(checks.selected_objects(context))
    return [thing for thing in things if thing.type not in {"CAMERA", "LIGHT"}]


def _nothing(settings: Any) -> RequestError:
    if settings.mask == "INDEX":
        return RequestError(
            f"no object has the pass index {settings.mask_index}",
            hint="Set it in Object Properties > Relations, or choose another Mask.",
            code="selection-empty",
        )
    return RequestError(
        "no object is selected",
        hint="Select what is to be reconstructed; views of the scene's cameras can also be taken with Only Selected off.",
        code="selection-empty",
    )


def copying(
    context: bpy.types.Context, folder: Path, on_view: rendered.OnView = lambda done, total: None
) -> Slices[int]:
    """Write the job folder from the photographs on the cameras' backgrounds, in slices; gives how many they are."""
    settings, depsgraph = context.scene.unrender, context.evaluated_depsgraph_get()
    held_out = settings.held_out
    masks = Path(bpy.path.abspath(settings.mask_folder)) if settings.mask_folder else None
    found = yield from photographs.reading(checks.camera_objects(context), context.scene, depsgraph)
    yield from photographed.writing(found, folder, held_out, masks, on_view)
    return len(found)


def with_children(objects: list[bpy.types.Object]) -> list[bpy.types.Object]:
    """The objects and everything parented below them, each once."""
    return list(dict.fromkeys(thing for root in objects for thing in (root, *root.children_recursive)))
