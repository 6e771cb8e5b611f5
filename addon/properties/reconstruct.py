"""How the backend is asked to work."""

import bpy

from ...backend import contract

_PRESET_WORDS = {
    "draft": "A first look in minutes",
    "standard": "For most objects",
    "high": "The most detail, for hours",
}


class ReconstructSettings:
    """The part of a scene's settings that the Reconstruct panel shows."""

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
