"""All of an import or none of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import bpy

from ...backend import contract

_BLOCKS = ("scenes", "objects", "meshes", "materials", "images", "worlds", "cameras", "collections", "node_groups")


@contextlib.contextmanager
def all_or_nothing(scene: bpy.types.Scene) -> Iterator[None]:
    """Remove every data-block that was added when the block raises, and give the scene its world back.

    The block may be left for other work of Blender's and come back to, as generators do. What is there is known by numbers that hold for
    the session; where another file was opened in between there is nothing to take back.

    Raises:
        RequestError, OSError: as they came.
        RequestError: in place of any other exception, which a damaged file was not foreseen to cause.
    """
    before = {kind: {block.session_uid for block in getattr(bpy.data, kind)} for kind in _BLOCKS}
    here, previous = scene.session_uid, scene.world.session_uid if scene.world is not None else None
    try:
        yield
    except BaseException as error:
        now = found(bpy.data.scenes, here)
        if now is not None:
            now.world = found(bpy.data.worlds, previous)
            for kind, known in before.items():
                blocks = getattr(bpy.data, kind)
                for block in [each for each in blocks if each.session_uid not in known]:
                    blocks.remove(block)
        if isinstance(error, Exception) and not isinstance(error, (contract.UnrenderError, OSError)):
            raise refused("the asset cannot be added", error) from error
        raise


def found(blocks: Iterable[Any], uid: int | None) -> Any | None:
    """The one of `blocks` that has this number in the session, the only way to know one again after other work of Blender's."""
    return next((block for block in blocks if block.session_uid == uid), None)


def refused(what: str, error: Exception) -> contract.RequestError:
    """An unforeseen exception in words."""
    return contract.RequestError(
        f"{what}: {type(error).__name__}: {error}",
        hint="The scene is as it was. If reconstructing again does not help, tell the makers of Unrender what stands here.",
        code="import-failed",
    )
