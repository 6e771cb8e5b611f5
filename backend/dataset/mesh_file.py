"""What mesh files have in common: the textured mesh they become, welding, and several materials put on one sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from backend.contract import RequestError
from backend.dataset.image_file import light_of, resize_area, srgb_to_linear
from backend.dataset.picture_file import Picture


@dataclass(frozen=True)
class SurfaceMaps:
    """A material as textures, row 0 at the top (v = 0); a constant is a texture of one texel. Sizes may differ from map to map.

    Attributes:
        base_color: [H, W, 3] linear Rec.709, in [0, 1].
        roughness: [H, W, 1] perceptual roughness, in [0, 1].
        metallic: [H, W, 1] in [0, 1].
        normal: [H, W, 3] unit vectors in the MikkTSpace frame, +Y up in the picture, or None.
        opacity: [H, W, 1] in [0, 1], or None for an opaque material.
    """

    base_color: Tensor
    roughness: Tensor
    metallic: Tensor
    normal: Tensor | None = None
    opacity: Tensor | None = None


@dataclass(frozen=True)
class TexturedMesh:
    """A triangle mesh with texture coordinates and a material, Z up, in its file's own units.

    Attributes:
        vertices: [V, 3] float32 positions; corners that share a position share a vertex.
        faces: [T, 3] int32, counter-clockwise seen from outside.
        uvs: [U, 2] float32, origin at the texture's top left, v down.
        uv_faces: [T, 3] int32 into `uvs`.
        normals: [L, 3] float32 unit shading normals, or None where the file has none for every corner.
        normal_faces: [T, 3] int32 into `normals`, or None.
        maps: the material.
    """

    vertices: Tensor
    faces: Tensor
    uvs: Tensor
    uv_faces: Tensor
    normals: Tensor | None
    normal_faces: Tensor | None
    maps: SurfaceMaps


@dataclass(frozen=True)
class Corners:
    """Triangle corners as a file lists them, before anything is shared; Y up.

    Attributes:
        positions: [T, 3, 3] float64.
        uvs: [T, 3, 2] float64, v down.
        normals: [T, 3, 3] float64, or None.
        material: [T] int64 into the list of materials.
    """

    positions: np.ndarray
    uvs: np.ndarray
    normals: np.ndarray | None
    material: np.ndarray


def assemble(corners: Corners, materials: Sequence[SurfaceMaps], path: Path) -> TexturedMesh:
    """Weld corners, turn Y up into Z up ((x, y, z) -> (x, -z, y)) and put the materials in use on one sheet."""
    positions = _z_up(corners.positions).astype(np.float32)
    vertices, faces = _share(positions)
    solid = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    if not solid.any():
        raise RequestError(f"{path}: the mesh has no triangles", hint="export the object as a mesh", code="mesh-empty")
    if not np.isfinite(vertices).all() or not np.isfinite(corners.uvs).all():
        raise RequestError(
            f"{path}: the mesh holds numbers that are not finite", hint="export it again", code="mesh-invalid"
        )
    uvs, maps = _one_sheet(corners.uvs[solid], corners.material[solid], materials, path)
    texture_points, uv_faces = _share(uvs.astype(np.float32))
    normals = normal_faces = None
    if corners.normals is not None:
        turned = _z_up(corners.normals[solid])
        turned /= np.maximum(np.linalg.norm(turned, axis=-1, keepdims=True), 1e-12)
        shared_normals, shared_faces = _share(turned.astype(np.float32))
        normals, normal_faces = torch.from_numpy(shared_normals), torch.from_numpy(shared_faces)
    return TexturedMesh(
        vertices=torch.from_numpy(vertices),
        faces=torch.from_numpy(faces[solid]),
        uvs=torch.from_numpy(texture_points),
        uv_faces=torch.from_numpy(uv_faces),
        normals=normals,
        normal_faces=normal_faces,
        maps=maps,
    )


def color_map(picture: Picture) -> Tensor:
    """[H, W, 3] linear colours of a texture; its alpha is left out, not multiplied in."""
    if picture.linear:
        return light_of(picture)[..., :3]
    return srgb_to_linear(value_map(picture))


def value_map(picture: Picture) -> Tensor:
    """[H, W, 3] stored values of a texture that holds no colour; grey is repeated."""
    values = torch.from_numpy(picture.scaled())
    values = values[..., :-1] if picture.has_alpha else values
    return values.expand(-1, -1, 3).contiguous()


def alpha_map(picture: Picture) -> Tensor:
    """[H, W, 1] a texture's alpha; 1 where it has none."""
    values = torch.from_numpy(picture.scaled())
    return values[..., -1:].contiguous() if picture.has_alpha else torch.ones_like(values[..., :1])


