"""unrender.pause and unrender.resume: stop with a checkpoint, and go on from it; unrender.follow: look on at a job begun elsewhere."""

from __future__ import annotations

import bpy

from ...backend import contract
from .. import job, preferences, runs, watch
from . import reconstruct


class UNRENDER_OT_pause(bpy.types.Operator):
    """Stop once the present step is done and keep what is found, so that the memory is free for other work"""

    bl_idname = "unrender.pause"
    bl_label = "Pause"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only while one runs and was not asked yet."""
        if not watch.running():
            cls.poll_message_set("No reconstruction is running")
            return False
        watched = watch.current()
        if watched is not None and watched.job.paused:
            cls.poll_message_set("It pauses as soon as its step is done")
            return False
        return True

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        watched = watch.current()
        if watched is not None:
            watched.job.pause()
        return {"FINISHED"}


class UNRENDER_OT_resume(bpy.types.Operator):
    """Go on where the job in this folder stopped, with the settings it was begun with"""

    bl_idname = "unrender.resume"
    bl_label = "Resume"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where a job was begun that does not run."""
        folder = context.scene.unrender.job_folder()
        if watch.running() or job.standing(folder) == "running":
            cls.poll_message_set("A reconstruction is running already")
            return False
        if not contract.JobFolder(folder).state.is_dir():
            cls.poll_message_set("No reconstruction was begun in this job folder")
            return False
        try:
            preferences.backend_python(context)
        except contract.EnvironmentFault as fault:
            cls.poll_message_set(f"{fault}. {fault.hint}")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        return reconstruct.carry_out(self, lambda: runs.resume(context))


class UNRENDER_OT_follow(bpy.types.Operator):
    """Show the progress of the job in this folder, which another program or an earlier Blender has started"""

    bl_idname = "unrender.follow"
    bl_label = "Follow"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where one runs that is not followed yet."""
        if watch.running():
            cls.poll_message_set("A reconstruction is followed already")
            return False
        if job.standing(context.scene.unrender.job_folder()) != "running":
            cls.poll_message_set("No reconstruction is running in this job folder")
            return False
        return True

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        if bpy.app.background:
            self.report({"ERROR"}, "Without a window nothing can be followed; read log.txt in the job folder")
            return {"CANCELLED"}
        watch.find_running()
        return {"FINISHED"}


CLASSES = (UNRENDER_OT_pause, UNRENDER_OT_resume, UNRENDER_OT_follow)


def register() -> None:
    """Add the operators."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
