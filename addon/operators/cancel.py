"""unrender.cancel: stop the running reconstruction."""

from __future__ import annotations

import bpy

from .. import job, watch


class UNRENDER_OT_cancel(bpy.types.Operator):
    """Stop the reconstruction; it can be resumed from where it stopped"""

    bl_idname = "unrender.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only while one runs, here or in a Blender before this one."""
        if watch.running() or job.standing(context.scene.unrender.job_folder()) == "running":
            return True
        cls.poll_message_set("No reconstruction is running")
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        watched = watch.current()
        if watched is not None and watched.state == "running":
            watched.job.cancel()
        else:
            job.stop_elsewhere(context.scene.unrender.job_folder())
        return {"FINISHED"}


def register() -> None:
    """Add the operator."""
    bpy.utils.register_class(UNRENDER_OT_cancel)


def unregister() -> None:
    """Take it away."""
    bpy.utils.unregister_class(UNRENDER_OT_cancel)
