"""unrender.reconstruct: run the backend on the job folder; in the window beside Blender's own work, in background mode to its end."""

from collections.abc import Callable

import bpy

from ...backend import contract
from .. import job, preferences, runs, watch


class UNRENDER_OT_reconstruct(bpy.types.Operator):
    """Find the mesh, the materials and the light that explain the views"""

    bl_idname = "unrender.reconstruct"
    bl_label = "Reconstruct"

    restart: bpy.props.BoolProperty(
        name="Start Over",
        description="Forget what an earlier run in the job folder has found, its asset included",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """One at a time, and only where there are views."""
        if watch.running():
            cls.poll_message_set("A reconstruction is running already")
            return False
        if missing := runs.missing_views(context.scene.unrender):
            cls.poll_message_set(missing)
            return False
        try:
            preferences.backend_python(context)
        except contract.EnvironmentFault as fault:
            cls.poll_message_set(f"{fault}. {fault.hint}")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        return carry_out(self, lambda: runs.start(context, self.restart))


def carry_out(operator: bpy.types.Operator, begin: Callable[[], job.Job]) -> set[str]:
    """Start what `begin` starts: in the window it goes on beside Blender, in background mode until it is done. Failures are reported."""
    try:
        started = begin()
        if bpy.app.background:
            runs.follow_to_end(started)
        else:
            watch.follow_by_timer(started)
    except contract.UnrenderError as error:
        operator.report({"ERROR"}, " ".join(filter(None, (str(error), error.hint))))
        return {"CANCELLED"}
    except OSError as error:
        operator.report({"ERROR"}, f"The job folder cannot be used: {error}. Choose another one, or free space.")
        return {"CANCELLED"}
    return {"FINISHED"}


def register() -> None:
    """Add the operator."""
    bpy.utils.register_class(UNRENDER_OT_reconstruct)


def unregister() -> None:
    """Take it away."""
    bpy.utils.unregister_class(UNRENDER_OT_reconstruct)
