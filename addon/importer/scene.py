"""A result folder becomes part of the scene, or takes the place of an earlier one: whole, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bpy

from ...backend import contract
from .. import child
from ..slices import Slice, Slices
from . import cameras, contents, errands, images, levels, marks, material, mesh, world
from .transaction import all_or_nothing, found, refused

Warn = Callable[[str], object]


@dataclass(frozen=True)
class Wish:
    """What of a result is wanted.

    Attributes:
        world: light the scene with the asset's HDRI; the world it had is kept, see `restore_world`.
        cameras: the cameras the views were taken with.
        packed: keep the images in the .blend.
    """

    world: bool
    cameras: bool
    packed: bool = False


@dataclass(frozen=True)
class Loaded:
    """Data-blocks made of a result's files, that nothing uses yet."""

    mesh: bpy.types.Mesh
    levels: dict[float, bpy.types.Mesh]
    textures: dict[str, bpy.types.Image]
    environment: bpy.types.Image | None


def read(folder: Path) -> contract.Result:
    """The result in `folder`, or in the job there; RequestError where it is missing, incomplete, damaged or another version's."""
    try:
        return contract.read_result(folder)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise refused(f"the result.json in {folder} is damaged", error) from error


def adding(
    scene: bpy.types.Scene, result: contract.Result, name: str, wish: Wish, warn: Warn
) -> Slices[bpy.types.Object]:
    """Add a finished asset to `scene` in a new collection called `name`; gives its object.

    Args:
        result: as `read` gives it, so complete.
        warn: told in words what went another way than it should.

    Raises:
        RequestError: a file cannot be used; `bpy.data` is then as it was, as it is when the work is given up.
    """
    here = scene.session_uid
    whole = yield from contents.reading(result, wish.world, wish.cameras)
    with child.Child() as second:
        errand = yield from _sent(second, result, whole, [], warn)
        scene = _again(here)
        with all_or_nothing(scene):
            loaded = yield from _loading(second, errand, whole, name, [], wish.packed, result.alpha)
            collection = bpy.data.collections.new(name)
            scene.collection.children.link(collection)
            loaded.mesh.materials.append(material.build(name, loaded.textures, result.alpha))
            asset = bpy.data.objects.new(name, loaded.mesh)
            collection.objects.link(asset)
            marks.mark_asset(asset, result.folder)
            if whole.cameras:
                yield Slice("Adding the cameras", 1.0)
                cameras.place(marks.collection(scene, asset, "cameras", "Cameras"), whole.cameras)
            if loaded.environment is not None:
                _light(scene, asset, loaded.environment)
    return asset


def replacing(
    scene: bpy.types.Scene, asset: bpy.types.Object, result: contract.Result, wish: Wish, warn: Warn
) -> Slices[None]:
    """Give an imported asset the data of another result, in place.

    Kept are the object with its name, transform, modifiers and collections, the material slots, and the materials with whatever was changed
    in their nodes; so are the world's settings. Exchanged are the mesh and the pictures, and with them the levels of detail and, where they
    are wished for, the cameras.

    Raises:
        RequestError: a file cannot be used; everything is then as it was, as it is when the work is given up.
    """
    here, key = scene.session_uid, asset[marks.KEY]
    lit = wish.world or marks.part(bpy.data.worlds, "light", asset) is not None
    whole = yield from contents.reading(result, lit, wish.cameras)
    with child.Child() as second:
        ratios = levels.ratios(_asset(here, key))
        errand = yield from _sent(second, result, whole, ratios, warn)
        scene, asset = _again(here), _asset(here, key)
        with all_or_nothing(scene):
            loaded = yield from _loading(second, errand, whole, asset.name, ratios, wish.packed, result.alpha)
            old = {slot.material for slot in asset.material_slots if slot.material is not None}
            ours = [each for each in old if each.get(marks.KIND) == "material"]
            if not old:
                asset.data.materials.append(material.build(asset.name, loaded.textures, result.alpha))
    # From here on nothing is read or computed that could fail, and nobody comes in between.
    for each in ours:
        _exchange_pictures(each.node_tree, loaded.textures)
        material.see_through(each, result.alpha)
    mesh.take_over(asset, loaded.mesh)
    levels.place(scene, asset, loaded.levels)
    if whole.cameras:
        cameras.place(marks.collection(scene, asset, "cameras", "Cameras"), whole.cameras)
    light = marks.part(bpy.data.worlds, "light", asset)
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


