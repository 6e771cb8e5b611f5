"""What the artist sets for a scene, and the request made of it. Each panel's settings are in a module of their own."""

from pathlib import Path

import bpy

from ...backend import contract
from .. import known_light, preferences
from .capture import CaptureSettings
from .reconstruct import ReconstructSettings
from .result import ResultSettings


class UNRENDER_PG_settings(CaptureSettings, ReconstructSettings, ResultSettings, bpy.types.PropertyGroup):
    """Settings of one scene."""

    def job_folder(self) -> Path:
        """The job folder, absolute."""
        return Path(bpy.path.abspath(self.folder)) if self.folder else preferences.default_job_folder()

    def to_request(self) -> contract.Request:
        """The request of this scene's job folder; RequestError where a setting is refused or the world is no HDRI."""
        captured, data = self.capture_request(self.job_folder()), self.reconstruct_request()
        data |= {**captured, "views": {**data.get("views", {}), **captured.get("views", {})}}
        if self.light == "WORLD":
            known = known_light.read(self.id_data.world).request(self.job_folder())
            data["light"] = {**data.get("light", {}), **known, "lock": self.light_lock}
        return contract.parse(data)


def register() -> None:
    """Add the settings to every scene."""
    bpy.utils.register_class(UNRENDER_PG_settings)
    bpy.types.Scene.unrender = bpy.props.PointerProperty(type=UNRENDER_PG_settings)


def unregister() -> None:
    """Take them away."""
    del bpy.types.Scene.unrender
    bpy.utils.unregister_class(UNRENDER_PG_settings)


def let_go() -> None:
    """At the very end of the process: Blender 4.2 as a module crashes there over a group that has methods, though it was unregistered."""
    if bpy.app.version < (4, 3):
        for cls in UNRENDER_PG_settings.__mro__[: UNRENDER_PG_settings.__mro__.index(bpy.types.PropertyGroup)]:
            for name in [name for name, value in vars(cls).items() if callable(value)]:
                delattr(cls, name)
