"""How the backend is asked to work, and what is seen of it meanwhile."""

from typing import Any

import bpy

from ...backend import contract

_PRESET_WORDS = {
    "draft": "A first look in minutes",
    "standard": "For most objects",
    "high": "The most detail, for hours",
}

# the artist's own presets keep these; what belongs to the file, such as the job folder, is none of them
PRESET_VALUES = (
    "preset",
    "device",
    "triangles",
    "texture_size",
    "light",
    "light_lock",
    "advanced",
    "view_resolution",
    "grid_cells",
    "shape_method",
    "shape_steps",
    "refine_steps",
    "fit_exposure",
    "light_resolution",
    "seed",
    "threads",
)


class ReconstructSettings:
    """The part of a scene's settings that the Reconstruct and Progress panels show."""

    preset: bpy.props.EnumProperty(
        name="Quality",
        description="How much work is put in; the numbers below may change single points of it",
        items=[(name, name.title(), _PRESET_WORDS[name]) for name in contract.PRESETS],
        default="standard",
    )
    device: bpy.props.EnumProperty(
        name="Device",
        description="What computes. The CPU does it too, many times slower than a GPU",
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
        description="Side of the asset's textures",
        items=[("preset", "From Preset", "The preset's size")]
        + [(str(n), f"{n} px", f"{n} by {n} texels") for n in (512, 1024, 2048, 4096)],
    )
    light: bpy.props.EnumProperty(
        name="Light",
        description="What is known of the light that the views were taken under",
        items=(
            ("UNKNOWN", "Unknown", "The light is found together with shape and material"),
            ("WORLD", "This World's HDRI", "The world's environment image, turned as its Mapping node has it"),
        ),
    )
    light_lock: bpy.props.BoolProperty(
        name="Keep As It Is",
        description="Trust the known light fully. Off, the search starts from it and may change it",
        default=True,
    )
    advanced: bpy.props.BoolProperty(
        name="Advanced", description="Use the settings of this panel instead of the preset's", default=False
    )
    view_resolution: bpy.props.IntProperty(
        name="View Resolution",
        description="Long side of the views in the fit. 0 takes as many pixels as they have and memory holds",
        default=512,
        min=0,
        max=8192,
        subtype="PIXEL",
    )
    grid_cells: bpy.props.IntProperty(
        name="Grid Cells",
        description="Cells along the longest side while the topology is still free; more find finer parts",
        default=96,
        min=32,
        max=256,
    )
    shape_method: bpy.props.EnumProperty(
        name="Surface",
        description="How the grid becomes a mesh",
        items=(
            ("flexicubes", "FlexiCubes", "Even triangles, sharp features"),
            ("tetrahedra", "Tetrahedra", "Sturdier, with more and thinner triangles"),
        ),
    )
    shape_steps: bpy.props.IntProperty(
        name="Shape Steps", description="Steps in which the topology is free", default=2000, min=1, max=1_000_000
    )
    refine_steps: bpy.props.IntProperty(
        name="Refine Steps",
        description="Steps in which vertices and textures are fitted on. 0 leaves them out",
        default=1500,
        min=0,
        max=1_000_000,
    )
    fit_exposure: bpy.props.BoolProperty(
        name="Fit Exposure", description="Find each photograph's exposure and white balance too", default=False
    )
    light_resolution: bpy.props.EnumProperty(
        name="Light Size",
        description="Side of a face of the light's cube",
        items=[(str(n), f"{n} px", f"{n} by {n} texels a face") for n in (32, 64, 128, 256)],
        default="64",
    )
    seed: bpy.props.IntProperty(
        name="Seed", description="Start of every random choice", default=0, min=0, max=2**31 - 1
    )
    threads: bpy.props.IntProperty(
        name="Threads", description="Processor threads used. 0 takes all", default=0, min=0, max=1024
    )
    preview_part: bpy.props.EnumProperty(
        name="Preview",
        description="Which picture of the running job is shown",
        items=(
            ("PHOTO", "Photo", "The first view as it came"),
            ("RENDER", "Render", "The same view of what is found so far"),
            ("DIFFERENCE", "Difference", "How far they are apart; black is no difference"),
            ("MAPS", "Maps", "Base color, roughness, metallic and normal of what is found so far"),
        ),
        default="RENDER",
        options={"SKIP_SAVE"},
    )
    live_mesh: bpy.props.BoolProperty(
        name="Live Mesh",
        description="Show the coarse mesh in the viewport while the job runs; it is taken away at the end",
        default=True,
    )

    def reconstruct_request(self) -> dict[str, Any]:
        """The request's keys that this panel sets, but for the light, which is the world's."""
        asset: dict[str, Any] = {}
        if self.triangles:
            asset["triangles"] = self.triangles
        if self.texture_size != "preset":
            asset["texture_size"] = int(self.texture_size)
        request: dict[str, Any] = {"preset": self.preset, "device": self.device, "asset": asset}
        if self.advanced:
            request |= {
                "views": {"resolution": self.view_resolution},
                "shape": {"method": self.shape_method, "cells": self.grid_cells, "steps": self.shape_steps},
                "refine": {"steps": self.refine_steps, "exposure": self.fit_exposure},
                "light": {"resolution": int(self.light_resolution)},
                "seed": self.seed,
                "threads": self.threads,
            }
        return request
