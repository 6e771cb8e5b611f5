"""A reconstruction as the scene's settings ask for it: begun, resumed and followed to its end, whoever asks."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import bpy

from ..backend import contract
from . import job, known_light, preferences, watch
from .importer import scene as importing

OnEvent = Callable[[contract.Event], object]
_KINDS = (contract.RequestError, contract.EnvironmentFault, contract.Cancelled)


def missing_views(settings: Any) -> str:
    """Why the scene's settings name nothing to start from; empty when they do."""
    if settings.source == "FOLDER":
        return "" if settings.image_folder else "No image folder is chosen"
    if not contract.JobFolder(settings.job_folder()).transforms.is_file():
        return "The job folder has no views yet; export them first"
    return ""


def start(context: bpy.types.Context, restart: bool, changes: Iterable[str] = ()) -> job.Job:
    """Write the request and start the backend on it, resuming what it had begun.

    Args:
        restart: forget what an earlier run has found, its asset included.
        changes: keys of the request beyond the scene's settings, as 'shape.cells=64'.

    Raises UnrenderError or OSError.
    """
    settings = context.scene.unrender
    names = contract.JobFolder(settings.job_folder())
    request = settings.to_request()
    for change in changes:
        request = contract.parse(contract.assign(contract.to_dict(request), change))
    interpreter = preferences.backend_python(context)
    refuse_running(names)
    if restart:
        forget(folder for folder in (names.state, names.preview, names.result) if folder.exists())
        for file in (names.status, names.log):
            file.unlink(missing_ok=True)
    names.path.mkdir(parents=True, exist_ok=True)
    if not (names.state.exists() or names.result.exists()):
        if settings.light == "WORLD":
            known_light.write(known_light.read(context.scene.world), names.path)
        contract.write_json(names.request, contract.to_dict(request))
    elif changed := _changed(names.request, request):
        raise contract.RequestError(
            f"the run in {names.path} was begun with other settings ({changed})",
            hint="Set them back, resume it as it was, or start over.",
            code="settings-changed",
        )
    return launch(interpreter, names)


def forget(folders: Iterable[Path]) -> None:
    """Take the folders away at once, and delete them in a thread: gigabytes take a while."""
    for folder in folders:
        gone = Path(tempfile.mkdtemp(prefix=".forgotten-", dir=folder.parent))
        folder.rename(gone / folder.name)
        threading.Thread(target=shutil.rmtree, args=(gone, True), name="unrender-forget").start()


def resume(context: bpy.types.Context) -> job.Job:
    """Go on with the job in the scene's folder as it was asked for, whatever the panel says by now; only the device is the panel's."""
    settings = context.scene.unrender
    names = contract.JobFolder(settings.job_folder())
    interpreter = preferences.backend_python(context)
    refuse_running(names)
    if not names.request.is_file():
        raise contract.RequestError(
            f"{names.path} holds no job", hint="Start one with Reconstruct.", code="job-missing"
        )
    return launch(interpreter, names, ["--device", settings.device])


def launch(interpreter: Path, names: contract.JobFolder, more: list[str] | None = None) -> job.Job:
    """Start the backend on the request in the job folder. A result that cannot be read is put aside, never deleted."""
    if names.result.exists():
        try:
            importing.read(names.result)
        except contract.RequestError:
            names.result.rename(names.path / f"result-unreadable-{time.strftime('%Y%m%d-%H%M%S')}")
    arguments = ["run", str(names.request), "--json", "--follow-parent", "--resume", *(more or [])]
    return job.Job(interpreter, preferences.ROOT_FOLDER, arguments, names.path)


def refuse_running(names: contract.JobFolder) -> None:
    """RequestError while another process works in the job folder."""
    if job.standing(names.path) == "running":
        raise contract.RequestError(
            f"{names.path} is being worked in by another process",
            hint="Cancel it, or choose another job folder.",
            code="job-running",
        )


def follow_to_end(started: job.Job, on_event: OnEvent | None = None) -> None:
    """Block until the job is done. Ctrl-C cancels it, with its checkpoint kept.

    Args:
        on_event: called with each event; None tells the progress on standard output, and warnings on standard error.

    Raises UnrenderError of the kind and the code that the backend gave when it fails, Cancelled when it was asked to stop.
    """
    watched = watch.follow(started)
    told = ""
    try:
        with interruptible():
            while watched.state == "running":
                for event in watched.take():
                    if on_event is not None:
                        on_event(event)
                    elif isinstance(event, contract.Warned):
                        print(f"Unrender: {event.message}", file=sys.stderr)  # noqa: T201 - there is no other window
                if on_event is None and watched.headline() != told:
                    told = watched.headline()
                    print(f"Unrender: {told}", flush=True)  # noqa: T201
                time.sleep(0.2)
    except BaseException as error:
        try:
            started.stop()
        finally:  # asked a second time: at once
            if started.process.poll() is None:
                started.kill()
        watched.take()
        if isinstance(error, KeyboardInterrupt):
            raise _cancelled() from error
        raise
    if watched.state == "cancelled":
        raise _cancelled()
    if watched.state != "finished":
        failure = started.failure or contract.Failed(code="failed", message="The backend failed and gave no reason.")
        kind = next((kind for kind in _KINDS if kind.exit_status == failure.exit_status), contract.UnrenderError)
        raise kind(failure.message, hint=failure.hint, code=failure.code)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt inside the block: Blender's own handler in background mode tells nobody but a render.

    In the window, and in threads, nothing is changed.
    """
    if not bpy.app.background or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)  # None: Blender's, out of reach


def _cancelled() -> contract.Cancelled:
    return contract.Cancelled("the run was cancelled", hint="It goes on from its checkpoint when it is started again.")


def _changed(stored: Path, request: contract.Request) -> str:
    """The sections in which `request` differs from the stored one, but for where it runs; empty when they agree."""
    try:
        before = contract.to_dict(contract.parse(json.loads(stored.read_text(encoding="utf-8"))))
    except (OSError, ValueError, contract.RequestError):
        return ""
    now = contract.to_dict(request)
    return ", ".join(
        key for key in now if key not in {"device", "engine", "threads", "source"} and now[key] != before.get(key)
    )
