"""One child process: its lines as they come, its end, and its end before its time with all it had started. No bpy."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from ...backend.contract import Cancelled
from ..job import clean_environment

_TAIL_LINES = 60
_FOREIGN = {  # would lead pip or uv to another place than the one it is told
    "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PIP_PYTHON", "PIP_REQUIREMENT",
    "UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_BREAK_SYSTEM_PACKAGES", "UV_PROJECT_ENVIRONMENT", "UV_TARGET", "UV_PREFIX",
}  # fmt: skip


def variables(more: Mapping[str, str]) -> dict[str, str]:
    """What a child sees: the system's variables without those that point to other packages, and `more`."""
    kept = {name: value for name, value in clean_environment(dict(os.environ)).items() if name not in _FOREIGN}
    return {**kept, "PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1", **more}


class Children:
    """Runs one child after the other, and can be told to stop from another thread."""

    def __init__(self, log: IO[str], environment: Mapping[str, str]) -> None:
        """Every line goes to `log`; `environment` is all the variables a child sees."""
        self._log = log
        self._environment = dict(environment)
        self._cancelled = threading.Event()
        self._guard = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def cancel(self) -> None:
        """End the running child and all it started, and start no other. Returns at once."""
        with self._guard:
            self._cancelled.set()
            if self._process is not None:
                _end(self._process)

    def check(self) -> None:
        """Raises Cancelled once `cancel` was called."""
        if self._cancelled.is_set():
            raise Cancelled("making the environment was cancelled")

    def run(self, command: Sequence[str], folder: Path, on_line: Callable[[str], None]) -> tuple[int, str]:
        """Run `command` in `folder`: (exit status, its last lines). Raises Cancelled, or OSError where it does not start."""
        with self._guard:
            self.check()
            self._log.write("\n$ " + " ".join(command) + "\n")
            self._log.flush()
            self._process = process = subprocess.Popen(
                list(command),
                cwd=folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                **_own_group(),
            )
        tail: deque[str] = deque(maxlen=_TAIL_LINES)
        assert process.stdout is not None
        with process.stdout as stream:
            for line in stream:
                self._log.write(line)
                self._log.flush()
                tail.append(line.rstrip())
                on_line(line.strip())
        status = process.wait()
        with self._guard:
            self._process = None
        self.check()
        return status, "\n".join(line for line in tail if line)


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            tree = ["taskkill", "/PID", str(process.pid), "/T", "/F"]
            subprocess.Popen(tree, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, creationflags=0x08000000)
        elif process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def _own_group() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}
