"""Follows the one job for the user interface: drains its events, keeps what the panel shows, and stops it with Blender."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import bpy
from bpy.app.handlers import persistent

from ..backend import contract
from . import live
from .coarse import Reader
from .elsewhere import Elsewhere
from .job import Job, standing

INTERVAL = 0.3  # seconds between two looks
FIRST_LOOK = 1.0  # seconds after the start, when the file is surely open


@dataclass
class Watched:
    """A job and the last of each thing it said."""

    job: Job | Elsewhere
    state: str = "running"
    progress: contract.Progress | None = None
    preview: contract.Preview | None = None
    mesh: contract.MeshUpdate | None = None
    device: str = ""
    warnings: list[str] = field(default_factory=list)
    result: str = ""
    meshes: int = 0  # how many came so far

    def take(self) -> list[contract.Event]:
        """Read what is new; returns it."""
        events = self.job.poll()
        for event in events:
            if isinstance(event, contract.Progress):
                self.progress = event
            elif isinstance(event, contract.Preview):
                self.preview = event
            elif isinstance(event, contract.MeshUpdate):
                self.mesh, self.meshes = event, self.meshes + 1
            elif isinstance(event, contract.Started):
                self.device = event.device
            elif isinstance(event, contract.Warned) and event.message not in self.warnings:
                self.warnings.append(event.message)
            elif isinstance(event, contract.Finished):
                self.result = event.result
        self.state = self.job.state
        return events

    def headline(self) -> str:
        """One line: where the job stands."""
        if self.state == "failed" and self.job.failure:
            return self.job.failure.message.splitlines()[0]
        if self.state == "cancelled":
            return "Paused" if self.job.paused else "Cancelled"
        if self.state != "running":
            return self.state.title()
        if self.job.paused:
            return "Pausing, once its step is done"
        if self.progress is None:
            return "Starting"
        step = f"{self.progress.stage.title()}, step {self.progress.step} of {self.progress.steps}"
        return step + (f", {clock(self.progress.eta)} left" if self.progress.eta is not None else "")

    def fraction(self) -> float:
        """Part of the present stage that is done, 0 to 1."""
        return min(1.0, self.progress.step / max(1, self.progress.steps)) if self.progress else 0.0


class _Holder:
    """The one watched job. A class, so that it can be replaced without a global statement."""

    watched: Watched | None = None
    pictures = live.Pictures()
    reader = Reader()
    meshes_asked = 0


def clock(seconds: float) -> str:
    """'1:05' or '2:00:05'."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def current() -> Watched | None:
    """The job started last, running or ended; None when there was none."""
    return _Holder.watched


def running() -> bool:
    """True while a job that this Blender follows runs."""
    return _Holder.watched is not None and _Holder.watched.state == "running"


def picture() -> int:
    """The icon of the preview picture; 0 where there is none."""
    return _Holder.pictures.icon()


def follow(job: Job | Elsewhere) -> Watched:
    """Make `job` the watched one."""
    _Holder.watched, _Holder.meshes_asked, _Holder.reader = Watched(job), 0, Reader()
    _Holder.pictures.clear()
    return _Holder.watched


def follow_by_timer(job: Job | Elsewhere) -> None:
    """The same, looked at by a timer that outlives File > New; never in background mode, where timers do not fire."""
    follow(job)
    if not bpy.app.timers.is_registered(tick):
        bpy.app.timers.register(tick, first_interval=INTERVAL, persistent=True)


def find_running() -> bool:
    """Follow a job that runs in a scene's job folder though this Blender did not start it; False where there is none."""
    if running():
        return False
    for scene in bpy.data.scenes:
        folder = scene.unrender.job_folder()
        if standing(folder) == "running":
            follow_by_timer(Elsewhere(folder))
            return True
    return False


def tick() -> float | None:
    """One look at the job; what the timer calls."""
    watched = _Holder.watched
    if watched is None:
        return None
    watched.take()
    show(watched)
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()
    return INTERVAL if watched.state == "running" else None


def show(watched: Watched) -> None:
    """Bring picture and mesh up to date, in the scene whose job folder it is; the mesh goes when the job ends."""
    scene = next((each for each in bpy.data.scenes if _same(each.unrender.job_folder(), watched.job.folder)), None)
    if watched.state != "running":
        live.remove()
        return
    if scene is None:  # another file is open; the job goes on without an onlooker
        return
    if not scene.unrender.live_mesh:
        live.remove()
    elif (
        watched.mesh is not None
        and (_Holder.meshes_asked != watched.meshes or not live.shown(scene))
        and _Holder.reader.ask(watched.job.folder / watched.mesh.path)
    ):
        _Holder.meshes_asked = watched.meshes
    arrays = _Holder.reader.take()
    if arrays is not None and scene.unrender.live_mesh:
        live.show_mesh(scene, *arrays)
    elif watched.preview is not None:  # one of the two in a tick is enough
        _Holder.pictures.show(watched.job.folder / watched.preview.path, scene.unrender.preview_part)


def _same(one: Path, other: Path) -> bool:
    return one.absolute() == other.absolute()


def _first_look() -> None:
    find_running()


@persistent
def _without_preview(*_: object) -> None:
    """Before a file is saved, and after one was opened that was saved by an accident: the next tick puts the mesh back."""
    live.remove()


@persistent
def _opened(*_: object) -> None:
    live.remove()
    if not bpy.app.background:
        find_running()


HANDLERS = (("save_pre", _without_preview), ("load_post", _opened))


def register() -> None:
    """Watch for files opened and saved; the timer comes with a job, this one's or one found running."""
    for name, function in HANDLERS:
        getattr(bpy.app.handlers, name).append(function)
    if not bpy.app.background:
        bpy.app.timers.register(_first_look, first_interval=FIRST_LOOK, persistent=True)


def unregister() -> None:
    """Stop the timer and the job, which leaves a checkpoint to resume from."""
    for function in (tick, _first_look):
        if bpy.app.timers.is_registered(function):
            bpy.app.timers.unregister(function)
    for name, function in HANDLERS:
        functions = getattr(bpy.app.handlers, name)
        if function in functions:
            functions.remove(function)
    if _Holder.watched is not None and _Holder.watched.state == "running":
        _Holder.watched.job.stop()
    _Holder.watched = None
    _Holder.pictures.clear()
