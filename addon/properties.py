"""What the artist sets for a scene, and the request made of it."""

from pathlib import Path

import bpy

from ..backend import contract
from . import preferences

_PRESET_WORDS = {
    "draft": "A first look in minutes",
    "standard": "For most objects",
    "high": "The most detail, for hours",
}


class UNRENDER_PG_settings(bpy.types.PropertyGroup):
    """Settings of one scene."""

    folder: bpy.props.StringProperty(
        name="Job Folder",
        description="Where views, checkpoints and the asset are kept. Empty means a folder beside the saved file",
        subtype="DIR_PATH",
    )
    source: bpy.props.EnumProperty(
        name="Cameras",
        items=(
            ("RIG", "Automatic Rig", "Cameras on a dome around the selected objects"),
            ("SCENE", "Scene Cameras", "The cameras of this scene; where cameras are selected, only those"),
        ),
    )
    count: bpy.props.IntProperty(
        name="Views", description="Views of the rig that are fitted", default=48, min=2, max=1000
    )
    held_out: bpy.props.IntProperty(
        name="Held Out", description="Views that are only used to measure the result", default=6, min=0, max=500
    )
    resolution: bpy.props.IntProperty(
        name="Resolution", description="Side of the rig's square views", default=512, min=32, max=8192, subtype="PIXEL"
    )
    samples: bpy.props.IntProperty(
        name="Samples", description="Cycles samples of a pixel", default=64, min=1, max=65536
    )
    only_selected: bpy.props.BoolProperty(
        name="Only Selected", description="Hide all but the selected objects from the views; lights stay", default=True
    )
    preset: bpy.props.EnumProperty(
        name="Preset",
        items=[(name, name.title(), _PRESET_WORDS[name]) for name in contract.PRESETS],
        default="standard",
    )
    device: bpy.props.EnumProperty(
        name="Device",
        items=(
            ("auto", "Automatic", "A GPU where there is one"),
            ("cpu", "CPU", "The processor"),
            ("cuda", "CUDA", "The first NVIDIA GPU"),
        ),
    )
    triangles: bpy.props.IntProperty(
        name="Triangles",
        description="Most triangles of the asset. 0 takes the preset's number",
        default=0,
        min=0,
        max=10_000_000,
    )
    texture_size: bpy.props.EnumProperty(
        name="Textures",
        items=[("preset", "From Preset", "The preset's size")]
        + [(str(n), f"{n} px", f"{n} by {n} texels") for n in (512, 1024, 2048, 4096)],
    )
    import_world: bpy.props.BoolProperty(
        name="World", description="Light the scene with the found HDRI; the world it had is kept", default=True
    )
    import_cameras: bpy.props.BoolProperty(
        name="Cameras", description="Add the cameras the views were taken with", default=False
    )

    def job_folder(self) -> Path:
        """The job folder, absolute."""
        return Path(bpy.path.abspath(self.folder)) if self.folder else preferences.default_job_folder()

    def to_request(self) -> contract.Request:
        """The request of this scene's job folder; RequestError where a setting is refused."""
        asset: dict[str, int] = {}
        if self.triangles:
            asset["triangles"] = self.triangles
        if self.texture_size != "preset":
            asset["texture_size"] = int(self.texture_size)
        return contract.parse(
            {"source": str(self.job_folder()), "preset": self.preset, "device": self.device, "asset": asset}
        )


def register() -> None:
    """Add the settings to every scene."""
    bpy.utils.register_class(UNRENDER_PG_settings)
    bpy.types.Scene.unrender = bpy.props.PointerProperty(type=UNRENDER_PG_settings)


def unregister() -> None:
    """Take them away."""
    del bpy.types.Scene.unrender
    bpy.utils.unregister_class(UNRENDER_PG_settings)
