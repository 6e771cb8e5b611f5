"""What holds for all scenes: the backend's Python environment. Also the names and folders that Blender gives an extension."""

import tempfile
from pathlib import Path
from typing import Any, Literal

import bpy

from . import environment, environment_work
from .installer import plan, store, uv

ROOT_PACKAGE = __package__.rpartition(".")[0]  # bl_ext.<repository>.unrender; the middle part differs between users
ROOT_FOLDER = Path(__file__).parent.parent  # only read: the backend is run from it
LOCK = ROOT_FOLDER / "requirements" / "backend.txt"
_WIDTH = 90  # characters a line of text in the preferences holds


class UNRENDER_AP_preferences(bpy.types.AddonPreferences):
    """Unrender's preferences."""

    bl_idname = ROOT_PACKAGE

    interpreter: bpy.props.StringProperty(
        name="Backend Python",
        description="Interpreter, or folder of the virtual environment, that has the backend's packages. Empty uses the variable "
        "UNRENDER_BACKEND_PYTHON or the environment that Unrender keeps",
        subtype="FILE_PATH",
    )
    shared: bpy.props.BoolProperty(
        name="Share between Blender Versions",
        description="Keep the environment in your own data folder, where all versions of Blender find it and an uninstall leaves it. "
        "Otherwise it belongs to this version and goes with the extension",
    )
    environment_folder: bpy.props.StringProperty(
        name="Folder",
        description="Where environments are kept. Empty chooses by the option above",
        subtype="DIR_PATH",
    )
    wheels: bpy.props.StringProperty(
        name="Folder of Wheels",
        description="Folder that has all packages as files *.whl. When it is named, nothing is downloaded",
        subtype="DIR_PATH",
    )
    torch_index: bpy.props.StringProperty(
        name="PyTorch Index",
        description="Address of a package index that has the build of PyTorch you want. Empty chooses by the NVIDIA driver",
    )
    package_index: bpy.props.StringProperty(
        name="Package Index",
        description="Address of a package index that has all other packages. Empty is PyPI",
    )
    base_python: bpy.props.StringProperty(
        name="Base Python",
        description="Python 3.11 to 3.13 to build the environment on. Empty looks for one, or lets uv fetch one",
        subtype="FILE_PATH",
    )
    fetch_uv: bpy.props.BoolProperty(
        name="Download uv",
        description=f"Fetch the program uv {uv.VERSION} (17 MB, {uv.LICENSE}) from PyPI and verify its checksum. "
        "It makes environments faster than pip, and brings a Python where there is none",
    )

    def draw(self, context: bpy.types.Context) -> None:
        """The preferences' panel."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        self.draw_status(layout.box().column(), environment_status(context))
        layout.prop(self, "interpreter")
        if not self.interpreter:
            column = layout.column()
            column.enabled = not environment_work.busy()
            self.draw_choices(column)

    def draw_status(self, column: bpy.types.UILayout, now: environment.EnvironmentStatus) -> None:
        """Where the backend stands, and the buttons that change it."""
        task = environment_work.current()
        if now.state == "making" and task is not None:
            column.progress(factor=task.share or 0.0, text=now.reason)
            row = column.row()
            row.operator("unrender.cancel_environment", icon="CANCEL")
            row.operator("unrender.open_environment_log", icon="TEXT")
            return
        icon: Literal["CHECKMARK", "ERROR", "INFO", "BLANK1"] = "INFO"
        if now.state in ("ready", "broken"):
            icon = "CHECKMARK" if now.state == "ready" else "ERROR"
        for line in wrapped(now.reason):
            column.label(text=line, icon=icon)
            icon = "BLANK1"
        for line in now.details:
            column.label(text=line, icon="BLANK1")
        if now.managed and now.bytes:
            column.label(text=f"Size on disk: {now.bytes / 1e9:.2f} GB in {home(self)}", icon="BLANK1")
        if task is not None and task.state in ("failed", "cancelled") and now.reason != _failure(task):
            for line in wrapped(_failure(task)):
                column.label(text=line, icon="ERROR")
        row = column.row()
        if now.managed:
            text = {"ready": "Make Anew", "broken": "Repair"}.get(now.state, "Make Environment")
            row.operator("unrender.make_environment", text=text, icon="FILE_REFRESH")
        if now.interpreter is not None:
            row.operator("unrender.check_backend", icon="VIEWZOOM")
        if now.managed:
            row.operator("unrender.remove_environment", icon="TRASH")
            row.operator("unrender.open_environment_log", icon="TEXT")

    def draw_choices(self, column: bpy.types.UILayout) -> None:
        """What the managed environment is made from, and where it is kept."""
        column.prop(self, "shared")
        column.prop(self, "environment_folder")
        column.prop(self, "wheels")
        if not self.wheels:
            if not bpy.app.online_access:
                column.label(text=offline_hint() + ", or name a folder of wheels", icon="INTERNET_OFFLINE")
            if uv.find(home(self) / "tools") is None:
                column.prop(self, "fetch_uv")
            column.prop(self, "torch_index")
            column.prop(self, "package_index")
        column.prop(self, "base_python")


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


def home(stored: UNRENDER_AP_preferences | None) -> Path:
    """The folder of managed environments; it need not exist."""
    if stored and stored.environment_folder:
        return _path(stored.environment_folder)
    return environment.shared_home() if stored and stored.shared else own_folder("environments")


def place(stored: UNRENDER_AP_preferences | None) -> store.Store:
    """The managed environment of this version's packages; EnvironmentFault where the extension is damaged."""
    return environment.place(home(stored), LOCK)


