"""A result's pictures as image data-blocks."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import bpy

from . import marks

COLOR_SPACES = {
    "base_color": "sRGB",
    "orm": "Non-Color",
    "roughness": "Non-Color",
    "metallic": "Non-Color",
    "normal": "Non-Color",
    "environment": "Linear Rec.709",
}


def load(path: Path, name: str, kind: str, packed: bool, alpha: bool = False) -> bpy.types.Image:
    """The file as a new image in the colour space of its kind, whatever tag the file carries. It is decoded when it is first shown.

    Args:
        path: of a picture that `pictures.check` found whole: Blender loads anything, and shows pink for what it cannot read.
        packed: keep the image in the .blend; otherwise the file is read where it lies, by a relative path where the artist prefers one.
        alpha: it has one, which is a channel of its own: the colour counts where it is zero too.
    """
    image = bpy.data.images.load(str(path), check_existing=False)
    if packed:
        image.pack()
    elif bpy.data.filepath and bpy.context.preferences.filepaths.use_relative_paths:
        with contextlib.suppress(ValueError):  # on another drive of Windows
            image.filepath = bpy.path.relpath(str(path))
    image.colorspace_settings.name = COLOR_SPACES[kind]
    if alpha:
        image.alpha_mode = "CHANNEL_PACKED"
    image.name = f"{name} {title(kind)}"
    marks.mark_part(image, kind)
    return image


def title(kind: str) -> str:
    """'base_color' -> 'Base Color', 'orm' -> 'ORM'."""
    return "ORM" if kind == "orm" else kind.replace("_", " ").title()


def take_over(blocks: Any, old: bpy.types.ID, new: bpy.types.ID) -> None:
    """Put `new` wherever `old` is used, under its name, and remove `old` from `blocks`."""
    name = old.name
    old.user_remap(new)
    blocks.remove(old)
    new.name = name
