"""unrender.reconstruct: run the backend on the job folder; in the window beside Blender's own work, in background mode to its end."""

import json
import shutil
import sys
import time
from pathlib import Path

import bpy

from ...backend import contract
from .. import job, preferences, watch


class UNRENDER_OT_reconstruct(bpy.types.Operator):
    """Find the mesh, the materials and the light that explain the views"""

    bl_idname = "unrender.reconstruct"
    bl_label = "Reconstruct"

    restart: bpy.props.BoolProperty(
        name="Start Over",
        description="Forget what an earlier run in the job folder has found, its asset included",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """One at a time, and only where there are views."""
        if watch.running():
            cls.poll_message_set("A reconstruction is running already")
            return False
        if not contract.JobFolder(context.scene.unrender.job_folder()).transforms.is_file():
            cls.poll_message_set("The job folder has no views yet; export them first")
            return False
        try:
            preferences.backend_python(context)
        except contract.EnvironmentFault as fault:
            cls.poll_message_set(f"{fault}. {fault.hint}")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        try:
            started = start(context, self.restart)
            if not bpy.app.background:
                watch.follow_by_timer(started)
                return {"FINISHED"}
            follow_to_end(started)
        except contract.UnrenderError as error:
            self.report({"ERROR"}, " ".join(filter(None, (str(error), error.hint))))
            return {"CANCELLED"}
        except OSError as error:
            self.report({"ERROR"}, f"The job folder cannot be used: {error}")
            return {"CANCELLED"}
        return {"FINISHED"}


def start(context: bpy.types.Context, restart: bool) -> job.Job:
    """Write the request and start the backend on it, resuming what it had begun. Raises UnrenderError or OSError."""
    settings = context.scene.unrender
    names = contract.JobFolder(settings.job_folder())
    request = settings.to_request()
    interpreter = preferences.backend_python(context)
    if job.standing(names.path) == "running":
        raise contract.RequestError(
            f"{names.path} is being worked in by another process",
            hint="Cancel it, or choose another job folder.",
            code="job-running",
        )
    if restart:
        for folder in (names.state, names.preview, names.result):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (names.status, names.log):
            file.unlink(missing_ok=True)
    if not (names.state.exists() or names.result.exists()):
        contract.write_json(names.request, contract.to_dict(request))
    elif changed := _changed(names.request, request):
        raise contract.RequestError(
            f"the run in {names.path} was begun with other settings ({changed})",
            hint="Set them back to resume it, or start over.",
            code="settings-changed",
        )
    arguments = ["run", str(names.request), "--json", "--follow-parent", "--resume"]
    return job.Job(interpreter, preferences.ROOT_FOLDER, arguments, names.path)


def follow_to_end(started: job.Job) -> None:
    """Block until the job is done, telling its progress on standard output; RequestError or EnvironmentFault when it fails."""
    watched = watch.follow(started)
    told = ""
    try:
        while watched.state == "running":
            for event in watched.take():
                if isinstance(event, contract.Warned):
                    print(f"Unrender: {event.message}", file=sys.stderr)  # noqa: T201 - background mode has no other window
            if watched.headline() != told:
                told = watched.headline()
                print(f"Unrender: {told}", flush=True)  # noqa: T201
            time.sleep(0.2)
    except BaseException:
        started.stop()
        raise
    failure = started.failure
    if watched.state != "finished":
        kind = contract.RequestError if failure and failure.exit_status == 2 else contract.EnvironmentFault
        raise kind(
            failure.message if failure else "the run was cancelled",
            hint=failure.hint if failure else "",
            code="backend",
        )


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


def register() -> None:
    """Add the operator."""
    bpy.utils.register_class(UNRENDER_OT_reconstruct)


def unregister() -> None:
    """Take it away."""
    bpy.utils.unregister_class(UNRENDER_OT_reconstruct)
