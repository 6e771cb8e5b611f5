"""The artist's own preset of the Reconstruct panel: kept, brought back, and forgotten, by Blender's preset system."""

from pathlib import Path

import bpy
from common import answer, install, module

install()
values = module("addon.properties.reconstruct").PRESET_VALUES
settings = bpy.context.scene.unrender
CHANGED = {
    "preset": "high",
    "triangles": 4321,
    "texture_size": "2048",
    "advanced": True,
    "grid_cells": 77,
    "seed": 5,
    "light_lock": False,
}
for name, value in CHANGED.items():
    setattr(settings, name, value)
settings.folder = "/mine"
kept = {name: getattr(settings, name) for name in values}
bpy.ops.unrender.add_preset(name="For Jars")
folders = bpy.utils.preset_paths("unrender/reconstruct")
files = [file for folder in folders for file in Path(folder).glob("*.py")]
bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
settings = bpy.context.scene.unrender
settings.folder = "/other"
other = sum(getattr(settings, name) != kept[name] for name in values)
bpy.ops.script.execute_preset(filepath=str(files[0]), menu_idname="UNRENDER_PT_presets")
restored = {name: getattr(settings, name) for name in values} == kept
label = bpy.types.UNRENDER_PT_presets.bl_label
bpy.ops.unrender.add_preset(name="For Jars", remove_name=True)
answer(
    files=[file.stem for file in files],
    other=other,
    restored=restored,
    folder=settings.folder,
    label=label,
    left=[str(file) for file in files if file.exists()],
    count=len(CHANGED),
)
