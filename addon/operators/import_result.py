"""A result folder into the scene: unrender.import_result and unrender.replace_result, and the buttons that find the folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy

from ...backend import contract
from ..importer import marks, scene
from ..slices import Slices
from . import sliced


def folder_of(context: bpy.types.Context, directory: str) -> Path:
    """The folder an operator was given, or the scene's job folder."""
    return Path(bpy.path.abspath(directory)) if directory else context.scene.unrender.job_folder()


def finished(folder: Path) -> bool:
    """Whether a folder, or the job in it, has a result."""
    return (folder / "result.json").is_file() or (contract.JobFolder(folder).result / "result.json").is_file()


class _OfFolder(sliced.Sliced):
    """An operator on a result folder; not registered itself."""

    directory: bpy.props.StringProperty(
        name="Folder",
        description="A result folder, or the job folder around it. Empty takes the scene's job folder",
        subtype="DIR_PATH",
        options={"SKIP_SAVE"},
    )

    def wish(self, context: bpy.types.Context) -> scene.Wish:
        """What the panel says."""
        settings = context.scene.unrender
        return scene.Wish(settings.import_world, settings.import_cameras, settings.pack_images)

    def warn(self, words: str) -> None:
        """Say what went another way."""
        self.report({"WARNING"}, words)


class _Imports(_OfFolder):
    """What both importing operators share; not registered itself."""

    name: bpy.props.StringProperty(
        name="Name", description="Name of the new collection and its object", default="Unrendered"
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Whenever things can be added."""
        return possible(cls, sliced.hindrance() or not_in_object_mode(context))

    def slices(self, context: bpy.types.Context) -> Slices[None]:
        """See `Sliced`."""
        result = scene.read(folder_of(context, self.directory))
        asset = yield from scene.adding(context.scene, result, self.name, self.wish(context), self.warn)
        for warning in result.warnings:
            self.warn(warning)
        for thing in context.selected_objects:
            thing.select_set(False)
        if asset.name in context.view_layer.objects:  # another scene may be shown by now
            asset.select_set(True)
            context.view_layer.objects.active = asset


class UNRENDER_OT_import_result(_Imports):
    """Add a finished asset: mesh, material, and the light it was found under"""

    bl_idname = "unrender.import_result"
    bl_label = "Import Result"
    bl_options = {"UNDO"}


class UNRENDER_OT_import_finished(_Imports):
    """Add the finished asset of this job folder: mesh, material, and the light it was found under"""

    bl_idname = "unrender.import_finished"
    bl_label = "Import Result"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where a job was finished."""
        return possible(cls, not_finished(context)) and super().poll(context)


class _Replaces(_OfFolder):
    """What both replacing operators share; not registered itself."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where there is one to replace."""
        return possible(cls, sliced.hindrance() or marks.hindrance(context))

    def slices(self, context: bpy.types.Context) -> Slices[None]:
        """See `Sliced`."""
        result = scene.read(folder_of(context, self.directory))
        asset = marks.required(context)
        yield from scene.replacing(context.scene, asset, result, self.wish(context), self.warn)
        for warning in result.warnings:
            self.warn(warning)


class UNRENDER_OT_replace_result(_Replaces):
    """Give the asset imported before this result's mesh and textures. Its name, place, collections and materials stay"""

    bl_idname = "unrender.replace_result"
    bl_label = "Replace Previous"
    bl_options = {"UNDO"}


class UNRENDER_OT_replace_finished(_Replaces):
    """Give the asset imported before the mesh and textures of this job folder's result. Its name, place, collections and materials stay"""

    bl_idname = "unrender.replace_finished"
    bl_label = "Replace Previous"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only where a job was finished, and there is one to replace."""
        return possible(cls, not_finished(context)) and super().poll(context)


class UNRENDER_OT_choose_result(bpy.types.Operator):
    """Choose the folder of another result, and import it or replace the previous asset with it"""

    bl_idname = "unrender.choose_result"
    bl_label = "Choose Result Folder"

    directory: bpy.props.StringProperty(
        name="Folder", description="A result folder, or the job folder around it", subtype="DIR_PATH"
    )
    replace: bpy.props.BoolProperty(
        name="Replace Previous",
        description="Give the asset imported before the chosen result's mesh and textures, instead of adding one",
        options={"SKIP_SAVE"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Whenever things can be added."""
        return possible(cls, sliced.hindrance() or not_in_object_mode(context))

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Blender calls this for a click: ask for the folder."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Blender calls this when the folder is chosen. It makes no undo step; the operator it calls makes one, at its end."""
        ops: Any = bpy.ops  # whose stubs know Blender's own alone
        chosen = ops.unrender.replace_result if self.replace else ops.unrender.import_result
        try:
            chosen("INVOKE_DEFAULT", directory=self.directory)
        except RuntimeError as error:  # it is not possible now, for the reason that stands there
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


def possible(operator: type[bpy.types.Operator], reason: str) -> bool:
    """What a poll gives: whether there is no reason against it, which the greyed button then tells."""
    if reason:
        operator.poll_message_set(reason)
    return not reason


def not_finished(context: bpy.types.Context) -> str:
    """Why there is nothing to import from the scene's job folder, or ''."""
    there = finished(context.scene.unrender.job_folder())
    return "" if there else "No reconstruction was finished in this job folder, so there is no result yet"


def not_in_object_mode(context: bpy.types.Context) -> str:
    """Why nothing can be added in this mode, or ''."""
    return "" if context.mode == "OBJECT" else "Only in Object Mode: leave the present mode first"


CLASSES = (
    UNRENDER_OT_import_result,
    UNRENDER_OT_import_finished,
    UNRENDER_OT_replace_result,
    UNRENDER_OT_replace_finished,
    UNRENDER_OT_choose_result,
)


def register() -> None:
    """Add the operators."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
