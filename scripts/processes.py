"""Run a child process with a time limit, its output in a log file, its words passed on, and its memory watched. Standard library only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_SAMPLE_SECONDS = 0.5


@dataclass(frozen=True)
class Outcome:
    """How a child ended.

    Attributes:
        status: exit status; negative where a signal ended it, None where it ran out of time and was ended.
        seconds: wall time.
        memory: the most that it and its descendants held together at one moment, in bytes (sampled; Linux only, else 0).
        log: the file with everything it said.
    """

    status: int | None
    seconds: float
    memory: int
    log: Path

    def tail(self, lines: int = 25) -> str:
        """The end of the log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def run(
    command: Sequence[str],
    log: Path,
    limit: float,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Outcome:
    """Run `command` to its end or for `limit` seconds; its standard output and error go to `log`, line by line to `on_line` too."""
    began = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as written:
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env=None if environment is None else dict(environment),
            cwd=folder,
            start_new_session=True,
        )
        watch = _Watch(child, began + limit)
        watch.start()
        assert child.stdout is not None
        try:
            for line in child.stdout:
                written.write(line)
                written.flush()
                if on_line is not None:
                    on_line(line.rstrip())
            child.wait()
        except BaseException:
            end(child)
            raise
        finally:
            watch.finished.set()
            watch.join()
    return Outcome(None if watch.late else child.returncode, time.monotonic() - began, watch.peak, log)


def leave_when_terminated() -> None:
    """Let a request to terminate unwind this process like an interrupt does, so that no child outlives it."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def end(child: subprocess.Popen[str]) -> None:
    """End a child and its session: asked first, so that Blender may stop its own child, forced after five seconds."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
            child.wait(5)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


class _Watch(threading.Thread):
    """Looks at the child's memory from time to time, and ends it when its time is up."""

    def __init__(self, child: subprocess.Popen[str], deadline: float) -> None:
        super().__init__(daemon=True)
        self.child, self.deadline = child, deadline
        self.finished = threading.Event()
        self.peak, self.late = 0, False

    def run(self) -> None:
        """The thread."""
        while not self.finished.wait(_SAMPLE_SECONDS):
            self.peak = max(self.peak, family_memory(self.child.pid))
            if time.monotonic() > self.deadline:
                self.late = True
                end(self.child)
                return


def family_memory(process: int) -> int:
    """Resident bytes of a process and its descendants, shared pages shared out; 0 where the system does not tell."""
    try:
        parents = {int(path.name): _parent(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
    except OSError:
        return 0
    family = {process}
    while more := {child for child, parent in parents.items() if parent in family and child not in family}:
        family |= more
    return sum(_resident(member) for member in family)


def _parent(path: Path) -> int:
    try:
        return int((path / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return -1


def _resident(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("Pss:")))
    except (OSError, StopIteration, ValueError):
        return 0
