"""The asset into the scene."""

from __future__ import annotations

import bpy

from ..operators.import_result import UNRENDER_OT_import_result
from .base import Panel


class UNRENDER_PT_import(Panel, bpy.types.Panel):
    """The asset into the scene."""

    bl_idname = "UNRENDER_PT_import"
    bl_label = "Import"

    def draw(self, context: bpy.types.Context) -> None:
        """Blender calls this."""
        settings = context.scene.unrender
        column = self.column()
        column.prop(settings, "import_world")
        column.prop(settings, "import_cameras")
        row = self.layout.row()
        row.operator(UNRENDER_OT_import_result.bl_idname, icon="IMPORT").directory = str(settings.job_folder())


CLASSES = (UNRENDER_PT_import,)
