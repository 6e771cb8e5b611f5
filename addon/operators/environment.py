"""The buttons of the preferences: make, cancel, check and remove the backend's environment, and open the log.

None of them waits in the window: the work goes on in a thread that a timer follows. In background mode they block to the end.
"""

import time

import bpy

from ...backend.contract import EnvironmentFault
from .. import environment_work, preferences
from ..installer.checking import Checking, Removing
from ..installer.making import Making
from ..installer.task import Task
from . import open_file

_LOOK_SECONDS = 0.1


class _Work(bpy.types.Operator):
    """What the operators that begin work share; it is not registered itself."""

    wait: bpy.props.BoolProperty(
        name="Wait",
        description="Return only when it is done. Always so in background mode, unless this is set to off by a script",
        options={"SKIP_SAVE", "HIDDEN"},
    )

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """One at a time."""
        if environment_work.busy():
            cls.poll_message_set("Work on the environment is going on")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        try:
            task = self.begin(context)
        except EnvironmentFault as fault:
            return self.refuse(fault)
        environment_work.follow(task)
        blocking = self.wait if self.properties.is_property_set("wait") else bpy.app.background
        return self.follow_to_end(task) if blocking else {"FINISHED"}

    def begin(self, context: bpy.types.Context) -> Task:
        """Start the work; each operator has its own."""
        raise NotImplementedError

    def follow_to_end(self, task: Task) -> set[str]:
        """Block, telling each new stage on standard output."""
        told = ""
        try:
            while task.state == "running":
                if task.says != told:
                    told = task.says
                    print(f"Unrender: {told}", flush=True)  # noqa: T201 - background mode has no other window
                time.sleep(_LOOK_SECONDS)
        except BaseException:
            task.cancel()
            task.wait(10.0)
            raise
        environment_work.settle()
        if task.failure is not None:
            return self.refuse(task.failure)
        if task.state == "cancelled":
            return {"CANCELLED"}
        self.report({"INFO"}, preferences.environment_status(bpy.context).reason)
        return {"FINISHED"}

    def refuse(self, fault: EnvironmentFault) -> set[str]:
        """Say why not."""
        self.report({"ERROR"}, f"{fault}. {fault.hint}" if fault.hint else str(fault))
        return {"CANCELLED"}


class UNRENDER_OT_make_environment(_Work):
    """Make the environment that the backend runs in, with the packages for this computer. Blender's own Python is left alone"""

    bl_idname = "unrender.make_environment"
    bl_label = "Make Environment"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where the packages can be had."""
        if not super().poll(context):
            return False
        try:
            preferences.plan.refuse_offline(preferences.wish(preferences.get(context)))
        except EnvironmentFault as fault:
            cls.poll_message_set(f"{fault}. {fault.hint}")
            return False
        return True

    def begin(self, context: bpy.types.Context) -> Task:
        """Start making it."""
        stored = preferences.get(context)
        return Making(preferences.wish(stored), preferences.place(stored), preferences.LOCK, preferences.ROOT_FOLDER)


class UNRENDER_OT_check_backend(_Work):
    """Ask the backend's Python whether it has all it needs"""

    bl_idname = "unrender.check_backend"
    bl_label = "Check Backend"

    def begin(self, context: bpy.types.Context) -> Task:
        """Start the doctor."""
        return Checking(preferences.backend_python(context), preferences.ROOT_FOLDER)


class UNRENDER_OT_remove_environment(_Work):
    """Delete the backend's environment, its downloads and its log. It can be made again"""

    bl_idname = "unrender.remove_environment"
    bl_label = "Remove Environment"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where there is one."""
        if not super().poll(context):
            return False
        if not preferences.home(preferences.get(context)).is_dir():
            cls.poll_message_set("There is no environment that Unrender keeps")
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask first."""
        return context.window_manager.invoke_confirm(self, event)

    def begin(self, context: bpy.types.Context) -> Task:
        """Start deleting."""
        return Removing(preferences.place(preferences.get(context)))


class UNRENDER_OT_cancel_environment(bpy.types.Operator):
    """Stop the work on the environment. What was downloaded is kept for the next time"""

    bl_idname = "unrender.cancel_environment"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Only while something goes on."""
        if not environment_work.busy():
            cls.poll_message_set("No work on the environment is going on")
            return False
        return True

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        task = environment_work.current()
        if task is not None:
            task.cancel()
        return {"FINISHED"}


class UNRENDER_OT_open_environment_log(bpy.types.Operator):
    """Open what the making of the environment said, in the system's text viewer"""

    bl_idname = "unrender.open_environment_log"
    bl_label = "Open Log"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where there is one."""
        try:
            there = preferences.place(preferences.get(context)).log.is_file()
        except EnvironmentFault:
            there = False
        if not there:
            cls.poll_message_set("There is no log yet")
        return there

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        return open_file.opened(preferences.place(preferences.get(context)).log)


CLASSES = (
    UNRENDER_OT_make_environment,
    UNRENDER_OT_check_backend,
    UNRENDER_OT_remove_environment,
    UNRENDER_OT_cancel_environment,
    UNRENDER_OT_open_environment_log,
)


def register() -> None:
    """Add the operators."""
    environment_work.register()
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away, and end what goes on."""
    environment_work.unregister()
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
