"""What can be done with an imported asset: its cameras, levels of detail, its entry in the asset browser, and the scene's old world."""

from __future__ import annotations

from pathlib import Path

import bpy

from ...backend import contract
from ..importer import catalogue, marks, scene
from ..slices import Slices
from . import sliced
from .sliced import told


class _OnAsset(bpy.types.Operator):
    """An operator on the asset that is active, or the scene's only one."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where there is one."""
        reason = marks.hindrance(context)
        if reason:
            cls.poll_message_set(reason)
        return not reason


class UNRENDER_OT_import_cameras(_OnAsset):
    """Add the cameras that the asset's views were taken with, in a collection of their own"""

    bl_idname = "unrender.import_cameras"
    bl_label = "Import Cameras"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        asset = marks.required(context)
        try:
            count = scene.add_cameras(context.scene, asset, scene.read(Path(asset[marks.FOLDER])))
        except (OSError, contract.UnrenderError) as error:
            return told(self, error)
        self.report({"INFO"}, f"{count} cameras")
        return {"FINISHED"}


class UNRENDER_OT_make_levels(sliced.Sliced):
    """Add copies of the asset with half, a quarter and a tenth of its triangles, hidden and with the asset's normals"""

    bl_idname = "unrender.make_levels"
    bl_label = "Make LODs"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where there is an asset, and nothing else is being done."""
        reason = sliced.hindrance() or marks.hindrance(context)
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def slices(self, context: bpy.types.Context) -> Slices[None]:
        """See `Sliced`."""
        return scene.adding_levels(
            context.scene, marks.required(context), lambda words: self.report({"WARNING"}, words)
        )


class UNRENDER_OT_mark_asset(_OnAsset):
    """Show the asset in the asset browser, with a picture and what is known of it"""

    bl_idname = "unrender.mark_asset"
    bl_label = "Mark as Asset"
    bl_options = {"REGISTER", "UNDO"}

    author: bpy.props.StringProperty(name="Author", description="Who is named as the asset's author")
    summary: bpy.props.StringProperty(
        name="Description",
        description="What the asset browser says of it. Empty takes the figures of the reconstruction",
        options={"SKIP_SAVE"},
    )
    tags: bpy.props.StringProperty(
        name="Tags", description="Words to find it by, with commas between them; Unrender is always one"
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Blender calls this for a click: asks for the words first."""
        self.summary = self.summary or self.figures(marks.required(context))
        return context.window_manager.invoke_props_dialog(self)

    @staticmethod
    def figures(asset: bpy.types.Object) -> str:
        """What the asset's result says of it; a result that is gone costs the figures alone."""
        try:
            result = scene.read(Path(asset[marks.FOLDER]))
        except (OSError, contract.UnrenderError):
            result = None
        return catalogue.description(result, len(asset.data.polygons))

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        asset = marks.required(context)
        tags = [tag.strip() for tag in self.tags.split(",") if tag.strip()]
        try:
            catalogue.mark(asset, self.author, self.summary or self.figures(asset), tags)
            catalogue.draw_preview(context, asset)
        except (OSError, RuntimeError, contract.UnrenderError) as error:
            self.report({"WARNING"}, f"The asset is marked, but has no picture: {error}")
        return {"FINISHED"}


class UNRENDER_OT_restore_world(bpy.types.Operator):
    """Give the scene the world it had before the import; the asset's light is kept and can be chosen again"""

    bl_idname = "unrender.restore_world"
    bl_label = "Restore World"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where an import took a world's place."""
        if context.scene.get(marks.PREVIOUS) is None:
            cls.poll_message_set("No import has taken the place of a world in this scene")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        scene.restore_world(context.scene)
        return {"FINISHED"}


CLASSES = (
    UNRENDER_OT_import_cameras,
    UNRENDER_OT_make_levels,
    UNRENDER_OT_mark_asset,
    UNRENDER_OT_restore_world,
)


def register() -> None:
    """Add the operators."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
