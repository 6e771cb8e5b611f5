"""unrender.import_result and unrender.replace_result: a result folder into the scene."""

from __future__ import annotations

from pathlib import Path

import bpy

from ...backend import contract
from ..importer import marks, scene


def folder_of(context: bpy.types.Context, directory: str) -> Path:
    """The folder an operator was given, or the scene's job folder."""
    return Path(bpy.path.abspath(directory)) if directory else context.scene.unrender.job_folder()


def finished(folder: Path) -> bool:
    """Whether a folder, or the job in it, has a result."""
    return (folder / "result.json").is_file() or (contract.JobFolder(folder).result / "result.json").is_file()


def told(operator: bpy.types.Operator, error: Exception) -> set[str]:
    """Report a failure and what to do about it; nothing was done."""
    hint = getattr(error, "hint", "")
    if not hint and getattr(error, "code", "") in ("result-unreadable", "result-incomplete"):
        hint = "Reconstruct again: the job writes its result anew."
    operator.report({"ERROR"}, f"{str(error).rstrip('.')}. {hint}".strip())
    return {"CANCELLED"}


class _Chooses(bpy.types.Operator):
    """An operator on a result folder that asks for one in the file browser where the scene's job has none."""

    directory: bpy.props.StringProperty(
        name="Folder",
        description="A result folder, or the job folder around it. Empty takes the scene's job folder",
        subtype="DIR_PATH",
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Blender calls this for a click."""
        if finished(folder_of(context, self.directory)):
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}


class UNRENDER_OT_import_result(_Chooses):
    """Add the finished asset: mesh, material, and the light it was found under"""

    bl_idname = "unrender.import_result"
    bl_label = "Import Result"
    bl_options = {"REGISTER", "UNDO"}

    name: bpy.props.StringProperty(
        name="Name", description="Name of the new collection and its object", default="Unrendered"
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        settings = context.scene.unrender
        try:
            result = scene.read(folder_of(context, self.directory))  # complete, or raises with bpy.data untouched
            asset = scene.add(
                context.scene,
                result,
                self.name,
                with_world=settings.import_world,
                with_cameras=settings.import_cameras,
                packed=settings.pack_images,
            )
        except (OSError, contract.UnrenderError) as error:
            return told(self, error)
        for warning in result.warnings:
            self.report({"WARNING"}, warning)
        for thing in context.selected_objects:
            thing.select_set(False)
        asset.select_set(True)
        context.view_layer.objects.active = asset
        return {"FINISHED"}


class UNRENDER_OT_replace_result(_Chooses):
    """Give the asset imported before this result's mesh and textures. Its name, place, collections and materials stay"""

    bl_idname = "unrender.replace_result"
    bl_label = "Replace Previous"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where there is one to replace."""
        reason = marks.hindrance(context)
        if reason:
            cls.poll_message_set(reason)
        return not reason

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        settings = context.scene.unrender
        try:
            result = scene.read(folder_of(context, self.directory))
            scene.replace(
                context.scene,
                marks.required(context),
                result,
                with_world=settings.import_world,
                with_cameras=settings.import_cameras,
                packed=settings.pack_images,
            )
        except (OSError, contract.UnrenderError) as error:
            return told(self, error)
        for warning in result.warnings:
            self.report({"WARNING"}, warning)
        return {"FINISHED"}


CLASSES = (UNRENDER_OT_import_result, UNRENDER_OT_replace_result)


def register() -> None:
    """Add the operators."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
