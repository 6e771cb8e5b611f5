"""A known asset: a mesh with its material, and the light it stands in."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from backend.contract import RequestError
from backend.dataset.gltf_file import read_gltf
from backend.dataset.image_file import read_image
from backend.dataset.mesh_file import TexturedMesh
from backend.dataset.obj_file import read_obj
from backend.dataset.picture_file import read_picture
from backend.dataset.source import MESH_SUFFIXES


def read_mesh(path: Path, material: Path | None = None) -> TexturedMesh:
    """Read .glb, .gltf or .obj, which are all taken as Y up and come out Z up, as Blender imports them.

    `material` is an MTL file that replaces the one an .obj names. Raises RequestError, which names the file.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise RequestError(
            f"{path}: no such mesh", hint=f"give a file of type {', '.join(MESH_SUFFIXES)}", code="mesh-missing"
        )
    if suffix == ".obj":
        return read_obj(path, material)
    if suffix in (".glb", ".gltf"):
        return read_gltf(path)
    raise RequestError(
        f"{path}: meshes of type '{suffix}' are not read",
        hint=f"export one of {', '.join(MESH_SUFFIXES)}",
        code="mesh-format",
    )


def read_environment(path: Path) -> Tensor:
    """An equirectangular light: [H, W, 3] float32 linear Rec.709, at least 0, row 0 towards +Z, the middle column towards +X.

    .hdr and .exr as they are. Pictures of 8 or 16 bits are refused: without values above 1 no lamp in them is as bright as it was.
    """
    if path.suffix.lower() in (".png", ".jpg", ".jpeg"):
        raise RequestError(
            f"{path}: this picture has no high dynamic range",
            hint="give an .hdr or .exr environment",
            code="environment-format",
        )
    height, width = read_picture(path).values.shape[:2]
    if width != 2 * height:
        raise RequestError(
            f"{path}: {width} x {height} pixels; an equirectangular environment is twice as wide as high",
            hint="convert the probe to the equirectangular (latitude-longitude) layout",
            code="environment-format",
        )
    return read_image(path)[..., :3].contiguous()
