"""All of an import or none of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import bpy

from ...backend import contract

_BLOCKS = ("scenes", "objects", "meshes", "materials", "images", "worlds", "cameras", "collections", "node_groups")


@contextlib.contextmanager
def all_or_nothing(scene: bpy.types.Scene) -> Iterator[None]:
    """Remove every data-block that was added when the block raises, and give the scene its world back.

    Raises:
        RequestError, OSError: as they came.
        RequestError: in place of any other exception, which a damaged file was not foreseen to cause.
    """
    before = {kind: set(getattr(bpy.data, kind)) for kind in _BLOCKS}
    previous = scene.world
    try:
        yield
    except BaseException as error:
        scene.world = previous
        for kind, known in before.items():
            blocks = getattr(bpy.data, kind)
            for block in set(blocks) - known:
                blocks.remove(block)
        if isinstance(error, Exception) and not isinstance(error, (contract.UnrenderError, OSError)):
            raise refused("the asset cannot be added", error) from error
        raise


def refused(what: str, error: Exception) -> contract.RequestError:
    """An unforeseen exception in words."""
    return contract.RequestError(
        f"{what}: {type(error).__name__}: {error}",
        hint="The scene is as it was. If reconstructing again does not help, tell the makers of Unrender what stands here.",
        code="import-failed",
    )
