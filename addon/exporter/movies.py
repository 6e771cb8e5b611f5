"""Frames of movie files written as pictures, by Blender's own sequencer, without a change to any value."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy

from ...backend.contract import EnvironmentFault
from .frames import MovieFrame

COLORS = "sRGB"  # of strip, sequencer and display alike
Write = Callable[[MovieFrame, tuple[int, int], Path], None]


@contextlib.contextmanager
def writer() -> Iterator[Write]:
    """A function that writes a movie's frame, of a size in pixels, as a PNG. It works in a scene of its own, which goes with the block.

    The values are those stored in the movie, decoded: strip, sequencer and display share one colour space, so nothing is converted.
    """
    scene = bpy.data.scenes.new("Unrender Movie")
    scene.sequence_editor_create()
    editor = scene.sequence_editor
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences  # 4.4 named them anew
    _plain(scene)
    try:
        yield lambda frame, size, path: _write(scene, strips, frame, size, path)
    finally:
        bpy.data.scenes.remove(scene)


def _write(scene: bpy.types.Scene, strips: Any, frame: MovieFrame, size: tuple[int, int], path: Path) -> None:
    scene.render.resolution_x, scene.render.resolution_y = size
    try:
        strip = strips.new_movie("frame", str(frame.file), 1, scene.frame_current - frame.index)
    except RuntimeError as error:
        raise EnvironmentFault(
            f"{frame.file} cannot be decoded: {error}", hint="Convert it to an image sequence.", code="movie-unreadable"
        ) from error
    try:
        strip.colorspace_settings.name = COLORS
        scene.render.filepath = str(path)
        with bpy.context.temp_override(scene=scene, view_layer=scene.view_layers[0]):  # see studio.bystander
            bpy.ops.render.render(write_still=True, scene=scene.name)
    finally:
        strips.remove(strip)
    if not path.is_file():
        raise EnvironmentFault(f"{path} was not written", hint="Is the disk full?", code="not-written")


def _plain(scene: bpy.types.Scene) -> None:
    render = scene.render
    render.resolution_percentage, render.use_file_extension, render.dither_intensity = 100, False, 0.0
    render.use_sequencer, render.use_compositing, render.use_stamp = True, False, False
    # the stubs know the names of no color configuration
    shown: Any = scene
    shown.display_settings.display_device = shown.sequencer_colorspace_settings.name = COLORS
    shown.view_settings.view_transform, shown.view_settings.look = "Standard", "None"
    settings = render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGB", "8"
