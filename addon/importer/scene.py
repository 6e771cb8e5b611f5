"""A result folder becomes part of the scene, or takes the place of an earlier one: whole, or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import bpy

from ...backend import contract
from . import cameras, images, levels, marks, material, mesh, world
from .transaction import all_or_nothing, refused


@dataclass(frozen=True)
class Loaded:
    """What a result's files hold, read and checked: data-blocks that nothing uses yet, and the cameras."""

    mesh: bpy.types.Mesh
    textures: dict[str, bpy.types.Image]
    environment: bpy.types.Image | None
    cameras: list[cameras.StoredCamera]


def read(folder: Path) -> contract.Result:
    """The result in `folder`, or in the job there; RequestError where it is missing, incomplete, damaged or another version's."""
    try:
        return contract.read_result(folder)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise refused(f"the result.json in {folder} is damaged", error) from error


def add(
    scene: bpy.types.Scene,
    result: contract.Result,
    name: str,
    *,
    with_world: bool,
    with_cameras: bool,
    packed: bool = False,
) -> bpy.types.Object:
    """Add a finished asset to `scene` in a new collection called `name`; returns its object.

    Args:
        result: as `read` gives it, so complete.
        with_world: light the scene with the asset's HDRI; the world it had is kept, see `restore_world`.
        with_cameras: add the cameras the views were taken with.
        packed: keep the images in the .blend.

    Raises:
        RequestError: a file cannot be used; `bpy.data` is then as it was.
    """
    with all_or_nothing(scene):
        loaded = _load(result, name, with_world, with_cameras, packed)
        collection = bpy.data.collections.new(name)
        scene.collection.children.link(collection)
        loaded.mesh.materials.append(material.build(name, loaded.textures))
        asset = bpy.data.objects.new(name, loaded.mesh)
        collection.objects.link(asset)
        marks.mark_asset(asset, result.folder)
        if loaded.cameras:
            cameras.place(marks.collection(scene, asset, "cameras", "Cameras"), loaded.cameras)
        if loaded.environment is not None:
            _light(scene, asset, loaded.environment)
    return asset


def replace(
    scene: bpy.types.Scene,
    asset: bpy.types.Object,
    result: contract.Result,
    *,
    with_world: bool,
    with_cameras: bool,
    packed: bool = False,
) -> None:
    """Give an imported asset the data of another result, in place.

    Kept are the object with its name, transform, modifiers and collections, the material slots, and the materials with whatever was changed
    in their nodes; so are the world's settings. Exchanged are the mesh and the pictures, and with them the levels of detail and, with
    `with_cameras`, the cameras.

    Raises:
        RequestError: a file cannot be used; everything is then as it was.
    """
    light = marks.part(bpy.data.worlds, "light", asset)
    with all_or_nothing(scene):
        loaded = _load(result, asset.name, with_world or light is not None, with_cameras, packed)
        thinner = levels.meshes(loaded.mesh, levels.ratios(asset))
        old = {slot.material for slot in asset.material_slots if slot.material is not None}
        ours = [each for each in old if each.get(marks.KIND) == "material"]
        if not old:
            asset.data.materials.append(material.build(asset.name, loaded.textures))
    # From here on nothing is read or computed that could fail.
    for tree in (each.node_tree for each in ours):
        _exchange_pictures(tree, loaded.textures)
    mesh.take_over(asset, loaded.mesh)
    levels.place(scene, asset, thinner)
    if loaded.cameras:
        cameras.place(marks.collection(scene, asset, "cameras", "Cameras"), loaded.cameras)
    if loaded.environment is None:
        pass
    elif light is not None:
        _exchange_pictures(light.node_tree, {"environment": loaded.environment})
    else:
        _light(scene, asset, loaded.environment)
    for image in (*loaded.textures.values(), loaded.environment):
        if image is not None and image.users == 0:  # the artist's materials have no place for it
            bpy.data.images.remove(image)
    marks.mark_asset(asset, result.folder)


def add_cameras(scene: bpy.types.Scene, asset: bpy.types.Object, result: contract.Result) -> int:
    """The cameras the views were taken with, beside the asset; returns how many. Those there are moved, not doubled."""
    with all_or_nothing(scene):
        stored = cameras.read(result.path("cameras"))
        cameras.place(marks.collection(scene, asset, "cameras", "Cameras"), stored)
    return len(stored)


def restore_world(scene: bpy.types.Scene) -> None:
    """Give the scene the world it had before an import lit it; the asset's light stays as a data-block."""
    if scene.world is not None:
        scene.world.use_fake_user = True
    scene.world = scene[marks.PREVIOUS]
    del scene[marks.PREVIOUS]


def _load(result: contract.Result, name: str, with_world: bool, with_cameras: bool, packed: bool) -> Loaded:
    files = result.files
    rough = ("orm",) if "orm" in files else ("roughness", "metallic")
    kinds = [kind for kind in ("base_color", *rough, "normal") if kind in files]
    environment = None
    if with_world and "environment" in files:
        environment = images.load(result.path("environment"), name, "environment", packed)
    return Loaded(
        mesh=mesh.build(name, mesh.read(result.path("arrays"))),
        textures={kind: images.load(result.path(kind), name, kind, packed) for kind in kinds},
        environment=environment,
        cameras=cameras.read(result.path("cameras")) if with_cameras and "cameras" in files else [],
    )


def _light(scene: bpy.types.Scene, asset: bpy.types.Object, environment: bpy.types.Image) -> None:
    """Light the scene with a new world. The artist's own world, not that of another asset, is what can be restored."""
    if scene.world is not None and scene.world.get(marks.KIND) != "light":
        scene[marks.PREVIOUS] = scene.world
    elif scene.world is not None:
        scene.world.use_fake_user = True
    lit = world.build(f"{asset.name} Light", environment)
    marks.mark_part(lit, "light", asset)
    scene.world = lit


def _exchange_pictures(tree: bpy.types.NodeTree, new: dict[str, bpy.types.Image]) -> None:
    """Put new pictures in the places of those of an earlier import; a picture of the artist's own stays."""
    for node in tree.nodes:
        old = getattr(node, "image", None)
        if old is None:
            continue
        kind = old.get(marks.KIND)
        if kind in new and old != new[kind]:
            images.take_over(bpy.data.images, old, new[kind])
