from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.geometry.mesh import Mesh


@dataclass(frozen=True)
class TangentFrames:
    """Tangent frames as MikkTSpace defines them (Mikkelsen 2008), so that a normal map means the same to Blender and to a glTF viewer.

    Around each vertex the corners are grouped that hang together over edges with the same texture coordinates and whose triangles lie the
    same way up in the texture. A group's tangent is the mean of its triangles' directions of growing u, each projected onto the vertex
    normal's plane and weighted by the corner's angle in that plane. The bitangent is w cross(normal, tangent) and points where v grows when
    v goes **up**; since `Mesh.uvs` has v going down, w is +1 for a triangle that is mirrored in those.

    The groups follow from the topology and the texture coordinates alone; positions may move under them.

    Attributes:
        index: [T, 3] int32 each corner's frame.
        faces: [T, 3] int64.
        gradient: [T, 2] by which a triangle's two edges from its first corner make the direction of growing u; zero where the texture
            coordinates have no area.
        sign: [K] w of each frame, +1 or -1.
        vertex: [K] int64 where each frame stands.
        donor: [K] int64 a frame at the same vertex whose texture coordinates have area, or the frame itself.
    """

    index: Tensor
    faces: Tensor
    gradient: Tensor
    sign: Tensor
    vertex: Tensor
    donor: Tensor

    @staticmethod
    def of(mesh: Mesh) -> TangentFrames:
        """The groups of a mesh, on its device. ValueError where it has no texture coordinates."""
        if mesh.uvs is None or mesh.uv_faces is None:
            raise ValueError("a mesh without texture coordinates has no tangents; unwrap it first")
        faces = mesh.faces.cpu().numpy().astype(np.int64)
        uv_faces = mesh.uv_faces.cpu().numpy().astype(np.int64)
        uvs = mesh.uvs.detach().double().cpu().numpy()
        gradient, area_sign = _gradients_of_u(uvs[uv_faces] * (1.0, -1.0))  # v up from here on
        _, same_uv = np.unique(uvs, axis=0, return_inverse=True)
        twin = _twins(faces * (uvs.shape[0] + 1) + same_uv.reshape(-1)[uv_faces])
        sign = _orientations(area_sign, twin)
        count, group = _groups(sign, twin)
        member = np.zeros(count, np.int64)
        member[group] = np.arange(group.shape[0])  # any corner stands for its group
        vertex = faces.reshape(-1)[member]
        sound = np.zeros(count, bool)
        sound[group[np.repeat(area_sign != 0, 3)]] = True
        donor_of_vertex = np.full(int(faces.max(initial=-1)) + 1, -1)
        donor_of_vertex[vertex[sound]] = np.flatnonzero(sound)
        given = donor_of_vertex[vertex]
        donor = np.where(sound | (given < 0), np.arange(count), given)
        device = mesh.vertices.device
        tables = (faces, gradient, sign[member // 3], vertex, donor)
        return TangentFrames(
            torch.from_numpy(group.reshape(-1, 3)).int().to(device),
            *(torch.from_numpy(np.ascontiguousarray(table)).to(device) for table in tables),
        )

    def at(self, vertices: Tensor, normals: Tensor) -> Tensor:
        """The frames where the mesh now is.

        Args:
            vertices: [V, 3].
            normals: [V, 3] unit normals.

        Returns:
            [K, 4] float32: a unit tangent, orthogonal to the normal, and the sign w. Where the texture coordinates have no area the frame
            is a neighbour's at that vertex, else any that is orthogonal. Computed in float64; no gradient, and nothing waits for the
            device.

        Raises:
            ValueError: there is not one normal a vertex.
        """
        if normals.shape != vertices.shape:
            raise ValueError(
                f"normals have shape {tuple(normals.shape)}; expected {tuple(vertices.shape)}, one a vertex"
            )
        with torch.no_grad():
            normals = normals.double()
            corner, normal = vertices.double()[self.faces], normals[self.faces]  # [T, 3, 3]
            along = self.gradient[:, :1] * (corner[:, 1] - corner[:, 0])
            along = along + self.gradient[:, 1:] * (corner[:, 2] - corner[:, 0])
            weighted = _on_plane(_unit(along)[:, None], normal) * _corner_angles(corner, normal)[..., None]
            total = weighted.new_zeros(self.sign.shape[0], 3)
            frame = _unit(total.index_add_(0, self.index.long().view(-1), weighted.view(-1, 3)))
            up = normals[self.vertex]
            axis = torch.eye(3, dtype=up.dtype, device=up.device)[up.abs().argmin(1)]
            given = frame[self.donor]
            guess = torch.where((given == 0).all(1, keepdim=True), axis, given)
            frame = torch.where((frame == 0).all(1, keepdim=True), _unit(_on_plane(guess, up)), frame)
            return torch.cat((frame, self.sign[:, None]), 1).float()


def tangents(mesh: Mesh, normals: Tensor) -> tuple[Tensor, Tensor]:
    """(frames [K, 4], index [T, 3] int32 of each corner's frame) of a mesh with unit `normals` [V, 3]; see `TangentFrames`."""
    frames = TangentFrames.of(mesh)
    return frames.at(mesh.vertices.detach(), normals.detach()), frames.index


def _gradients_of_u(coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """coordinates [T, 3, 2] -> ([T, 2] as `TangentFrames.gradient`, [T] sign of the area in the texture, 0 where there is none)."""
    uv_1, uv_2 = coordinates[:, 1] - coordinates[:, 0], coordinates[:, 2] - coordinates[:, 0]
    area = uv_1[:, 0] * uv_2[:, 1] - uv_1[:, 1] * uv_2[:, 0]
    sign = np.sign(np.where(np.abs(area) > np.finfo(np.float32).tiny, area, 0.0))
    return np.stack((uv_2[:, 1], -uv_1[:, 1]), 1) * sign[:, None], sign


def _twins(welded: np.ndarray) -> np.ndarray:
    """[3 T] for each half edge (3 triangle + corner, to the next corner) the one that runs the other way between equal corners, or -1."""
    _, corner = np.unique(welded, return_inverse=True)
    corner = corner.reshape(-1, 3)
    start, end = corner.reshape(-1), np.roll(corner, -1, 1).reshape(-1)
    count = int(corner.max(initial=0)) + 1
    key, wanted = start * count + end, end * count + start
    order = np.argsort(key, kind="stable")
    place = np.searchsorted(key, wanted, sorter=order).clip(max=max(key.shape[0] - 1, 0))
    return np.where(key[order[place]] == wanted, order[place], -1)


def _orientations(area_sign: np.ndarray, twin: np.ndarray) -> np.ndarray:
    """[T] +1 or -1; a triangle without area in the texture follows a neighbour."""
    sign = area_sign.copy()
    neighbour = twin.reshape(-1, 3) // 3  # -1 stays -1
    while (sign == 0).any():
        offered = np.where(neighbour >= 0, sign[neighbour], 0.0)
        best = np.take_along_axis(offered, np.abs(offered).argmax(1)[:, None], 1)[:, 0]
        found = (sign == 0) & (best != 0)
        if not found.any():
            break
        sign[found] = best[found]
    return np.where(sign == 0, 1.0, sign)


def _groups(sign: np.ndarray, twin: np.ndarray) -> tuple[int, np.ndarray]:
    """(K, [3 T] group of each corner): corners joined over edges between triangles of the same orientation."""
    from scipy.sparse import (
        coo_array,  # scipy takes a third of a second to import, and the first mesh waits for none of it
    )
    from scipy.sparse.csgraph import connected_components

    half = np.flatnonzero(twin >= 0)
    half = half[sign[half // 3] == sign[twin[half] // 3]]
    other = twin[half]
    other_end = other // 3 * 3 + (other + 1) % 3  # the twin's far end is where this half edge starts
    joined = coo_array((np.ones(half.shape[0], bool), (half, other_end)), (twin.shape[0], twin.shape[0]))
    count, group = connected_components(joined, directed=False)
    return count, group.astype(np.int64)


def _corner_angles(corner: Tensor, normal: Tensor) -> Tensor:
    """[T, 3] angles between a corner's two edges, seen along the corner's normal."""
    forward = _on_plane(corner.roll(-1, 1) - corner, normal)
    backward = _on_plane(corner.roll(1, 1) - corner, normal)
    return (forward * backward).sum(2).clamp(-1.0, 1.0).acos()


def _on_plane(vector: Tensor, normal: Tensor) -> Tensor:
    return _unit(vector - (vector * normal).sum(-1, keepdim=True) * normal)


def _unit(vector: Tensor) -> Tensor:
    length = vector.norm(dim=-1, keepdim=True)
    return torch.where(length > 1e-30, vector / length.clamp(min=1e-30), 0.0)