def normal_map(picture: Picture, strength: float = 1.0) -> Tensor:
    """[H, W, 3] unit vectors of a tangent-space normal map; `strength` scales x and y, as in glTF."""
    vectors = value_map(picture) * 2.0 - 1.0
    vectors = vectors * vectors.new_tensor([strength, strength, 1.0])
    return torch.nn.functional.normalize(vectors, dim=-1)


def constant(*values: float) -> Tensor:
    """[1, 1, C] texture of one value."""
    return torch.tensor(values, dtype=torch.float32).reshape(1, 1, -1)


def _z_up(vectors: np.ndarray) -> np.ndarray:
    return np.stack([vectors[..., 0], -vectors[..., 2], vectors[..., 1]], axis=-1)


def _share(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[T, 3, C] values at corners -> the different ones [N, C] and [T, 3] int32 into them. Only equal values are shared."""
    flat = corners.reshape(-1, corners.shape[-1]) + np.float32(0)  # -0 becomes 0
    values, inverse = np.unique(flat, axis=0, return_inverse=True)
    return values, inverse.reshape(-1, 3).astype(np.int32)


def _one_sheet(
    uvs: np.ndarray, material: np.ndarray, materials: Sequence[SurfaceMaps], path: Path
) -> tuple[np.ndarray, SurfaceMaps]:
    """One material for the whole mesh: several are laid out as tiles of a square sheet, and the texture coordinates follow."""
    used = np.unique(material)
    if len(used) == 1:
        return uvs, materials[used[0]]
    uvs = uvs - np.floor(
        uvs.min(axis=1, keepdims=True) + 1e-6
    )  # textures repeat: bring each triangle to the first copy
    if uvs.max() > 1 + 1e-3:
        raise RequestError(
            f"{path}: it has {len(used)} materials, and textures that repeat within a triangle; these do not fit on one sheet",
            hint="join the materials into one texture, or keep the texture coordinates between 0 and 1",
            code="mesh-materials",
        )
    across = math.ceil(math.sqrt(len(used)))
    tile = np.searchsorted(used, material)
    corner = np.stack([tile % across, tile // across], axis=1)[:, None]
    chosen = [materials[index] for index in used]
    flat = constant(0.0, 0.0, 1.0)
    normals = [flat if maps.normal is None else maps.normal for maps in chosen]
    opacities = [constant(1.0) if maps.opacity is None else maps.opacity for maps in chosen]
    return (uvs + corner) / across, SurfaceMaps(
        base_color=_tiled([maps.base_color for maps in chosen], across),
        roughness=_tiled([maps.roughness for maps in chosen], across),
        metallic=_tiled([maps.metallic for maps in chosen], across),
        normal=None if all(maps.normal is None for maps in chosen) else _tiled(normals, across),
        opacity=None if all(maps.opacity is None for maps in chosen) else _tiled(opacities, across),
    )


def _tiled(textures: Sequence[Tensor], across: int) -> Tensor:
    """Textures on a square sheet of across x across tiles, each as large as the largest of them."""
    height, width = max(t.shape[0] for t in textures), max(t.shape[1] for t in textures)
    sheet = textures[0].new_zeros(height * across, width * across, textures[0].shape[2])
    for index, texture in enumerate(textures):
        top, left = index // across * height, index % across * width
        sheet[top : top + height, left : left + width] = resize_area(texture, (height, width))
    return sheet
