"""A job that this Blender did not start, or started before its own restart, followed through the files in its folder. No bpy."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from pathlib import Path
from typing import Literal

from ..backend import contract
from . import job

_STAMP = len("2026-01-01 00:00:00 ")  # what the log puts before an event
_TAIL_BYTES = 65536
_READ_BYTES = 1_000_000  # of one look, so that a long log blocks no window


class Elsewhere:
    """A running backend whose output goes to somebody else. It offers what `job.Job` offers.

    Attributes:
        folder: the job folder.
        failure: the error the log or the status tells of, else None.
        paused: True once it was asked to stop with a checkpoint.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.failure: contract.Failed | None = None
        self.paused = False
        self._names = contract.JobFolder(folder)
        self._cancelled = False
        self._part = b""
        size = self._names.log.stat().st_size if self._names.log.is_file() else 0
        self._read_to = max(0, size - _TAIL_BYTES)  # the last events are enough to know where it stands

    def poll(self) -> list[contract.Event]:
        """What the log has gained since the last call, oldest first."""
        ended = self.ended()
        events = [event for line in self._lines() if (event := self._event(line)) is not None]
        for event in events:
            if isinstance(event, contract.Started):  # an older run's error in the same log is no failure of this one
                self.failure = None
            if isinstance(event, contract.Failed):
                self.failure = event
        if ended and self.failure is None and self.state == "failed":
            said = self.tail()
            self.failure = contract.Failed(
                code="backend-died",
                message="The backend is gone and gave no reason." + (f" Its last words:\n{said}" if said else ""),
                hint=job.hint_of(said, -9),
            )
            events.append(self.failure)
        return events

    def ended(self) -> bool:
        """True once its process is gone."""
        return job.standing(self.folder) != "running"

    @property
    def state(self) -> Literal["running", "finished", "failed", "cancelled"]:
        """Where it stands, as its status file has it."""
        found = job.standing(self.folder)
        if found == "interrupted" and self._cancelled:
            return "cancelled"
        return found if found in ("running", "finished", "cancelled") else "failed"

    def cancel(self, patience: float = job.CANCEL_SECONDS) -> None:
        """Ask it to stop, by the file; it is killed after `patience` seconds."""
        self._cancelled = True
        job.stop_elsewhere(self.folder)
        threading.Thread(target=self._kill_late, args=(patience,), daemon=True, name="unrender-cancel").start()

    def _kill_late(self, patience: float) -> None:
        limit = time.monotonic() + patience
        while time.monotonic() < limit:
            if self.ended():
                return
            time.sleep(0.05)
        status = contract.read_status(self.folder)
        if status is not None and not self.ended():  # asked once more: the number may have changed hands
            with contextlib.suppress(OSError):
                os.kill(status.pid, getattr(signal, "SIGKILL", signal.SIGTERM))  # Windows ends it at once by either

    def pause(self) -> None:
        """Stop with a checkpoint of the step it is in."""
        self.paused = True
        self.cancel(job.PAUSE_SECONDS)

    def stop(self) -> None:
        """Nothing: who started it may still want it, and Blender's end is no reason."""

    def tail(self, lines: int = 12) -> str:
        """The last lines of the log that are no events."""
        try:
            with self._names.log.open("rb") as stream:
                stream.seek(max(0, self._names.log.stat().st_size - _TAIL_BYTES))
                text = stream.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join([line for line in text.splitlines() if line and self._event(line) is None][-lines:])

    def _lines(self) -> list[str]:
        try:
            with self._names.log.open("rb") as stream:
                stream.seek(self._read_to)
                data = stream.read(_READ_BYTES)
        except OSError:
            return []
        self._read_to += len(data)
        *whole, self._part = (self._part + data).split(b"\n")
        return [line.decode("utf-8", "replace") for line in whole]

    def _event(self, line: str) -> contract.Event | None:
        return contract.parse_event(line[_STAMP:])
