"""The custom properties by which an import is known again, and the search for what they mark.

An asset's parts name their object by a key of letters, not by a pointer: whoever appends the asset from a library gets the object and its
material, and not the light and the cameras it was once seen by.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

import bpy

from ...backend.contract import RequestError

KEY = "unrender_key"  # on an asset's object: what its parts name in OF
FOLDER = "unrender_folder"  # on an asset's object: where its result lies
OF = "unrender_of"  # on a world, or a collection of cameras or levels: the key of its asset
KIND = "unrender_kind"  # on images, materials, worlds and collections: which part of the asset it is
VIEW = "unrender_view"  # on a camera's object: the view it took
RATIO = "unrender_ratio"  # on a level's object: share of the triangles
PREVIOUS = "unrender_previous_world"  # on a scene: the world it had before an import lit it


def mark_asset(thing: bpy.types.Object, folder: object) -> None:
    """Make `thing` known as an asset from the result in `folder`; one that is known keeps its key."""
    if thing.get(KEY) is None:
        thing[KEY] = uuid.uuid4().hex
    thing[FOLDER] = str(folder)


def mark_part(block: bpy.types.ID, kind: str, asset: bpy.types.Object | None = None) -> None:
    """Note what `block` is, and of which asset where it has parts of its own."""
    block[KIND] = kind
    if asset is not None:
        block[OF] = asset[KEY]


def part(blocks: Iterable[Any], kind: str, asset: bpy.types.Object) -> Any | None:
    """The first of `blocks` that is this part of `asset`."""
    return next((block for block in blocks if block.get(KIND) == kind and block.get(OF) == asset.get(KEY)), None)


def collection(scene: bpy.types.Scene, asset: bpy.types.Object, kind: str, title: str) -> bpy.types.Collection:
    """The collection of this part of `asset`, made where there is none, and in `scene` under the collection the asset is in."""
    found = part(bpy.data.collections, kind, asset)
    if found is None:
        found = bpy.data.collections.new(f"{asset.name} {title}")
        mark_part(found, kind, asset)
    inside = scene.collection.children_recursive
    if found not in inside:
        parents = [each for each in asset.users_collection if each in inside and each != found]
        (parents[0] if parents else scene.collection).children.link(found)
    return found


def assets(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """All assets in a scene."""
    return [thing for thing in scene.objects if thing.get(KEY) is not None]


def chosen(context: bpy.types.Context) -> bpy.types.Object | None:
    """The asset that is meant: the active object, or the one whose level is active, or the only one of the scene."""
    active = context.view_layer.objects.active
    for thing in (active, active.parent if active else None):
        if thing is not None and thing.get(KEY) is not None:
            return thing
    found = assets(context.scene)
    return found[0] if len(found) == 1 else None


def required(context: bpy.types.Context) -> bpy.types.Object:
    """The asset that is meant; RequestError says why there is none."""
    asset = chosen(context)
    if asset is None:
        raise RequestError(hindrance(context), code="no-asset")
    return asset


def hindrance(context: bpy.types.Context) -> str:
    """Why nothing can be done with an asset now, or ''."""
    asset = chosen(context)
    if asset is None:
        several = bool(assets(context.scene))
        return (
            "Select the asset that is meant: this scene holds several"
            if several
            else "This scene holds no asset yet: import a result first"
        )
    if asset.library is not None or (asset.data is not None and asset.data.library is not None):
        return "The asset is linked from another file: open that file to change it"
    if context.mode != "OBJECT":
        return "Only in Object Mode: leave the present mode first"
    return ""
