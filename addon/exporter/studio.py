"""The temporary scene that pictures are taken in: a copy of the user's, with all that would alter a pixel switched off."""

from __future__ import annotations

import contextlib
import ctypes.util
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import bpy

from ...backend import contract


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How pictures are taken: size in pixels (None keeps the scene's), samples a pixel, and the random seed of the first.

    `surroundings` are the objects besides those that are to be seen, where such are given: 'ABSENT', or 'UNSEEN', when they still light,
    shade and are mirrored, but no camera ray meets them.
    """

    size: tuple[int, int] | None
    samples: int
    seed: int = 0
    engine: str = "CYCLES"  # or 'EEVEE'
    surroundings: str = "ABSENT"


@contextlib.contextmanager
def studio_scene(
    scene: bpy.types.Scene,
    view_layer: bpy.types.ViewLayer,
    quality: Quality,
    only: Iterable[bpy.types.Object] | None,
) -> Iterator[tuple[bpy.types.Scene, bpy.types.Object]]:
    """A copy of the scene that renders plain, linear, transparent pictures, and the camera it looks through."""
    if quality.engine == "CYCLES" and not hasattr(scene, "cycles"):
        raise contract.EnvironmentFault(
            "Cycles is not available",
            hint="Enable the add-on Cycles Render Engine in the preferences.",
            code="no-cycles",
        )
    if quality.engine != "CYCLES" and not _can_draw():
        raise contract.EnvironmentFault(
            "EEVEE needs a display or the library EGL, and Blender would end at once without either",
            hint="Choose Cycles, install libegl1, or run Blender with a display.",
            code="no-display",
        )
    if quality.engine != "CYCLES" and only is not None and quality.surroundings == "UNSEEN":
        raise contract.RequestError(
            "EEVEE cannot light with objects that it does not show, which this mask asks for",
            hint="Choose Cycles, or the mask All That Is Seen.",
            code="mask-engine",
        )
    studio = scene.copy()
    rest: bpy.types.Collection | None = None
    placeholder = bpy.data.cameras.new("Unrender Camera")
    camera = bpy.data.objects.new("Unrender Camera", placeholder)
    try:
        if only is not None and quality.surroundings == "UNSEEN":
            rest = _keep_unseen(studio, view_layer, set(only))
        elif only is not None:
            _show_only(studio, set(only) | {thing for thing in view_layer.objects if _shines(thing)})
        studio.collection.objects.link(camera)
        studio.timeline_markers.clear()  # a marker may switch the camera
        studio.camera = camera
        for layer in studio.view_layers:
            layer.use = layer.name == view_layer.name
            layer.samples = 0
        _plain_pictures(studio, quality)
        yield studio, camera
    finally:
        studio.render.use_persistent_data = False  # frees what the renderer kept, which still points into this scene
        bpy.data.objects.remove(camera)
        bpy.data.cameras.remove(placeholder)
        bpy.data.scenes.remove(studio)
        if rest is not None:
            bpy.data.collections.remove(rest)


@contextlib.contextmanager
def bystander(scene: bpy.types.Scene) -> Iterator[None]:
    """Renders inside the block leave the scene in the window alone.

    At its end a render evaluates the animation of the context's scene once more, and changes that are not keyed would be lost. So the
    context has an empty scene, of the frame that is to be rendered: a still is rendered at the frame of the context's scene.
    """
    empty = bpy.data.scenes.new("Unrender Bystander")
    try:
        empty.frame_set(scene.frame_current, subframe=scene.frame_subframe)
        with bpy.context.temp_override(scene=empty, view_layer=empty.view_layers[0]):
            yield
    finally:
        bpy.data.scenes.remove(empty)


def _can_draw() -> bool:
    """Whether this process can have a graphics context. Asked for one in vain, Blender aborts."""
    if sys.platform != "linux" or not bpy.app.background:
        return True
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(display) or ctypes.util.find_library("EGL") is not None


def _shines(thing: bpy.types.Object) -> bool:
    """A light that some collection lets a render see; out of its collections it would shine regardless."""
    return thing.type == "LIGHT" and any(not collection.hide_render for collection in thing.users_collection)


def _show_only(studio: bpy.types.Scene, objects: set[bpy.types.Object]) -> None:
    for child in list(studio.collection.children):
        studio.collection.children.unlink(child)
    for thing in list(studio.collection.objects):
        studio.collection.objects.unlink(thing)
    for thing in sorted(objects, key=lambda item: item.name):
        studio.collection.objects.link(thing)


def _keep_unseen(
    studio: bpy.types.Scene, view_layer: bpy.types.ViewLayer, seen: set[bpy.types.Object]
) -> bpy.types.Collection:
    """Put all that a render shows, but for `seen`, into one collection that only indirect light meets; returns it."""
    shown = _rendered(view_layer.layer_collection) - seen
    _show_only(studio, seen)
    rest = bpy.data.collections.new("Unrender Surroundings")
    studio.collection.children.link(rest)
    for thing in sorted(shown, key=lambda item: item.name):
        rest.objects.link(thing)
    layer = studio.view_layers[view_layer.name].layer_collection
    layer.children[rest.name].indirect_only = True
    return rest


def _rendered(layer: bpy.types.LayerCollection) -> set[bpy.types.Object]:
    """The objects that a layer collection, and those below it, let a render see."""
    if layer.exclude or layer.collection.hide_render:
        return set()
    below = [_rendered(child) for child in layer.children if not layer.collection.hide_render]
    return set(layer.collection.objects).union(*below)


def _plain_pictures(studio: bpy.types.Scene, quality: Quality) -> None:
    """Everything between the light and the file that would alter a pixel is switched off."""
    render = studio.render
    render.engine = quality.engine if quality.engine == "CYCLES" else eevee(bpy.app.version)
    if quality.size is not None:
        render.resolution_x, render.resolution_y = quality.size
        render.resolution_percentage, render.pixel_aspect_x, render.pixel_aspect_y = 100, 1.0, 1.0
        render.use_border = False
    render.use_crop_to_border = (
        True  # outside a border that is not cropped nothing is rendered, which would read as background
    )
    for name in (
        "use_compositing", "use_sequencer", "use_multiview", "use_simplify", "use_motion_blur", "use_freestyle", "use_stamp",
        "use_overwrite",
    ):  # fmt: skip
        if hasattr(render, name):  # builds leave some of them out
            setattr(render, name, name == "use_overwrite")
    render.film_transparent = True
    render.use_persistent_data = True
    render.use_file_extension = True
    if quality.engine == "CYCLES":
        _plain_cycles(studio, quality.samples)
    else:
        studio.eevee.taa_render_samples = quality.samples
        # samples all over the pixel's square, little of its neighbours'; far below 0.7 EEVEE sees its centre alone
        render.filter_size = 0.71
    settings = render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format = "OPEN_EXR"
    settings.color_mode, settings.color_depth, settings.exr_codec = "RGBA", "32", "ZIP"
    settings.color_management = "FOLLOW_SCENE"


def eevee(version: tuple[int, int, int]) -> str:
    """The identifier of EEVEE in a version of Blender."""
    return "BLENDER_EEVEE" if version >= (5, 0, 0) else "BLENDER_EEVEE_NEXT"


def _plain_cycles(studio: bpy.types.Scene, samples: int) -> None:
    cycles = studio.cycles
    cycles.samples = samples
    cycles.use_adaptive_sampling = False
    cycles.use_denoising = False
    cycles.film_exposure = 1.0
    cycles.pixel_filter_type = "BOX"  # each pixel is the mean over its own square, which is what a fit compares with
    cycles.use_animated_seed = False
