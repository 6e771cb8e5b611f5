"""unrender.export_views: photograph the scene."""

from pathlib import Path

import bpy

from ...backend.contract import UnrenderError
from .. import watch
from ..exporter import capture, checks, second
from ..slices import Slices
from . import sliced

INTERVAL = 0.25  # seconds between two looks at a second Blender


class UNRENDER_OT_export_views(sliced.Sliced):
    """Render the views that the reconstruction starts from: linear, with alpha, and the exact cameras"""

    bl_idname = "unrender.export_views"
    bl_label = "Export Views"

    directory: bpy.props.StringProperty(
        name="Job Folder",
        description="Where the views go. Empty takes the scene's setting",
        subtype="DIR_PATH",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Not while the views may be in use."""
        if _Running.job is not None:
            cls.poll_message_set("Views are being rendered already")
            return False
        if reason := sliced.hindrance():
            cls.poll_message_set(reason)
            return False
        if watch.running():
            cls.poll_message_set("A reconstruction is running; cancel it or wait for its end")
            return False
        return context.scene is not None

    def job_folder(self, context: bpy.types.Context) -> Path:
        """The folder that was given, or the scene's."""
        given = bpy.path.abspath(self.directory) if self.directory else ""
        return Path(given) if given else context.scene.unrender.job_folder()

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Blender calls this for a click: photographs are copied in slices."""
        try:
            copied = context.scene.unrender.source == "PHOTOS" and not capture.shots(context)
        except UnrenderError as error:
            return sliced.told(self, error)
        if copied:
            _Running.message = ""
            return sliced.Sliced.invoke(self, context, event)
        return self.execute(context)

    def slices(self, context: bpy.types.Context) -> Slices[None]:
        """See `Sliced`."""
        written = yield from capture.copying(context, self.job_folder(context))
        _Running.message = f"{written} views written"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        folder = self.job_folder(context)
        try:
            if not bpy.app.background and (context.scene.unrender.source in {"RIG", "SCENE"} or capture.shots(context)):
                return self.render_beside(context, folder)
        except UnrenderError as error:
            return sliced.told(self, error)
        manager = context.window_manager
        manager.progress_begin(0, 1)
        try:
            written = capture.export(context, folder, lambda done, total: manager.progress_update(done / total))
        except UnrenderError as error:
            return sliced.told(self, error)
        except OSError as error:
            self.report({"ERROR"}, f"The views cannot be written: {error}")
            return {"CANCELLED"}
        finally:
            manager.progress_end()
        self.report({"INFO"}, f"{written} views written to {folder}")
        return {"FINISHED"}

    def render_beside(self, context: bpy.types.Context, folder: Path) -> set[str]:
        """Let a second Blender render a copy of the file as it is, unsaved changes included, and follow it by a timer."""
        try:
            total = checks.view_count(context)
            program = second.command(bpy.app.binary_path)
            _Running.job = second.SecondBlender(program, folder.absolute(), total, _save_copy)
        except (UnrenderError, OSError, RuntimeError) as error:
            self.report({"ERROR"}, f"The views cannot be rendered: {error}")
            return {"CANCELLED"}
        _Running.done, _Running.total, _Running.message = 0, total, ""
        bpy.app.timers.register(tick, first_interval=INTERVAL, persistent=True)
        return {"FINISHED"}


class UNRENDER_OT_cancel_export(bpy.types.Operator):
    """Stop rendering the views. The scene is as it was; the views written so far are replaced by the next export"""

    bl_idname = "unrender.cancel_export"
    bl_label = "Cancel Export"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only while there is something to stop."""
        if _Running.job is None:
            cls.poll_message_set("No views are being rendered")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        stop()
        _Running.message = "Cancelled"
        return {"FINISHED"}


class _Running:
    """The export that a second Blender does for this one."""

    job: second.SecondBlender | None = None
    done = 0
    total = 1
    message = ""  # how the last one ended, for the panel


def progress() -> tuple[int, int] | None:
    """Views done and views in all of the running export; None when none runs."""
    return None if _Running.job is None else (_Running.done, _Running.total)


def last_message() -> str:
    """How the last export of a second Blender ended; empty while one runs or none was."""
    return _Running.message


def tick() -> float | None:
    """One look at the second Blender; what the timer calls."""
    job = _Running.job
    if job is None:
        return None
    try:
        _Running.done = job.poll()
    except (UnrenderError, OSError) as error:
        _Running.message = str(error)
    else:
        _Running.message = f"{_Running.done} views written" if job.state == "finished" else ""
    if job.state != "running":
        _Running.job = None
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()
    return INTERVAL if _Running.job is not None else None


def stop() -> None:
    """End a running export, leaving no process behind."""
    if _Running.job is not None:
        _Running.job.cancel()
        _Running.job = None


def _save_copy(path: Path) -> None:
    """Write the open file as it is now. Blender's own writing, for which the window waits: plain, without a picture of the window."""
    stored = bpy.context.preferences.filepaths
    dirty, preview = bpy.context.preferences.is_dirty, stored.file_preview_type
    stored.file_preview_type = "NONE"
    settings = bpy.context.scene.unrender
    masks = settings.mask_folder
    if masks:
        settings.mask_folder = bpy.path.abspath(masks)  # the copy lies elsewhere, and Blender moves no add-on's paths
    try:
        bpy.ops.wm.save_as_mainfile(filepath=str(path), copy=True, check_existing=False, compress=False)
    finally:
        stored.file_preview_type = preview
        if masks:
            settings.mask_folder = masks
        bpy.context.preferences.is_dirty = dirty


CLASSES = (UNRENDER_OT_export_views, UNRENDER_OT_cancel_export)


def register() -> None:
    """Add the operators."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away, and end a running export."""
    stop()
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
