"""A second Blender without a window that runs a script of ours, and goes when this one does. No bpy."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Self

from ..backend import contract

# it goes when the first does: its standard input ends, whatever the first died of.
# os.read, for a thread that waits in sys.stdin at the end is fatal to the interpreter, and the work would count as failed.
_OPENING = """import os, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(3)), daemon=True).start()
import addon_utils
addon_utils.enable({package!r})  # in a first session the preferences that say so are not saved yet
"""
PACKAGE = (__package__ or "").rpartition(".addon")[0]


class Child:
    """One of them, running or ended. As a context it is ended, and its files are gone, when the block is left.

    Attributes:
        place: a folder for its files, which goes when it has ended or is given up.
        status: its exit status once it has `ended`.
    """

    def __init__(self) -> None:
        """Not started yet, but with a folder for what it is to find."""
        self.place = Path(tempfile.mkdtemp(prefix="unrender-"))
        self.status: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._said = self.place / "said.txt"

    def start(self, program: list[str], file: Path | None, script: str) -> None:
        """Start it on `script`, which finds the extension enabled; OSError where that is impossible.

        Args:
            program: the command of a Blender without a window, see `command`.
            file: opened first.
        """
        opened = [str(file)] if file is not None else []
        whole = _OPENING.format(package=PACKAGE) + script
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                [*program, *opened, "--python-exit-code", "1", "--python-expr", whole],
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=subprocess.STDOUT,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process is not None and not self.ended():
            self.end()
        else:
            self.clean()

    def ended(self) -> bool:
        """Whether it is gone."""
        self.status = self._process.poll() if self._process is not None else None
        return self.status is not None

    def fault(self) -> contract.EnvironmentFault:
        """Why it failed, from what it said."""
        said = self._said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        reason = next((line for line in reversed(said) if "Error" in line), said[-1] if said else "it said nothing")
        return contract.EnvironmentFault(f"the second Blender failed: {reason}", code="second-blender")

    def clean(self) -> None:
        """Forget its files, once it has ended or where it was never started."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        shutil.rmtree(self.place, ignore_errors=True)

    def end(self) -> None:
        """End it at once. Its memory and its files go in a thread, for which no window waits."""
        if self._process is not None:
            self._process.kill()
        threading.Thread(target=self._bury, name="unrender-second-blender").start()

    def _bury(self) -> None:
        if self._process is not None:
            self._process.wait()
        self.clean()


def command(binary: str) -> list[str]:
    """The command of a second Blender like the one at `binary`; EnvironmentFault where there is no program to start."""
    if not binary or not Path(binary).is_file():
        raise contract.EnvironmentFault("there is no Blender program to start a second time", code="no-blender")
    return [binary, "--background"]
