"""Follows the one running job for the user interface: drains its events, keeps what the panel shows, and ends it with Blender."""

from __future__ import annotations

from dataclasses import dataclass, field

import bpy

from ..backend import contract
from .job import Job

INTERVAL = 0.3  # seconds between two looks


@dataclass
class Watched:
    """A job and the last of each thing it said."""

    job: Job
    state: str = "running"
    progress: contract.Progress | None = None
    preview: contract.Preview | None = None
    device: str = ""
    warnings: list[str] = field(default_factory=list)
    result: str = ""

    def take(self) -> list[contract.Event]:
        """Read what is new; returns it."""
        events = self.job.poll()
        for event in events:
            if isinstance(event, contract.Progress):
                self.progress = event
            elif isinstance(event, contract.Preview):
                self.preview = event
            elif isinstance(event, contract.Started):
                self.device = event.device
            elif isinstance(event, contract.Warned):
                self.warnings.append(event.message)
            elif isinstance(event, contract.Finished):
                self.result = event.result
        self.state = self.job.state
        return events

    def headline(self) -> str:
        """One line: where the job stands."""
        if self.state == "failed" and self.job.failure:
            return self.job.failure.message.splitlines()[0]
        if self.state != "running":
            return self.state.title()
        if self.progress is None:
            return "Starting"
        step = f"{self.progress.stage.title()}, step {self.progress.step} of {self.progress.steps}"
        return step + (f", {clock(self.progress.eta)} left" if self.progress.eta is not None else "")

    def fraction(self) -> float:
        """Part of the present stage that is done, 0 to 1."""
        return self.progress.step / max(1, self.progress.steps) if self.progress else 0.0


class _Holder:
    """The one watched job. A class, so that it can be replaced without a global statement."""

    watched: Watched | None = None


def clock(seconds: float) -> str:
    """'1:05' or '2:00:05'."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def current() -> Watched | None:
    """The job started last, running or ended; None when there was none."""
    return _Holder.watched


def running() -> bool:
    """True while a job of this Blender runs."""
    return _Holder.watched is not None and _Holder.watched.state == "running"


def follow(job: Job) -> Watched:
    """Make `job` the watched one."""
    _Holder.watched = Watched(job)
    return _Holder.watched


def follow_by_timer(job: Job) -> None:
    """The same, looked at by a timer that outlives File > New; never in background mode, where timers do not fire."""
    follow(job)
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=INTERVAL, persistent=True)


def _tick() -> float | None:
    watched = _Holder.watched
    if watched is None:
        return None
    watched.take()
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()
    return INTERVAL if watched.state == "running" else None


def register() -> None:
    """Nothing to add: the timer comes with a job."""


def unregister() -> None:
    """Stop the timer and the job."""
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)
    if _Holder.watched is not None and _Holder.watched.state == "running":
        _Holder.watched.job.stop()
    _Holder.watched = None