def adding_levels(scene: bpy.types.Scene, asset: bpy.types.Object, warn: Warn) -> Slices[None]:
    """Make the asset's levels of detail anew, of its mesh as it is now."""
    here, key, ratios = scene.session_uid, asset[marks.KEY], levels.RATIOS
    with child.Child() as second:
        errand = None
        if not bpy.app.background:
            source = second.place / errands.SOURCE
            errands.copy_out(asset.data, source)
            yield Slice("Copying the mesh", 0.0)
            errand = yield from _waited(second, errands.Errand(str(source), False, ratios), warn)
        scene, asset = _again(here), _asset(here, key)
        with all_or_nothing(scene):
            if errand is not None:
                _, made = yield from errands.fetched(second, errand)
            else:
                made = {ratio: levels.thinned(asset.data, ratio) for ratio in ratios}
            levels.place(scene, asset, made)


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


def _sent(
    second: child.Child, result: contract.Result, whole: contents.Contents, ratios: list[float], warn: Warn
) -> Slices[errands.Errand | None]:
    """What a second Blender has made of the result's mesh; None where all of it can be made here in no time, or has to be."""
    full = len(whole.arrays["faces"]) > mesh.MOST_AT_ONCE
    if bpy.app.background or not (full or ratios):
        return None
    errand = errands.Errand(str(result.path("arrays")), full, tuple(ratios))
    return (yield from _waited(second, errand, warn))


def _waited(second: child.Child, errand: errands.Errand, warn: Warn) -> Slices[errands.Errand | None]:
    """The errand when it is done; None, with a warning, where no second Blender does it."""
    try:
        errands.send(second, errand)
        yield from errands.waiting(second, errand)
    except (OSError, contract.EnvironmentFault) as error:
        warn(f"The window had to wait: {error}")
        return None
    return errand


def _loading(
    second: child.Child,
    errand: errands.Errand | None,
    whole: contents.Contents,
    name: str,
    ratios: list[float],
    packed: bool,
    alpha: contract.Alpha,
) -> Slices[Loaded]:
    """The data-blocks; what `errand` has not made is made here."""
    full, thinner = (yield from errands.fetched(second, errand)) if errand is not None else (None, {})
    if full is None:
        full = yield from mesh.building(name, whole.arrays, whole.normals or mesh.normals_of(whole.arrays))
    full.name = name
    if errand is None:
        thinner = {ratio: levels.thinned(full, ratio) for ratio in ratios}
    textures = {}
    for kind, path in whole.pictures.items():
        yield Slice(f"Adding the texture {images.title(kind)}", 1.0)
        textures[kind] = images.load(path, name, kind, packed, kind == "base_color" and alpha != "opaque")
    environment = textures.pop("environment", None)
    yield Slice("Adding the asset", 1.0)
    return Loaded(full, thinner, textures, environment)


def _again(uid: int) -> bpy.types.Scene:
    """The scene that had this number when the work began; RequestError where it is gone."""
    scene = found(bpy.data.scenes, uid)
    if scene is None:
        raise contract.RequestError("the scene is gone", hint="Nothing was changed.", code="scene-gone")
    return scene


def _asset(scene: int, key: str) -> bpy.types.Object:
    """The asset of this key, which may have been changed or removed meanwhile."""
    asset = next((thing for thing in _again(scene).objects if thing.get(marks.KEY) == key), None)
    if asset is None:
        raise contract.RequestError("the asset is gone", hint="Nothing was changed.", code="asset-gone")
    return asset


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
