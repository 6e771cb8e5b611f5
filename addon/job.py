"""One backend process over one job folder: start, follow, cancel, and find again. No bpy, so it is tested without Blender."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Literal

from ..backend import contract

# -E and -s keep foreign settings and packages out; -I would too, but also the working directory, where `backend` is found.
PYTHON_FLAGS = ("-E", "-s", "-u", "-X", "utf8")
_FOREIGN = ("PYTHON", "CONDA", "VIRTUAL_ENV", "LD_PRELOAD", "BLENDER")
_TAIL_LINES = 200
_HINTS = (
    (("out of memory", "std::bad_alloc", "memoryerror"), "Memory ran out: close other programs or try a lower preset."),
    (("no space left", "disk quota"), "The disk is full: free some space."),
    (("no module named", "importerror", "dll load failed"), "The backend's environment is broken: set it up again."),
    (
        ("cuda error", "cuda driver", "nvml", "no cuda gpus", "device-side", "unspecified launch failure"),
        "The GPU was lost: restart the machine's driver or choose the CPU.",
    ),
    (("permission denied", "read-only file system"), "The job folder cannot be written: choose another one."),
)
_PIPE_SECONDS = 2.0  # after the process has gone, something it started may still hold its output open
CANCEL_SECONDS = 0.8  # then a cancelled backend is killed: its last checkpoint is at most half a minute old
PAUSE_SECONDS = 120.0  # a paused one may finish its step and write what it has found
STALE_SECONDS = 600.0  # where a process cannot be asked for: a job that said nothing for this long is taken for dead


def clean_environment(environment: dict[str, str]) -> dict[str, str]:
    """The variables a child may see: without those of Python, conda and Blender, which would lead it to the wrong packages."""
    kept = {name: value for name, value in environment.items() if not name.upper().startswith(_FOREIGN)}
    return {**kept, "PYTHONIOENCODING": "utf-8"}


def command(interpreter: Path, arguments: Sequence[str]) -> list[str]:
    """The argument list that runs the backend; its working directory must be the folder that holds `backend/`."""
    return [str(interpreter), *PYTHON_FLAGS, "-m", "backend", *arguments]


class Job:
    """A running backend and what it has said so far.

    Attributes:
        folder: the job folder.
        process: the child.
        failure: the error the backend reported, or that was made up for a process that died without a word; else None.
        paused: True once it was asked to stop with a checkpoint.
    """

    def __init__(self, interpreter: Path, root: Path, arguments: Sequence[str], folder: Path) -> None:
        """Start `python -m backend ARGUMENTS` in `root`, the folder that holds `backend/`.

        Raises EnvironmentFault when the interpreter cannot be started.
        """
        self.folder = folder
        self.failure: contract.Failed | None = None
        self.paused = False
        self._events: queue.SimpleQueue[contract.Event] = queue.SimpleQueue()
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._cancel_asked = False
        self._finished = False
        self._gone_since: float | None = None
        try:
            self.process = subprocess.Popen(
                command(interpreter, arguments),
                cwd=root,
                env=clean_environment(dict(os.environ)),
                stdin=subprocess.PIPE,  # stays open for as long as this process lives: the backend stops when it closes
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                **_own_group(),
            )
        except OSError as error:
            raise contract.EnvironmentFault(
                f"the backend's Python could not be started: {error}",
                hint=f"Choose another interpreter in the preferences; this one is {interpreter}.",
                code="interpreter",
            ) from error
        assert self.process.stdout is not None and self.process.stderr is not None
        self._readers = [
            threading.Thread(target=self._read, args=(stream,), daemon=True, name="unrender-backend")
            for stream in (self.process.stdout, self.process.stderr)
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                event = contract.parse_event(line) if stream is self.process.stdout else None
                if event is None:
                    self._tail.append(line.rstrip())
                else:
                    self._events.put(event)

    def poll(self) -> list[contract.Event]:
        """What was said since the last call, oldest first. The last batch of a process that died silently ends with a Failed."""
        ended = self.ended()  # asked first, so that nothing said before the end is missed
        events = []
        with contextlib.suppress(queue.Empty):
            while True:
                events.append(self._events.get_nowait())
        for event in events:
            if isinstance(event, contract.Failed):
                self.failure = event
            self._finished = self._finished or isinstance(event, contract.Finished)
        if ended and self.failure is None and self.process.returncode != 0 and not self._finished:
            self.failure = self._unsaid_failure()
            events.append(self.failure)
        return events

    def ended(self) -> bool:
        """True once the process has exited and all it said has been read."""
        if self.process.poll() is None:
            return False
        if self._gone_since is None:
            self._gone_since = time.monotonic()
            if self.process.returncode != 0:
                self._end_group()  # what a dead backend had started
        reading = any(reader.is_alive() for reader in self._readers)
        return not reading or time.monotonic() - self._gone_since > _PIPE_SECONDS

    @property
    def state(self) -> Literal["running", "finished", "failed", "cancelled"]:
        """Where this job stands; call `poll` first."""
        if not self.ended():
            return "running"
        status = self.process.returncode
        if status == 0 or self._finished:  # the result was complete before whatever befell the process afterwards
            return "finished"
        return "cancelled" if self._cancel_asked or status == contract.Cancelled.exit_status else "failed"

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end; False when it has not come after `timeout` seconds."""
        limit = None if timeout is None else time.monotonic() + timeout
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        while not self.ended() and (limit is None or time.monotonic() < limit):
            time.sleep(0.01)
        return self.ended()

    def cancel(self, patience: float = CANCEL_SECONDS) -> None:
        """Ask the backend to stop after the step it is in, and kill it with all it started after `patience` seconds."""
        self._cancel_asked = True
        if sys.platform == "win32":
            interrupt = signal.CTRL_BREAK_EVENT
        else:
            interrupt = signal.SIGINT
        if self.process.poll() is None:
            with contextlib.suppress(OSError):  # it ended in this very moment
                self.process.send_signal(interrupt)
            threading.Thread(target=self._kill_late, args=(patience,), daemon=True, name="unrender-cancel").start()

    def pause(self) -> None:
        """Stop with a checkpoint of the step it is in, for which it gets the time."""
        self.paused = True
        self.cancel(PAUSE_SECONDS)

    def _kill_late(self, patience: float) -> None:
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self._end_group()

    def kill(self) -> None:
        """End the backend and whatever it started, at once. What it had saved stays."""
        self._cancel_asked = True
        self._end_group()

    def stop(self, patience: float = 10.0) -> None:
        """Cancel, and kill what does not end within `patience` seconds."""
        self.cancel(patience)
        if not self.wait(patience + 1.0):
            self.kill()
            self.wait(patience)

    def tail(self, lines: int = 12) -> str:
        """The last lines that were no events: tracebacks, libraries' complaints."""
        return "\n".join([line for line in self._tail if line][-lines:])

    def _end_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if sys.platform == "win32":
                # a job object would end the backend with Blender, before its checkpoint; so the tree is ended by name
                tree = ["taskkill", "/T", "/F", "/PID", str(self.process.pid)]
                subprocess.run(tree, capture_output=True, creationflags=subprocess.CREATE_NO_WINDOW, check=False)
            else:
                os.killpg(self.process.pid, signal.SIGKILL)

    def _unsaid_failure(self) -> contract.Failed:
        status = self.process.returncode
        if self._cancel_asked:
            return contract.Failed(code="cancelled", message="The run was cancelled.", exit_status=130)
        cause = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        said = self.tail()
        return contract.Failed(
            code="backend-died",
            message=f"The backend ended with {cause} and gave no reason."
            + (f" Its last words:\n{said}" if said else ""),
            hint=hint_of(said, status),
            exit_status=status,
        )


