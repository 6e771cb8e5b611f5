"""A result's files, read and checked in a thread before anything is added. No bpy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...backend import contract
from ..slices import Slices, beside
from . import cameras, mesh, pictures
from .transaction import refused


@dataclass(frozen=True)
class Contents:
    """What the files hold.

    Attributes:
        arrays: as `mesh.read` gives them.
        normals: of a mesh that is small enough to be made in slices; None for a larger one, and where the file has none.
        pictures: the files of the textures by kind, and of the light under 'environment'; each is whole.
        cameras: of the views; none where they are not wanted.
    """

    arrays: dict[str, np.ndarray]
    normals: mesh.Normals | None
    pictures: dict[str, Path]
    cameras: list[cameras.StoredCamera]


def reading(result: contract.Result, with_world: bool, with_cameras: bool) -> Slices[Contents]:
    """Read what is wanted of a result; RequestError or OSError says which file cannot be used, and why."""
    return beside(lambda: read(result, with_world, with_cameras), "Reading the result")


def read(result: contract.Result, with_world: bool, with_cameras: bool) -> Contents:
    """The same at once."""
    try:
        return _read(result, with_world, with_cameras)
    except (OSError, contract.UnrenderError):
        raise
    except Exception as error:  # what a damaged file was not foreseen to cause
        raise refused(f"the result in {result.folder} cannot be read", error) from error


def _read(result: contract.Result, with_world: bool, with_cameras: bool) -> Contents:
    files = result.files
    rough = ("orm",) if "orm" in files else ("roughness", "metallic")
    light = ("environment",) if with_world else ()
    paths = {kind: result.path(kind) for kind in ("base_color", *rough, "normal", *light) if kind in files}
    arrays = mesh.read(result.path("arrays"))
    for path in paths.values():
        pictures.check(path)
    small = len(arrays["faces"]) <= mesh.MOST_AT_ONCE
    return Contents(
        arrays=arrays,
        normals=mesh.normals_of(arrays) if small else None,
        pictures=paths,
        cameras=cameras.read(result.path("cameras")) if with_cameras and "cameras" in files else [],
    )
