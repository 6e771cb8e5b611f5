"""unrender.import_result: a result folder into the scene."""

from pathlib import Path

import bpy

from ...backend import contract
from ..importer import scene


class UNRENDER_OT_import_result(bpy.types.Operator):
    """Add the finished asset: mesh, material, and the light it was found under"""

    bl_idname = "unrender.import_result"
    bl_label = "Import Result"
    bl_options = {"REGISTER", "UNDO"}

    directory: bpy.props.StringProperty(
        name="Folder", description="A result folder, or the job folder around it. Empty takes the scene's job folder", subtype="DIR_PATH",
        options={"SKIP_SAVE"},
    )  # fmt: skip
    name: bpy.props.StringProperty(
        name="Name", description="Name of the new collection and its object", default="Unrendered"
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        settings = context.scene.unrender
        folder = Path(bpy.path.abspath(self.directory)) if self.directory else settings.job_folder()
        try:
            result = contract.read_result(folder)  # complete, or raises with bpy.data untouched
            collection = scene.add(context.scene, result, self.name, settings.import_world, settings.import_cameras)
        except (OSError, contract.UnrenderError) as error:
            self.report({"ERROR"}, " ".join(filter(None, (str(error), getattr(error, "hint", "")))))
            return {"CANCELLED"}
        for warning in result.warnings:
            self.report({"WARNING"}, warning)
        for thing in context.selected_objects:
            thing.select_set(False)
        for thing in collection.objects:
            thing.select_set(True)
            context.view_layer.objects.active = thing
        return {"FINISHED"}


def register() -> None:
    """Add the operator."""
    bpy.utils.register_class(UNRENDER_OT_import_result)


def unregister() -> None:
    """Take it away."""
    bpy.utils.unregister_class(UNRENDER_OT_import_result)
