"""How the backend is asked to work."""

from __future__ import annotations

import bpy
from bl_ui.utils import PresetPanel

from ...backend import contract
from .. import job, watch
from ..operators.pause import UNRENDER_OT_resume
from ..operators.presets import SUBFOLDER, UNRENDER_OT_add_preset
from ..operators.reconstruct import UNRENDER_OT_reconstruct
from .base import Panel


class UNRENDER_PT_presets(PresetPanel, bpy.types.Panel):
    """The artist's own presets, in a menu of the Reconstruct panel's header."""

    bl_label = "Reconstruct Presets"
    preset_subdir = SUBFOLDER
    preset_operator = "script.execute_preset"
    preset_add_operator = UNRENDER_OT_add_preset.bl_idname


class UNRENDER_PT_reconstruct(Panel):
    """What is asked of the backend."""

    bl_idname = "UNRENDER_PT_reconstruct"
    bl_label = "Reconstruct"

    def draw_header_preset(self, _context: bpy.types.Context) -> None:
        """The presets' button."""
        UNRENDER_PT_presets.draw_panel_header(self.layout)

    def draw(self, context: bpy.types.Context) -> None:
        """Blender calls this."""
        settings = context.scene.unrender
        standing = job.standing(settings.job_folder())
        column = self.column()
        column.enabled = not watch.running()
        column.prop(settings, "preset")
        column.prop(settings, "device")
        column.prop(settings, "triangles")
        column.prop(settings, "texture_size")
        column.prop(settings, "light")
        if settings.light == "WORLD":
            column.prop(settings, "light_lock")
        below = self.layout.column()
        begun = contract.JobFolder(settings.job_folder()).state.is_dir()
        if begun and standing != "finished":
            below.operator(UNRENDER_OT_resume.bl_idname, icon="PLAY")
        if begun:
            below.operator(UNRENDER_OT_reconstruct.bl_idname, text="Start Over", icon="FILE_REFRESH").restart = True
        else:
            below.operator(UNRENDER_OT_reconstruct.bl_idname, icon="PLAY").restart = False


class UNRENDER_PT_advanced(Panel):
    """Single points of the preset."""

    bl_idname = "UNRENDER_PT_advanced"
    bl_label = "Advanced"
    bl_parent_id = UNRENDER_PT_reconstruct.bl_idname
    bl_options = {"DEFAULT_CLOSED"}

    def draw_header(self, context: bpy.types.Context) -> None:
        """The switch."""
        self.layout.prop(context.scene.unrender, "advanced", text="")

    def draw(self, context: bpy.types.Context) -> None:
        """Blender calls this."""
        settings = context.scene.unrender
        column = self.column()
        column.enabled = settings.advanced and not watch.running()
        for group in (
            ("view_resolution", "fit_exposure"),
            ("shape_method", "grid_cells", "shape_steps"),
            ("refine_steps", "light_resolution"),
            ("seed", "threads"),
        ):
            part = column.column(align=True)
            for name in group:
                part.prop(settings, name)


CLASSES = (UNRENDER_PT_presets, UNRENDER_PT_reconstruct, UNRENDER_PT_advanced)
