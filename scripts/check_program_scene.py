"""The small scenes of scripts/check_program.py; run by Blender with the extension enabled, the file's name after `--`."""

import sys
from pathlib import Path

import bpy

GLOW = (0.5, 0.2, 1.0)  # of the emission, times its strength: the values that linear pictures must hold
STRENGTH = 3.0


def _shader(block: bpy.types.Material | bpy.types.World, kind: str) -> bpy.types.Node:
    if block.node_tree is None:
        block.use_nodes = True
    return next(node for node in block.node_tree.nodes if node.type == kind)


def _tiny(settings: bpy.types.PropertyGroup) -> None:
    chosen = {
        "count": 6,
        "held_out": 1,
        "resolution": 64,
        "samples": 2,
        "advanced": True,
        "view_resolution": 64,
        "grid_cells": 32,
        "shape_steps": 6,
        "refine_steps": 3,
        "light_resolution": "32",
        "threads": 1,
        "triangles": 500,
        "texture_size": "512",
    }
    for name, value in chosen.items():
        setattr(settings, name, value)


def main(name: str) -> None:
    """Make the scene and save it as `name`."""
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("World")
    _shader(scene.world, "BACKGROUND").inputs["Color"].default_value = (0.8, 0.8, 0.8, 1.0)
    _tiny(scene.unrender)
    if name.startswith("cup"):
        bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=2)
        bpy.context.object.name = "Cup"
    else:
        bpy.ops.mesh.primitive_monkey_add()
        monkey = bpy.context.object
        monkey.name = "Glow"
        material = bpy.data.materials.new("Glow")
        shader = _shader(material, "BSDF_PRINCIPLED")
        shader.inputs["Base Color"].default_value = (0.0, 0.0, 0.0, 1.0)
        shader.inputs["Specular IOR Level"].default_value = 0.0
        shader.inputs["Emission Color"].default_value = (*GLOW, 1.0)
        shader.inputs["Emission Strength"].default_value = STRENGTH
        monkey.data.materials.append(material)
        scene.unrender.count, scene.unrender.samples = 2, 8  # without a GPU EEVEE takes seconds for one sample
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(name).absolute()))
    print("scene saved", flush=True)


main(sys.argv[sys.argv.index("--") + 1])
