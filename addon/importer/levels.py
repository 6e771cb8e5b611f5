"""Levels of detail: the asset's mesh with fewer triangles, each level an object of its own, hidden until it is wanted."""

from __future__ import annotations

import bpy

from . import marks, mesh

RATIOS = (0.5, 0.25, 0.1)  # share of the asset's triangles


def ratios(asset: bpy.types.Object) -> list[float]:
    """The levels that `asset` has, from fine to coarse."""
    return sorted(_present(asset), reverse=True)


def thinned(full: bpy.types.Mesh, ratio: float) -> bpy.types.Mesh:
    """A new mesh with this share of the triangles, thinned by edge collapse; texture coordinates go along, and the normals are `full`'s.

    The normal map was made for the full mesh's normals, so each corner takes the normal of the nearest point there.
    """
    bench = bpy.data.scenes.new("Unrender Levels")  # of its own, so that nothing else is evaluated
    model = bpy.data.objects.new("Unrender Full", full)
    thing = bpy.data.objects.new("Unrender Level", full)
    try:
        for each in (model, thing):
            bench.collection.objects.link(each)
        collapse = thing.modifiers.new("Collapse", "DECIMATE")
        collapse.ratio, collapse.use_collapse_triangulate = ratio, True
        transfer = thing.modifiers.new("Normals", "DATA_TRANSFER")
        transfer.object, transfer.use_loop_data, transfer.data_types_loops = model, True, {"CUSTOM_NORMAL"}
        transfer.loop_mapping = "POLYINTERP_NEAREST"
        layer = bench.view_layers[0]
        layer.update()
        evaluated = thing.evaluated_get(layer.depsgraph)
        return bpy.data.meshes.new_from_object(evaluated, preserve_all_data_layers=True, depsgraph=layer.depsgraph)
    finally:
        for each in (thing, model):
            bpy.data.objects.remove(each)
        bpy.data.scenes.remove(bench)


def place(scene: bpy.types.Scene, asset: bpy.types.Object, made: dict[float, bpy.types.Mesh]) -> None:
    """Put the meshes into the asset's collection of levels: as new objects, or in the objects that have these levels already.

    The collection holds the asset too, as level 0. The others are its children, so they stand where it stands, and are hidden.
    """
    if not made:
        return
    group = marks.collection(scene, asset, "levels", "LODs")
    if asset.name not in group.objects:
        group.objects.link(asset)
    present = _present(asset)
    for number, (ratio, thinner) in enumerate(sorted(made.items(), reverse=True), start=1):
        thing = present.get(ratio)
        if thing is not None:
            mesh.take_over(thing, thinner)
            continue
        thinner.name = f"{asset.name}_LOD{number}"
        mesh.give_materials(thinner, asset.data)
        thing = bpy.data.objects.new(thinner.name, thinner)
        thing[marks.RATIO] = ratio
        thing.parent = asset
        thing.hide_viewport = thing.hide_render = True
        group.objects.link(thing)


def _present(asset: bpy.types.Object) -> dict[float, bpy.types.Object]:
    group = marks.part(bpy.data.collections, "levels", asset)
    return {thing[marks.RATIO]: thing for thing in group.objects if thing.get(marks.RATIO)} if group else {}
