"""The sidebar in the 3D view, in the order of work. Drawing computes nothing beyond a look at the job folder."""

from __future__ import annotations

import bpy

from ..backend import contract
from . import job, watch
from .operators.cancel import UNRENDER_OT_cancel
from .operators.export_views import UNRENDER_OT_export_views
from .operators.import_result import UNRENDER_OT_import_result
from .operators.reconstruct import UNRENDER_OT_reconstruct


class _Panel:
    """What all panels share."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "Unrender"

    def column(self) -> bpy.types.UILayout:
        """A layout with labels on the left."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        return layout.column()


class UNRENDER_PT_export(_Panel, bpy.types.Panel):
    """Views out of the scene."""

    bl_idname = "UNRENDER_PT_export"
    bl_label = "Export"

    def draw(self, context: bpy.types.Context) -> None:
        """Blender calls this."""
        settings = context.scene.unrender
        column = self.column()
        column.prop(settings, "folder")
        column.prop(settings, "source")
        if settings.source == "RIG":
            column.prop(settings, "count")
            column.prop(settings, "resolution")
        column.prop(settings, "held_out")
        column.prop(settings, "samples")
        column.prop(settings, "only_selected")
        column.operator(UNRENDER_OT_export_views.bl_idname, icon="RENDER_STILL")


class UNRENDER_PT_reconstruct(_Panel, bpy.types.Panel):
    """The backend's run."""

    bl_idname = "UNRENDER_PT_reconstruct"
    bl_label = "Reconstruct"

    def draw(self, context: bpy.types.Context) -> None:
        """Blender calls this."""
        settings = context.scene.unrender
        column = self.column()
        column.enabled = not watch.running()
        column.prop(settings, "preset")
        column.prop(settings, "device")
        column.prop(settings, "triangles")
        column.prop(settings, "texture_size")
        below = self.layout.column()
        standing = job.standing(settings.job_folder())
        if watch.running() or standing == "running":
            self.draw_running(below)
            return
        begun = contract.JobFolder(settings.job_folder()).state.is_dir()
        text = "Resume" if begun and standing != "finished" else UNRENDER_OT_reconstruct.bl_label
        below.operator(UNRENDER_OT_reconstruct.bl_idname, text=text, icon="PLAY").restart = False
        if begun:
            below.operator(UNRENDER_OT_reconstruct.bl_idname, text="Start Over", icon="FILE_REFRESH").restart = True
        watched = watch.current()
        if watched is not None:
            below.label(text=watched.headline(), icon="ERROR" if watched.state == "failed" else "INFO")
            if watched.job.failure and watched.job.failure.hint:
                below.label(text=watched.job.failure.hint)

    def draw_running(self, below: bpy.types.UILayout) -> None:
        """Bar, figures and the way out."""
        watched = watch.current()
        if watched is not None and watched.state == "running":
            below.progress(factor=watched.fraction(), text=watched.headline())
            if watched.progress and watched.progress.psnr is not None:
                below.label(text=f"{watched.progress.psnr:.1f} dB on {watched.device}")
        else:
            below.label(text="Running, started elsewhere", icon="INFO")
        below.operator(UNRENDER_OT_cancel.bl_idname, icon="CANCEL")


class UNRENDER_PT_import(_Panel, bpy.types.Panel):
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


CLASSES = (UNRENDER_PT_export, UNRENDER_PT_reconstruct, UNRENDER_PT_import)


def register() -> None:
    """Add the panels."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
