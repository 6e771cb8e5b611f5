"""unrender.reconstruct: run the backend on the job folder; in the window beside Blender's own work, in background mode to its end."""

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import bpy

from ...backend import contract
from .. import job, known_light, preferences, watch


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
        settings = context.scene.unrender
        if settings.source == "FOLDER":
            if not settings.image_folder:
                cls.poll_message_set("No image folder is chosen")
                return False
        elif not contract.JobFolder(settings.job_folder()).transforms.is_file():
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
        return carry_out(self, lambda: start(context, self.restart))


def carry_out(operator: bpy.types.Operator, begin: Callable[[], job.Job]) -> set[str]:
    """Start what `begin` starts: in the window it goes on beside Blender, in background mode until it is done. Failures are reported."""
    try:
        started = begin()
        if bpy.app.background:
            follow_to_end(started)
        else:
            watch.follow_by_timer(started)
    except contract.UnrenderError as error:
        operator.report({"ERROR"}, " ".join(filter(None, (str(error), error.hint))))
        return {"CANCELLED"}
    except OSError as error:
        operator.report({"ERROR"}, f"The job folder cannot be used: {error}. Choose another one, or free space.")
        return {"CANCELLED"}
    return {"FINISHED"}


def start(context: bpy.types.Context, restart: bool) -> job.Job:
    """Write the request and start the backend on it, resuming what it had begun. Raises UnrenderError or OSError."""
    settings = context.scene.unrender
    names = contract.JobFolder(settings.job_folder())
    request = settings.to_request()
    interpreter = preferences.backend_python(context)
    refuse_running(names)
    if restart:
        for folder in (names.state, names.preview, names.result):
            if folder.exists():
                shutil.rmtree(folder)
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
            contract.read_result(names.result)
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
