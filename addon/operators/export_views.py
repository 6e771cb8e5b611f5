"""unrender.export_views: photograph the scene."""

import contextlib
from pathlib import Path

import bpy

from ...backend.contract import RequestError, UnrenderError
from .. import watch
from ..exporter import checks, photographed, photographs, rendered, studio


class UNRENDER_OT_export_views(bpy.types.Operator):
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
        if watch.running():
            cls.poll_message_set("A reconstruction is running; cancel it or wait for its end")
            return False
        return context.scene is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        settings = context.scene.unrender
        folder = Path(bpy.path.abspath(self.directory)) if self.directory else settings.job_folder()
        manager = context.window_manager
        manager.progress_begin(0, 1)
        try:
            written = export(context, folder, lambda done, total: manager.progress_update(done / total))
        except UnrenderError as error:
            self.report({"ERROR"}, f"{error}. {error.hint}" if error.hint else str(error))
            return {"CANCELLED"}
        except OSError as error:
            self.report({"ERROR"}, f"The views cannot be written: {error}")
            return {"CANCELLED"}
        finally:
            manager.progress_end()
        self.report({"INFO"}, f"{written} views written to {folder}")
        return {"FINISHED"}


def export(context: bpy.types.Context, folder: Path, on_view: rendered.OnView) -> int:
    """Write the job folder as the scene's settings say; returns how many views it has."""
    settings = context.scene.unrender
    depsgraph = context.evaluated_depsgraph_get()
    if settings.source == "FOLDER":
        raise RequestError(
            "an image folder needs no export", hint="Press Reconstruct; the folder is read as it is.", code="source"
        )
    if settings.source == "PHOTOS":
        found = photographs.read(checks.camera_objects(context), context.scene, depsgraph)
        masks = Path(bpy.path.abspath(settings.mask_folder)) if settings.mask_folder else None
        photographed.write(found, folder, settings.held_out, masks, on_view)
        return len(found)
    chosen = [thing for thing in with_children(context.selected_objects) if thing.type not in {"CAMERA", "LIGHT"}]
    with contextlib.ExitStack() as stack:
        if settings.source == "RIG":
            size = (settings.resolution, settings.resolution)
            views = stack.enter_context(rendered.rig_views(chosen, depsgraph, settings.count, settings.held_out, size))
        else:
            size = None
            views = stack.enter_context(
                rendered.scene_camera_views(checks.camera_objects(context), depsgraph, settings.held_out)
            )
        only = chosen if settings.only_selected else None
        if only is not None and not chosen:
            raise RequestError(
                "no object is selected",
                hint="Select what is to be reconstructed, or switch Only Selected off.",
                code="selection-empty",
            )
        quality = studio.Quality(size=size, samples=settings.samples, engine=settings.engine)
        rendered.write(context.scene, context.view_layer, views, quality, folder, only, on_view)
        return len(views)


def with_children(objects: list[bpy.types.Object]) -> list[bpy.types.Object]:
    """The objects and everything parented below them, each once."""
    return list(dict.fromkeys(thing for root in objects for thing in (root, *root.children_recursive)))


def register() -> None:
    """Add the operator."""
    bpy.utils.register_class(UNRENDER_OT_export_views)


def unregister() -> None:
    """Take it away."""
    bpy.utils.unregister_class(UNRENDER_OT_export_views)
