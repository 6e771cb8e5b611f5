"""The asset into the scene, and what can be done with it there."""

from __future__ import annotations

import bpy

from ..operators import sliced
from ..operators.asset import (
    UNRENDER_OT_import_cameras,
    UNRENDER_OT_make_levels,
    UNRENDER_OT_mark_asset,
    UNRENDER_OT_restore_world,
)
from ..operators.import_result import (
    UNRENDER_OT_choose_result,
    UNRENDER_OT_import_finished,
    UNRENDER_OT_replace_finished,
)
from ..operators.open_file import UNRENDER_OT_open_log, UNRENDER_OT_open_report
from .base import Panel


class UNRENDER_PT_import(Panel):
    """The asset into the scene, and what can be done with it there."""

    bl_idname = "UNRENDER_PT_import"
    bl_label = "Result"

    def draw(self, context: bpy.types.Context) -> None:
        """Blender calls this."""
        settings = context.scene.unrender
        column = self.column()
        column.prop(settings, "import_world")
        column.prop(settings, "import_cameras")
        column.prop(settings, "pack_images")
        column = self.layout.column(align=True)
        if not sliced.draw(column, UNRENDER_OT_import_finished.bl_label):
            row = column.row(align=True)
            row.operator(UNRENDER_OT_import_finished.bl_idname, icon="IMPORT")
            row.operator(UNRENDER_OT_choose_result.bl_idname, text="", icon="FILEBROWSER").replace = False
        if not sliced.draw(column, UNRENDER_OT_replace_finished.bl_label):
            row = column.row(align=True)
            row.operator(UNRENDER_OT_replace_finished.bl_idname, icon="FILE_REFRESH")
            row.operator(UNRENDER_OT_choose_result.bl_idname, text="", icon="FILEBROWSER").replace = True
        column = self.layout.column(align=True)
        column.operator(UNRENDER_OT_import_cameras.bl_idname, icon="CAMERA_DATA")
        if not sliced.draw(column, UNRENDER_OT_make_levels.bl_label):
            column.operator(UNRENDER_OT_make_levels.bl_idname, icon="MOD_DECIM")
        column.operator(UNRENDER_OT_mark_asset.bl_idname, icon="ASSET_MANAGER")
        column.operator(UNRENDER_OT_restore_world.bl_idname, icon="WORLD")
        row = self.layout.row(align=True)
        row.operator(UNRENDER_OT_open_report.bl_idname, icon="DOCUMENTS")
        row.operator(UNRENDER_OT_open_log.bl_idname, icon="TEXT")


CLASSES = (UNRENDER_PT_import,)
