"""What holds for all scenes: where the backend's Python is. Also the names and folders that Blender gives an extension."""

import tempfile
from pathlib import Path

import bpy

from . import environment

ROOT_PACKAGE = __package__.rpartition(".")[0]  # bl_ext.<repository>.unrender; the middle part differs between users
ROOT_FOLDER = Path(__file__).parent.parent  # only read: the backend is run from it


class UNRENDER_AP_preferences(bpy.types.AddonPreferences):
    """Unrender's preferences."""

    bl_idname = ROOT_PACKAGE

    interpreter: bpy.props.StringProperty(
        name="Backend Python",
        description="Interpreter, or folder of the virtual environment, that has the backend's packages. Empty uses the variable "
        "UNRENDER_BACKEND_PYTHON or the environment that Unrender keeps",
        subtype="FILE_PATH",
    )
    message: bpy.props.StringProperty(name="Backend", options={"SKIP_SAVE", "HIDDEN"})

    def draw(self, _context: bpy.types.Context) -> None:
        """The preferences' panel."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(self, "interpreter")
        layout.operator(UNRENDER_OT_check_backend.bl_idname, icon="CHECKMARK")
        if self.message:
            layout.label(text=self.message)


class UNRENDER_OT_check_backend(bpy.types.Operator):
    """Ask the backend's Python whether it has all it needs"""

    bl_idname = "unrender.check_backend"
    bl_label = "Check Backend"

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Blender calls this."""
        try:
            readiness = environment.check(backend_python(context), ROOT_FOLDER)
        except environment.EnvironmentFault as fault:
            readiness = environment.Readiness(False, f"{fault} {fault.hint}")
        stored = get(context)
        if stored is not None:
            stored.message = readiness.message
        self.report({"INFO"} if readiness.ready else {"ERROR"}, readiness.message)
        return {"FINISHED"} if readiness.ready else {"CANCELLED"}


def get(context: bpy.types.Context) -> UNRENDER_AP_preferences | None:
    """The preferences, or None where the add-on was imported as a plain package."""
    addon = context.preferences.addons.get(ROOT_PACKAGE)
    return addon.preferences if addon else None


def own_folder(name: str) -> Path:
    """A folder for files of ours that outlive an upgrade; it is not made."""
    try:
        return Path(bpy.utils.extension_path_user(ROOT_PACKAGE, path=name, create=False))
    except ValueError:  # not installed as an extension
        return Path(bpy.utils.user_resource("DATAFILES", path=f"unrender/{name}"))


def backend_python(context: bpy.types.Context) -> Path:
    """The interpreter the backend runs in; EnvironmentFault says what to do where there is none."""
    stored = get(context)
    return environment.find(bpy.path.abspath(stored.interpreter) if stored else "", own_folder("environment"))


def default_job_folder() -> Path:
    """Beside the saved .blend, else in the system's folder for temporary files."""
    if bpy.data.filepath:
        path = Path(bpy.data.filepath)
        return path.with_name(f"{path.stem}_unrender")
    return Path(tempfile.gettempdir()) / "unrender" / "untitled"


CLASSES = (UNRENDER_OT_check_backend, UNRENDER_AP_preferences)


def register() -> None:
    """Add the classes."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
