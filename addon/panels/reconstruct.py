"""The backend's run."""

from __future__ import annotations

import bpy

from ...backend import contract
from .. import job, watch
from ..operators.reconstruct import UNRENDER_OT_reconstruct
from .base import Panel
from .progress import draw_running


class UNRENDER_PT_reconstruct(Panel, bpy.types.Panel):
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
            draw_running(below)
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


CLASSES = (UNRENDER_PT_reconstruct,)
