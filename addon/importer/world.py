"""The result's light as a world. The file has Blender's own orientation: image centre +X, +Y at a quarter, +Z on top."""

from __future__ import annotations

import bpy

from .material import node_tree


def build(name: str, environment: bpy.types.Image) -> bpy.types.World:
    """A new world lit by the equirectangular, linear image; its Mapping node is there to turn the light by hand."""
    world = bpy.data.worlds.new(name)
    tree = node_tree(world)
    nodes, link = tree.nodes, tree.links.new
    coordinate = nodes.new("ShaderNodeTexCoord")
    coordinate.location = (-800, 0)
    mapping = nodes.new("ShaderNodeMapping")
    mapping.location = (-600, 0)
    texture = nodes.new("ShaderNodeTexEnvironment")
    texture.image = environment
    texture.location = (-400, 0)
    background = nodes.new("ShaderNodeBackground")
    background.location = (-100, 0)
    output = nodes.new("ShaderNodeOutputWorld")
    output.location = (100, 0)
    link(coordinate.outputs["Generated"], mapping.inputs["Vector"])
    link(mapping.outputs["Vector"], texture.inputs["Vector"])
    link(texture.outputs["Color"], background.inputs["Color"])
    link(background.outputs["Background"], output.inputs["Surface"])
    return world
