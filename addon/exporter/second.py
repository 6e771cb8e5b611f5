"""Views rendered by a second Blender, so that the window of the first lives. Knows a command, a folder and a count; no bpy."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from ...backend import contract

SCENE = "scene.blend"
# the second Blender goes when the first does: its standard input ends, whatever the first died of.
# os.read, for a thread that waits in sys.stdin at the end is fatal to the interpreter, and the export would count as failed.
SCRIPT = """import os, threading
threading.Thread(target=lambda: (os.read(0, 1), os._exit(3)), daemon=True).start()
import addon_utils, bpy
addon_utils.enable({package!r})  # in a first session the preferences that say so are not saved yet
bpy.ops.unrender.export_views(directory={folder!r})
"""


class SecondBlender:
    """A running export.

    Attributes:
        folder: the job folder it writes.
        total: views it will write.
        state: 'running', 'finished', 'failed' or 'cancelled'.
    """

    def __init__(self, program: list[str], folder: Path, total: int, save: Callable[[Path], object]) -> None:
        """Start it.

        Args:
            program: the command of a Blender without a window, to which the file to open and the script are added.
            folder, total: as the attributes.
            save: writes a copy of the open file, unsaved changes included, to a path.
        """
        self.folder, self.total, self.state = folder, total, "running"
        self._place = Path(tempfile.mkdtemp(prefix="unrender-"))
        try:
            save(self._place / SCENE)
            self._begun = time.time()
            self._said = self._place / "said.txt"
            script = SCRIPT.format(folder=str(folder), package=(__package__ or "").rpartition(".addon")[0])
            with self._said.open("wb") as said:
                self._process = subprocess.Popen(
                    [*program, str(self._place / SCENE), "--python-exit-code", "1", "--python-expr", script],
                    stdin=subprocess.PIPE,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
        except BaseException:
            shutil.rmtree(self._place, ignore_errors=True)
            raise

    def poll(self) -> int:
        """Look once; returns how many views are done. Raises EnvironmentFault, once, when the second Blender failed."""
        ended = self._process.poll() is not None
        if self.state == "running" and ended:
            said = self._said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            shutil.rmtree(self._place, ignore_errors=True)
            if self._process.returncode == 0 and contract.JobFolder(self.folder).transforms.is_file():
                self.state = "finished"
            else:
                self.state = "failed"
                reason = next(
                    (line for line in reversed(said) if "Error" in line), said[-1] if said else "it said nothing"
                )
                raise contract.EnvironmentFault(f"the second Blender failed: {reason}", code="export-failed")
        images = contract.JobFolder(self.folder).images
        new = (
            [image for image in images.glob("*.exr") if image.stat().st_mtime >= self._begun - 1]
            if images.is_dir()
            else []
        )
        return self.total if self.state == "finished" else min(len(new), self.total)

    def cancel(self) -> None:
        """End it at once. What it wrote stays, and counts as no capture, for transforms.json is written last."""
        if self.state != "running":
            return
        self.state = "cancelled"
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        if self._process.stdin is not None:
            self._process.stdin.close()
        shutil.rmtree(self._place, ignore_errors=True)


def command(binary: str) -> list[str]:
    """The command of a second Blender like the one at `binary`; EnvironmentFault where there is no program to start."""
    if not binary or not Path(binary).is_file():
        raise contract.EnvironmentFault("there is no Blender program to start a second time", code="no-blender")
    return [binary, "--background"]
