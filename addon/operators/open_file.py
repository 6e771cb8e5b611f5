"""unrender.open_log and unrender.open_report: what the job wrote for people to read."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import bpy

from ...backend import contract


def report_file(folder: Path) -> Path:
    """The report of the job in `folder`; RequestError where its result is missing or damaged."""
    return contract.read_result(folder).path("report")


class UNRENDER_OT_open_log(bpy.types.Operator):
    """Open all that the backend said in this job folder"""

    bl_idname = "unrender.open_log"
    bl_label = "Open Log"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where there is one."""
        if not contract.JobFolder(context.scene.unrender.job_folder()).log.is_file():
            cls.poll_message_set("No reconstruction was begun in this job folder, so there is no log")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        return opened(contract.JobFolder(context.scene.unrender.job_folder()).log)


class UNRENDER_OT_open_report(bpy.types.Operator):
    """Open the report of the finished asset: its figures, and its renders beside the views"""

    bl_idname = "unrender.open_report"
    bl_label = "Open Report"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where a run has finished."""
        if not (contract.JobFolder(context.scene.unrender.job_folder()).result / "result.json").is_file():
            cls.poll_message_set("No reconstruction was finished in this job folder, so there is no report")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        try:
            return opened(report_file(context.scene.unrender.job_folder()))
        except contract.RequestError as error:
            self.report({"ERROR"}, " ".join(filter(None, (str(error), error.hint))))
            return {"CANCELLED"}


def opened(file: Path) -> set[str]:
    """Hand the file to the system's program for it, and don't wait for that; in background mode nothing is opened."""
    if bpy.app.background:
        return {"FINISHED"}
    if sys.platform == "win32":
        os.startfile(file)
    else:
        opener = "open" if sys.platform == "darwin" else "xdg-open"
        threading.Thread(target=_run, args=([opener, str(file)],), daemon=True, name="unrender-open").start()
    return {"FINISHED"}


def _run(command: list[str]) -> None:
    """To its end, so that it is buried; Blender's own operator would wait for that in the window."""
    with contextlib.suppress(OSError):  # no such program: there is no desktop
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)


CLASSES = (UNRENDER_OT_open_log, UNRENDER_OT_open_report)


def register() -> None:
    """Add the operators."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
