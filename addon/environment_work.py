"""The one piece of work on the environment that goes on, followed for the user interface; and what checks have found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from .installer.checking import Checking
from .installer.task import Task

INTERVAL = 0.25  # seconds between two looks
_PATIENCE = 5.0  # seconds that Blender's exit waits for what was started


class _Holder:
    """Replaced without a global statement."""

    task: Task | None = None
    checked: dict[Path, tuple[str, dict[str, Any]]] = {}


def current() -> Task | None:
    """The work begun last, going on or ended; None when there was none."""
    return _Holder.task


def busy() -> bool:
    """Something goes on."""
    return _Holder.task is not None and _Holder.task.state == "running"


def checked() -> dict[Path, tuple[str, dict[str, Any]]]:
    """What checks in this session found: interpreter -> (what is wrong or '', the doctor's report)."""
    return _Holder.checked


def follow(task: Task) -> None:
    """Make `task` the current one. In the window a timer that outlives File > New redraws for it."""
    _Holder.task = task
    if not bpy.app.background and not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=INTERVAL, persistent=True)


def settle() -> None:
    """Keep what an ended task has found."""
    task = _Holder.task
    if isinstance(task, Checking) and task.state in ("finished", "failed"):
        wrong = f"{task.failure} {task.failure.hint}".strip() if task.failure else ""
        _Holder.checked[task.interpreter] = (wrong, task.report)
    elif task is not None and task.state == "finished":
        _Holder.checked.clear()


def _tick() -> float | None:
    going_on = busy()
    if not going_on:
        settle()
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in {"PREFERENCES", "VIEW_3D"}:
                area.tag_redraw()
    return INTERVAL if going_on else None


def register() -> None:
    """Nothing to add: the timer comes with the work."""


def unregister() -> None:
    """Stop the timer and the work."""
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    if busy() and _Holder.task is not None:
        _Holder.task.cancel()
        _Holder.task.wait(_PATIENCE)
    _Holder.task = None
    _Holder.checked.clear()
