"""unrender.add_preset: the artist's own presets of the Reconstruct panel, kept by Blender's preset system in presets/unrender."""

from __future__ import annotations

import bpy
from bl_operators.presets import AddPresetBase

from ..properties.reconstruct import PRESET_VALUES

SUBFOLDER = "unrender/reconstruct"


class UNRENDER_MT_presets(bpy.types.Menu):
    """The presets that are kept."""

    bl_idname = "UNRENDER_MT_presets"
    bl_label = "Reconstruct Presets"
    preset_subdir = SUBFOLDER
    preset_operator = "script.execute_preset"
    draw = bpy.types.Menu.draw_preset


class UNRENDER_OT_add_preset(AddPresetBase, bpy.types.Operator):
    """Keep the settings of this panel under a name, or forget a kept preset"""

    bl_idname = "unrender.add_preset"
    bl_label = "Add Reconstruct Preset"
    preset_menu = "UNRENDER_MT_presets"
    preset_subdir = SUBFOLDER
    preset_defines = ("settings = bpy.context.scene.unrender",)
    preset_values = tuple(f"settings.{name}" for name in PRESET_VALUES)


CLASSES = (UNRENDER_MT_presets, UNRENDER_OT_add_preset)


def register() -> None:
    """Add the menu and the operator."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