def hint_of(said: str, status: int) -> str:
    """What to do about a backend that died with these last words."""
    lower = said.lower()
    for signs, hint in _HINTS:
        if any(sign in lower for sign in signs):
            return f"{hint} Resume goes on where it stopped."
    if status == -9 or status == 137:
        return (
            "A process that is killed is most often out of memory: try a lower preset. Resume goes on where it stopped."
        )
    return "Open the log for the whole story. Resume goes on where it stopped."


def standing(folder: Path) -> Literal["none", "running", "interrupted", "finished", "failed", "cancelled"]:
    """Where the job in `folder` stands, whoever started it; 'interrupted' when its process is gone without having said so."""
    status = contract.read_status(folder)
    if status is None:
        return "none"
    if status.state == "running" and not _alive(status):
        return "interrupted"
    return status.state


def stop_elsewhere(folder: Path) -> None:
    """Ask a job that another Blender started to stop."""
    contract.JobFolder(folder).stop.touch()


def _alive(status: contract.Status) -> bool:
    if sys.platform == "win32":  # os.kill would end the process there, so its silence is judged
        return time.time() - status.updated < STALE_SECONDS
    try:
        os.kill(status.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return _is_the_same(status)


def _is_the_same(status: contract.Status) -> bool:
    """False where the number now belongs to a process that began after the job last spoke, or to one that only waits to be buried."""
    try:
        after_name = Path(f"/proc/{status.pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        uptime = float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0])
    except (OSError, ValueError, IndexError):  # no Linux: the number and its silence must do
        return time.time() - status.updated < STALE_SECONDS
    fields = after_name.split()  # from the third on, the state; the twenty-second is the start, in ticks since boot
    began = time.time() - uptime + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return fields[0] != "Z" and began < status.updated + 2.0


def _own_group() -> dict[str, Any]:
    """A group of its own, so that an interrupt meant for Blender does not reach the backend, nor the other way round."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}
