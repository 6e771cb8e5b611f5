"""The result's textures as one Principled material, wired as glTF means them."""

from __future__ import annotations

from pathlib import Path

import bpy

from ...backend.contract import RequestError


def load_image(path: Path, color_space: str) -> bpy.types.Image:
    """The file as a new image data-block in the given colour space, whatever tag the file carries. RequestError if it is none."""
    image = bpy.data.images.load(str(path), check_existing=False)
    if 0 in image.size:  # Blender loads anything, and shows pink for what it cannot read
        raise RequestError(f"{path} cannot be read as an image", code="result-unreadable")
    image.colorspace_settings.name = color_space
    return image


def node_tree(block: bpy.types.Material | bpy.types.World) -> bpy.types.NodeTree:
    """The block's nodes, emptied. Before 5.0 a block has none until it is told to use them; from 5.0 on it always has."""
    if block.node_tree is None or bpy.app.version < (5, 0, 0):
        block.use_nodes = True
    block.node_tree.nodes.clear()
    return block.node_tree


def build(name: str, textures: dict[str, Path]) -> bpy.types.Material:
    """A new material.

    Args:
        textures: file by kind: base_color (sRGB), orm (green roughness, blue metallic) or roughness and metallic apart, normal
            (tangent space, +Y). Kinds that are absent leave the shader's default.
    """
    material = bpy.data.materials.new(name)
    tree = node_tree(material)
    nodes, link = tree.nodes, tree.links.new
    output = nodes.new("ShaderNodeOutputMaterial")
    output.location = (400, 0)
    shader = nodes.new("ShaderNodeBsdfPrincipled")
    link(shader.outputs["BSDF"], output.inputs["Surface"])

    def texture(kind: str, color_space: str, row: int) -> bpy.types.NodeSocket:
        node = nodes.new("ShaderNodeTexImage")
        node.image = load_image(textures[kind], color_space)
        node.extension = "EXTEND"  # as the maps were fitted: beyond the picture's edge its last texel goes on
        node.label, node.location = kind.replace("_", " ").title(), (-700, -300 * row)
        return node.outputs["Color"]

    if "base_color" in textures:
        link(texture("base_color", "sRGB", 0), shader.inputs["Base Color"])
    if "orm" in textures:
        split = nodes.new("ShaderNodeSeparateColor")
        split.location = (-300, -300)
        link(texture("orm", "Non-Color", 1), split.inputs["Color"])
        link(split.outputs["Green"], shader.inputs["Roughness"])
        link(split.outputs["Blue"], shader.inputs["Metallic"])
    else:
        for row, kind in enumerate(("roughness", "metallic"), start=1):
            if kind in textures:
                link(texture(kind, "Non-Color", row), shader.inputs[kind.title()])
    if "normal" in textures:
        bump = nodes.new("ShaderNodeNormalMap")
        bump.location, bump.uv_map = (-300, -900), "UVMap"
        link(texture("normal", "Non-Color", 3), bump.inputs["Color"])
        link(bump.outputs["Normal"], shader.inputs["Normal"])
    return material
