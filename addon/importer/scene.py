"""A result folder becomes part of the scene: whole, in a collection of its own, or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import bpy

from ...backend import contract
from . import cameras, material, mesh, world

TEXTURES = ("base_color", "orm", "roughness", "metallic", "normal")
_BLOCKS = ("objects", "meshes", "materials", "images", "worlds", "cameras", "collections", "node_groups")


def add(
    scene: bpy.types.Scene, result: contract.Result, name: str, with_world: bool, with_cameras: bool
) -> bpy.types.Collection:
    """Add a finished asset to `scene` under a new collection called `name`.

    Args:
        result: as `contract.read_result` gives it, so complete.
        with_world: light the scene with the asset's HDRI; the world it had is kept as a data-block.
        with_cameras: add the cameras the views were taken with.

    Raises:
        RequestError: a file cannot be used; `bpy.data` is then as it was.
    """
    files = result.files
    textures = {kind: result.path(kind) for kind in TEXTURES if kind in files}
    stored = cameras.read(result.path("cameras")) if with_cameras and "cameras" in files else []
    with _all_or_nothing(scene):
        collection = bpy.data.collections.new(name)
        scene.collection.children.link(collection)
        if "arrays" in files:
            data = mesh.build(name, mesh.read(result.path("arrays")))
            data.materials.append(material.build(name, textures))
            collection.objects.link(bpy.data.objects.new(name, data))
        else:
            _add_gltf(result.path("mesh"), collection)
        if stored:
            group = bpy.data.collections.new(f"{name} Cameras")
            collection.children.link(group)
            for camera in stored:
                group.objects.link(cameras.build(camera))
        if with_world and "environment" in files:
            lit = world.build(f"{name} Light", result.path("environment"))
            if scene.world is not None:
                scene.world.use_fake_user = True
            scene.world = lit
    return collection


def _add_gltf(path: Path, collection: bpy.types.Collection) -> None:
    """The fallback for a result without arrays: Blender's own importer, its objects moved into our collection."""
    before = set(bpy.data.objects)
    try:
        bpy.ops.import_scene.gltf(filepath=str(path))
    except (RuntimeError, AttributeError) as error:
        raise contract.RequestError(f"{path} cannot be imported: {error}", code="result-unreadable") from error
    for thing in set(bpy.data.objects) - before:
        for other in thing.users_collection:
            other.objects.unlink(thing)
        collection.objects.link(thing)


@contextlib.contextmanager
def _all_or_nothing(scene: bpy.types.Scene) -> Iterator[None]:
    """Remove every data-block that was added when the block raises, and give the scene its world back."""
    before = {kind: set(getattr(bpy.data, kind)) for kind in _BLOCKS}
    previous = scene.world
    kept = previous.use_fake_user if previous else False
    try:
        yield
    except BaseException as error:
        scene.world = previous
        if previous is not None:
            previous.use_fake_user = kept
        for kind, known in before.items():
            blocks = getattr(bpy.data, kind)
            for block in set(blocks) - known:
                blocks.remove(block)
        if isinstance(error, RuntimeError):  # what bpy raises, for a file it cannot load among others
            raise contract.RequestError(f"the asset cannot be added: {error}", code="import-failed") from error
        raise
