"""Views rendered by a second Blender, so that the window of the first lives. Knows a command, a folder and a count; no bpy."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ...backend import contract
from ..child import Child, command

__all__ = ["SecondBlender", "command"]
SCENE = "scene.blend"
SCRIPT = """import bpy
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
        self._child = Child()
        try:
            file = self._child.place / SCENE
            save(file)
            self._begun = time.time()
            self._child.start(program, file, SCRIPT.format(folder=str(folder)))
        except BaseException:
            self._child.clean()
            raise

    def poll(self) -> int:
        """Look once; returns how many views are done. Raises EnvironmentFault, once, when the second Blender failed."""
        if self.state == "running" and self._child.ended():
            if self._child.status == 0 and contract.JobFolder(self.folder).transforms.is_file():
                self.state = "finished"
            else:
                self.state = "failed"
            fault = self._child.fault() if self.state == "failed" else None
            self._child.clean()
            if fault is not None:
                raise fault
        images = contract.JobFolder(self.folder).images
        new = (
            [image for image in images.iterdir() if image.stat().st_mtime >= self._begun - 1] if images.is_dir() else []
        )
        return self.total if self.state == "finished" else min(len(new), self.total)

    def cancel(self) -> None:
        """End it at once. What it wrote stays, and counts as no capture, for transforms.json is written last."""
        if self.state == "running":
            self.state = "cancelled"
            self._child.end()
