"""The views as the scene's settings ask for them, rendered in this Blender or copied, whoever asks."""

from __future__ import annotations

import contextlib
from pathlib import Path

import bpy

from ...backend.contract import RequestError
from ..slices import Slices, finish
from . import checks, photographed, photographs, rendered, studio


def export(context: bpy.types.Context, folder: Path, on_view: rendered.OnView) -> int:
    """Write the job folder as the scene's settings say; returns how many views it has."""
    settings = context.scene.unrender
    depsgraph = context.evaluated_depsgraph_get()
    if settings.source == "FOLDER":
        raise RequestError(
            "an image folder needs no export", hint="Press Reconstruct; the folder is read as it is.", code="source"
        )
    if settings.source == "PHOTOS":
        return finish(copying(context, folder, on_view))
    things = with_children(checks.selected_objects(context))
    chosen = [thing for thing in things if thing.type not in {"CAMERA", "LIGHT"}]
    with contextlib.ExitStack() as stack:
        if settings.source == "RIG":
            size = (settings.resolution, settings.resolution)
            views = stack.enter_context(rendered.rig_views(chosen, depsgraph, settings.count, settings.held_out, size))
        else:
            size = None
            views = stack.enter_context(
                rendered.scene_camera_views(checks.camera_objects(context), depsgraph, settings.held_out)
            )
        only = chosen if settings.only_selected else None
        if only is not None and not chosen:
            raise RequestError(
                "no object is selected",
                hint="Select what is to be reconstructed, or switch Only Selected off.",
                code="selection-empty",
            )
        quality = studio.Quality(size=size, samples=settings.samples, engine=settings.engine)
        rendered.write(context.scene, context.view_layer, views, quality, folder, only, on_view)
        return len(views)


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
