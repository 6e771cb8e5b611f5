"""Views out of the scene."""

from __future__ import annotations

from typing import Any

import bpy

from ..exporter import checks
from ..operators import export_views, sliced
from .base import Panel


class UNRENDER_PT_export(Panel):
    """Views out of the scene."""

    bl_idname = "UNRENDER_PT_export"
    bl_label = "Capture"

    def draw(self, context: bpy.types.Context) -> None:
        """Blender calls this."""
        settings = context.scene.unrender
        column = self.column()
        column.prop(settings, "folder")
        column.prop(settings, "source")
        if settings.source == "FOLDER":
            column.prop(settings, "image_folder")
            column.prop(settings, "box")
            self.say(column, context)
            return
        if settings.source == "RIG":
            column.prop(settings, "count")
            column.prop(settings, "resolution")
        if settings.source == "CLIP":
            column.prop(settings, "clip")
        if settings.source in {"PHOTOS", "CLIP"}:
            column.prop(settings, "frames")
        column.prop(settings, "held_out")
        column.prop(settings, "box")
        if settings.source in {"PHOTOS", "CLIP"}:
            column.prop(settings, "mask_folder")
        else:
            column.prop(settings, "engine")
            column.prop(settings, "samples")
            self.masks(column, settings)
        self.say(column, context)
        running = export_views.progress()
        if sliced.draw(column, export_views.UNRENDER_OT_export_views.bl_label):
            return
        if running is None:
            column.operator(export_views.UNRENDER_OT_export_views.bl_idname, icon="RENDER_STILL")
            if export_views.last_message():
                column.label(text=export_views.last_message())
            return
        done, total = running
        column.progress(factor=done / max(total, 1), text=f"View {done} of {total}")
        column.operator(export_views.UNRENDER_OT_cancel_export.bl_idname, icon="CANCEL")

    @staticmethod
    def masks(column: bpy.types.UILayout, settings: Any) -> None:
        """What is to be seen in rendered views."""
        column.prop(settings, "mask")
        if settings.mask == "INDEX":
            column.prop(settings, "mask_index")
        elif settings.mask == "ALPHA":
            column.prop(settings, "only_selected")

    @staticmethod
    def say(column: bpy.types.UILayout, context: bpy.types.Context) -> None:
        """What is wrong with the capture, in words."""
        for message in checks.remembered(context):
            column.label(text=message, icon="INFO")


CLASSES = (UNRENDER_PT_export,)
