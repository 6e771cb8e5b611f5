"""The result's textures as one Principled material, wired as glTF means them."""

from __future__ import annotations

import bpy

from . import marks
from .images import title


def node_tree(block: bpy.types.Material | bpy.types.World) -> bpy.types.NodeTree:
    """The block's nodes, emptied. Before 5.0 a block has none until it is told to use them; from 5.0 on it always has."""
    if block.node_tree is None or bpy.app.version < (5, 0, 0):
        block.use_nodes = True
    block.node_tree.nodes.clear()
    return block.node_tree


def build(name: str, images: dict[str, bpy.types.Image]) -> bpy.types.Material:
    """A new material.

    Args:
        images: by kind: base_color (sRGB), orm (green roughness, blue metallic) or roughness and metallic apart, normal
            (tangent space, +Y). Kinds that are absent leave the shader's default.
    """
    material = bpy.data.materials.new(name)
    marks.mark_part(material, "material")
    tree = node_tree(material)
    nodes, link = tree.nodes, tree.links.new
    output = nodes.new("ShaderNodeOutputMaterial")
    output.location = (400, 0)
    shader = nodes.new("ShaderNodeBsdfPrincipled")
    link(shader.outputs["BSDF"], output.inputs["Surface"])

    def texture(kind: str, row: int) -> bpy.types.NodeSocket:
        node = nodes.new("ShaderNodeTexImage")
        node.image = images[kind]
        node.extension = "EXTEND"  # as the maps were fitted: beyond the picture's edge its last texel goes on
        node.label, node.location = title(kind), (-700, -300 * row)
        return node.outputs["Color"]

    if "base_color" in images:
        link(texture("base_color", 0), shader.inputs["Base Color"])
    if "orm" in images:
        split = nodes.new("ShaderNodeSeparateColor")
        split.location = (-300, -300)
        link(texture("orm", 1), split.inputs["Color"])
        link(split.outputs["Green"], shader.inputs["Roughness"])
        link(split.outputs["Blue"], shader.inputs["Metallic"])
    else:
        for row, kind in enumerate(("roughness", "metallic"), start=1):
            if kind in images:
                link(texture(kind, row), shader.inputs[kind.title()])
    if "normal" in images:
        bump = nodes.new("ShaderNodeNormalMap")
        bump.location, bump.uv_map = (-300, -900), "UVMap"
        link(texture("normal", 3), bump.inputs["Color"])
        link(bump.outputs["Normal"], shader.inputs["Normal"])
    return material
