"""The result's textures as one Principled material, wired as glTF means them."""

from __future__ import annotations

import bpy

from ...backend import contract
from . import marks
from .images import title


def node_tree(block: bpy.types.Material | bpy.types.World) -> bpy.types.NodeTree:
    """The block's nodes, emptied. Before 5.0 a block has none until it is told to use them; from 5.0 on it always has."""
    if block.node_tree is None or bpy.app.version < (5, 0, 0):
        block.use_nodes = True
    block.node_tree.nodes.clear()
    return block.node_tree


def build(name: str, images: dict[str, bpy.types.Image], alpha: contract.Alpha = "opaque") -> bpy.types.Material:
    """A new material.

    Args:
        images: by kind: base_color (sRGB), orm (green roughness, blue metallic) or roughness and metallic apart, normal
            (tangent space, +Y). Kinds that are absent leave the shader's default.
        alpha: what the base colour's alpha means.
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
    see_through(material, alpha)
    return material


def see_through(material: bpy.types.Material, alpha: contract.Alpha) -> None:
    """Connect the base colour's alpha to every Principled shader that shows the picture and whose own alpha nobody has connected.

    EEVEE dithers, for clipping and blending alike: surfaces behind one another then hide each other in their true order at each pixel,
    which its blending, sorted by objects alone, would take from a mesh that overlaps itself. Cycles does so in any case.
    """
    if alpha == "opaque":
        return
    tree = material.node_tree
    for shader in [node for node in tree.nodes if node.type == "BSDF_PRINCIPLED"]:
        picture = next((link.from_node for link in shader.inputs["Base Color"].links), None)
        image = getattr(picture, "image", None)
        shows = image is not None and image.get(marks.KIND) == "base_color"
        if picture is None or not shows or shader.inputs["Alpha"].is_linked:
            continue
        socket = picture.outputs["Alpha"]
        if alpha == "clip":
            there = tree.nodes.new("ShaderNodeMath")
            there.operation, there.label = "GREATER_THAN", "Alpha Clip"
            there.location = (-300, 200)
            cutoff = there.inputs[1]
            assert isinstance(cutoff, bpy.types.NodeSocketFloat)
            cutoff.default_value = contract.ALPHA_CUTOFF
            tree.links.new(socket, there.inputs[0])
            socket = there.outputs["Value"]
        tree.links.new(socket, shader.inputs["Alpha"])
        material.surface_render_method = "DITHERED"
        material.use_transparent_shadow = True
        material.use_backface_culling = False