def wish(stored: UNRENDER_AP_preferences | None) -> plan.Wish:
    """What the preferences ask for."""
    online = bool(bpy.app.online_access)
    if stored is None:
        return plan.Wish(online=online, offline_hint=offline_hint())
    return plan.Wish(
        online=online,
        offline_hint=offline_hint(),
        fetch_uv=stored.fetch_uv,
        wheels=_path(stored.wheels) if stored.wheels else None,
        torch_index=stored.torch_index.strip(),
        package_index=stored.package_index.strip(),
        base=str(_path(stored.base_python)) if stored.base_python else "",
    )


def offline_hint() -> str:
    """How to let extensions go online."""
    if bpy.app.online_access_override:
        return "This Blender was started offline; start it without --offline-mode"
    return "Allow Online Access in Preferences > System"


def backend_python(context: bpy.types.Context) -> Path:
    """The interpreter the backend runs in; EnvironmentFault says what to do where there is none."""
    stored = get(context)
    return environment.interpreter(_chosen(stored), home(stored), LOCK)


def environment_status(source: Any) -> environment.EnvironmentStatus:
    """Where the environment stands, from a context or these preferences; cheap enough for a draw function."""
    stored = source if isinstance(source, UNRENDER_AP_preferences) or source is None else get(source)
    task = environment_work.current()
    now = environment.look(_chosen(stored), home(stored), LOCK, environment_work.checked())
    if task is not None and task.state == "running":
        share = "" if task.share is None else f", {task.share:.0%}"
        reason = f"{task.says}{share}"
        return environment.EnvironmentStatus(now.ready, reason, now.interpreter, "making", managed=now.managed)
    return now


def wrapped(text: str) -> list[str]:
    """`text` in lines short enough for the preferences."""
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= _WIDTH and lines[-1]:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def default_job_folder() -> Path:
    """Beside the saved .blend, else in the system's folder for temporary files."""
    if bpy.data.filepath:
        path = Path(bpy.data.filepath)
        return path.with_name(f"{path.stem}_unrender")
    return Path(tempfile.gettempdir()) / "unrender" / "untitled"


def _failure(task: Any) -> str:
    if task.failure is None:
        return "Cancelled. What was downloaded is kept."
    said = f"{task.failure}. {task.failure.hint}".strip()
    return said[0].upper() + said[1:]


def _chosen(stored: UNRENDER_AP_preferences | None) -> str:
    return bpy.path.abspath(stored.interpreter) if stored and stored.interpreter else ""


def _path(text: str) -> Path:
    return Path(bpy.path.abspath(text)).expanduser()


def register() -> None:
    """Add the class."""
    bpy.utils.register_class(UNRENDER_AP_preferences)


def unregister() -> None:
    """Take it away."""
    bpy.utils.unregister_class(UNRENDER_AP_preferences)
