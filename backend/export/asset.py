from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.contract import Alpha
from backend.dataset.views import Similarity
from backend.geometry.mesh import Mesh
from backend.geometry.tangents import tangents
from backend.light.environment import EnvironmentLight
from backend.loss.metrics import encode_srgb
from backend.material.channels import MaterialMaps

FLAT_OCCLUSION = (
    1.0  # the packed texture's first channel: occlusion is not fitted, since it would only hide dark base colour
)


@dataclass(frozen=True)
class Asset:
    """What a run found, in the normalised box, ready to be written.

    Attributes:
        mesh: with uvs (v down) and uv_faces.
        normals: [V, 3] smooth unit normals, indexed by `mesh.faces`.
        maps: textures, padded.
        environment: [h, 2 h, 3] linear radiance in Blender's orientation (+X at the centre, +Z on top).
        alpha: what the maps' opacity means to those who draw them; 'opaque' where there is none.
    """

    mesh: Mesh
    normals: Tensor
    maps: MaterialMaps
    environment: Tensor
    alpha: Alpha = "opaque"

    @staticmethod
    def of(
        mesh: Mesh,
        normals: Tensor,
        maps: MaterialMaps,
        light: EnvironmentLight,
        height: int,
        alpha: Alpha = "opaque",
        camera_to_world: Tensor | None = None,
    ) -> Asset:
        """The asset of what was fitted, its light drawn as `light.to_latlong(height, camera_to_world)`."""
        return Asset(mesh, normals, maps, light.to_latlong(height, camera_to_world), alpha)


@dataclass(frozen=True)
class Arrays:
    """An asset's geometry as plain arrays, in the scene's own units, place and axes (Z up).

    Attributes:
        vertices: [V, 3] float32.
        normals: [V, 3] float32 unit.
        faces: [T, 3] int32 into both; triangles with two equal corners are left out.
        uvs: [U, 2] float32, v down; uv_faces: [T, 3] int32.
        tangents: [K, 4] float32 MikkTSpace frames (xyz, sign; v up); tangent_faces: [T, 3] int32.
    """

    vertices: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    uvs: np.ndarray
    uv_faces: np.ndarray
    tangents: np.ndarray
    tangent_faces: np.ndarray


def scene_arrays(asset: Asset, similarity: Similarity) -> Arrays:
    """The asset's geometry where the photographed thing stood.

    Raises:
        ValueError: the mesh has no texture coordinates, or its numbers are not finite.
    """
    mesh = asset.mesh
    if mesh.uvs is None or mesh.uv_faces is None:
        raise ValueError("the asset's mesh has no texture coordinates; unwrap it first")
    frames, frame_faces = tangents(mesh, asset.normals)
    vertices = similarity.to_scene(mesh.vertices.detach().cpu().double()).numpy().astype(np.float32)
    normals = asset.normals.detach().cpu().double().numpy()
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    faces = mesh.faces.cpu().numpy()
    whole = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    arrays = Arrays(
        vertices,
        normals.astype(np.float32),
        faces[whole],
        mesh.uvs.detach().cpu().numpy(),
        mesh.uv_faces.cpu().numpy()[whole],
        frames.cpu().numpy(),
        frame_faces.cpu().numpy()[whole],
    )
    for name in ("vertices", "normals", "uvs", "tangents"):
        if not np.isfinite(getattr(arrays, name)).all():
            raise ValueError(f"the asset's {name} hold numbers that are not finite")
    return arrays


def texture_images(maps: MaterialMaps) -> dict[str, np.ndarray]:
    """File name without suffix -> [H, W, C] values to be stored: base colour sRGB-encoded, the others linear.

    The base colour's fourth channel, where there is an opacity, is that: straight, not multiplied into the colour.
    `orm` is glTF's packing: occlusion (1 throughout), roughness, metallic. `normal` maps [-1, 1] to [0, 1], +Y (green up).
    """
    base_color, roughness, metallic, normal = (
        values.detach().cpu().float()
        for values in (encode_srgb(maps.base_color), maps.roughness, maps.metallic, maps.normal * 0.5 + 0.5)
    )
    occlusion = np.full(roughness.shape, FLAT_OCCLUSION, np.float32)
    orm = np.concatenate([occlusion, roughness.numpy(), metallic.numpy()], axis=2)
    if maps.opacity is not None:
        base_color = torch.cat((base_color, maps.opacity.detach().cpu().float()), 2)
    return {
        "base_color": base_color.numpy(),
        "roughness": roughness.numpy(),
        "metallic": metallic.numpy(),
        "normal": normal.numpy(),
        "orm": orm,
    }


def to_y_up(vectors: np.ndarray) -> np.ndarray:
    """[..., 3] from Z up to Y up, -Z forward, which glTF demands and OBJ readers assume: (x, y, z) -> (x, z, -y)."""
    return np.stack([vectors[..., 0], vectors[..., 2], -vectors[..., 1]], axis=-1)


def corners_of(indices: tuple[np.ndarray, ...]) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Several indices [T, 3] for the same corners -> one index [T, 3] into their distinct combinations, and those combinations.

    Returns:
        (for each index given, [N] its value at each combination), index [T, 3] int64.
    """
    stacked = np.stack([index.reshape(-1).astype(np.int64) for index in indices], axis=1)
    distinct, index = np.unique(stacked, axis=0, return_inverse=True)
    return tuple(distinct.T), index.reshape(-1, 3)
