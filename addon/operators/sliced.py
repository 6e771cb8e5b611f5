"""Operators whose work is done in slices: the window lives meanwhile. A script and background mode get all of it at once."""

from __future__ import annotations

import contextlib
import time

import bpy

from ...backend import contract
from ..slices import Slice, Slices, finish

TICK = 0.01  # seconds between two looks
BUDGET = 0.02  # seconds of slices that are begun in one look; a slice takes up to 0.1
# the view can be turned while the scene is being changed; all else waits for those few looks
LOOKING = {"MIDDLEMOUSE", "WHEELUPMOUSE", "WHEELDOWNMOUSE", "TRACKPADPAN", "TRACKPADZOOM", "NDOF_MOTION", "MOUSEMOVE"}


class _Going:
    """The one that goes on in the window; a class, so that it can be replaced without a global statement."""

    label = ""
    now: Slice | None = None
    cancelled = False


def going(label: str = "") -> Slice | None:
    """Where the work in the window stands, of any operator or of the one with this label; None where none goes on."""
    return _Going.now if label in ("", _Going.label) else None


def hindrance() -> str:
    """Why no other can begin, or ''."""
    return f"{_Going.label} is not done yet" if _Going.now is not None else ""


def told(operator: bpy.types.Operator, error: Exception) -> set[str]:
    """Report a failure and what to do about it; nothing was done."""
    hint = getattr(error, "hint", "")
    if not hint and getattr(error, "code", "") in ("result-unreadable", "result-incomplete"):
        hint = "Reconstruct again: the job writes its result anew."
    operator.report({"ERROR"}, f"{str(error).rstrip('.')}. {hint}".strip())
    return {"CANCELLED"}


class Sliced(bpy.types.Operator):
    """What such operators share; it is not registered itself. A subclass gives its work in `slices`.

    Without 'REGISTER' in its `bl_options`, for Blender would repeat it at once and in one piece.
    """

    def slices(self, context: bpy.types.Context) -> Slices[None]:
        """The work. It raises UnrenderError or OSError with everything as it was, also when it is given up between two slices."""
        raise NotImplementedError

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Blender calls this for scripts and in background mode: all at once."""
        try:
            finish(self.slices(context))
        except (OSError, contract.UnrenderError) as error:
            return told(self, error)
        return {"FINISHED"}

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Blender calls this for a click: begin."""
        if bpy.app.background:
            return self.execute(context)
        self._work = self.slices(context)
        _Going.label, _Going.now, _Going.cancelled = self.bl_label, Slice(self.bl_label), False
        self._timer = context.window_manager.event_timer_add(TICK, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Blender calls this for every event of the window meanwhile."""
        waits = _Going.now is None or _Going.now.waits
        if _Going.cancelled or (event.type == "ESC" and event.value == "PRESS"):
            self.cancel(context)
            self.report({"INFO"}, f"{self.bl_label}: cancelled")
            return {"CANCELLED"}
        if event.type == "TIMER":
            return self.advance(context)
        passes = waits or event.type in LOOKING or event.type.startswith("TIMER")
        return {"PASS_THROUGH"} if passes else {"RUNNING_MODAL"}

    def advance(self, context: bpy.types.Context) -> set[str]:
        """Do slices until the window wants to be drawn again."""
        limit = time.perf_counter() + BUDGET
        try:
            while time.perf_counter() < limit:
                if (
                    context.mode != "OBJECT"
                ):  # gone into while it waited; a step of undo would not hold what is added there
                    _Going.now = Slice("Leave the present mode: it goes on in Object Mode", waits=True)
                    break
                _Going.now = next(self._work)
                if _Going.now.waits:
                    break
        except StopIteration:
            self.let_go(context)
            return {"FINISHED"}
        except (OSError, contract.UnrenderError) as error:
            self.let_go(context)
            return told(self, error)
        except BaseException:
            self.let_go(context)
            raise
        self.say(context, _Going.now)
        return {"PASS_THROUGH"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Give up; Blender calls this too, when another file is opened and at its end."""
        try:
            self._work.close()
        finally:
            self.let_go(context)

    def let_go(self, context: bpy.types.Context) -> None:
        """Leave the window as it was."""
        _Going.now = None
        context.window_manager.event_timer_remove(self._timer)
        self.say(context, None)

    @staticmethod
    def say(context: bpy.types.Context, now: Slice | None) -> None:
        """Where it stands, in the status bar and in the panels."""
        with contextlib.suppress(AttributeError):  # no workspace while Blender ends
            context.workspace.status_text_set(f"{now.says}   Esc: cancel" if now is not None else None)
        for window in context.window_manager.windows:
            for area in window.screen.areas:
                if area.type == "VIEW_3D":
                    area.tag_redraw()


class UNRENDER_OT_cancel_work(bpy.types.Operator):
    """Stop what this window does; the scene is as it was before. Esc does the same"""

    bl_idname = "unrender.cancel_work"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Only while there is something to stop."""
        if _Going.now is None:
            cls.poll_message_set("Nothing is being done")
            return False
        return True

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        _Going.cancelled = True
        return {"FINISHED"}


def draw(layout: bpy.types.UILayout, label: str) -> bool:
    """Draw a bar and a way out in place of the button called `label` while its work goes on; whether it does."""
    now = going(label)
    if now is None:
        return False
    row = layout.row(align=True)
    row.progress(factor=now.share or 0.0, text=now.says)
    row.operator(UNRENDER_OT_cancel_work.bl_idname, text="", icon="X")
    return True


def register() -> None:
    """Add the operator."""
    bpy.utils.register_class(UNRENDER_OT_cancel_work)


def unregister() -> None:
    """Take it away."""
    _Going.now = None
    bpy.utils.unregister_class(UNRENDER_OT_cancel_work)
