from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from backend.geometry.mesh import Mesh


def tangents(mesh: Mesh, normals: Tensor) -> tuple[Tensor, Tensor]:
    """Tangent frames as MikkTSpace defines them (Mikkelsen 2008), so that a normal map means the same to Blender and to a glTF viewer.

    Around each vertex the corners are grouped that hang together over edges with the same texture coordinates and whose triangles lie the
    same way up in the texture. A group's tangent is the mean of its triangles' directions of growing u, each projected onto the vertex
    normal's plane and weighted by the corner's angle in that plane. The bitangent is w cross(normal, tangent) and points where v grows when
    v goes **up**; since `mesh.uvs` has v going down, w is +1 for a triangle that is mirrored in those.

    Args:
        mesh: [T] triangles with texture coordinates.
        normals: [V, 3] unit normals of its vertices.

    Returns:
        (frames [K, 4]: a unit tangent, orthogonal to the normal, and the sign w of +1 or -1; index [T, 3] int32 of each corner's frame).
        Where the texture coordinates have no area the frame is a neighbour's at that vertex, else any that is orthogonal. No gradient.
    """
    if mesh.uvs is None or mesh.uv_faces is None:
        raise ValueError("a mesh without texture coordinates has no tangents; unwrap it first")
    if normals.shape != mesh.vertices.shape:
        raise ValueError(
            f"normals have shape {tuple(normals.shape)}; expected {tuple(mesh.vertices.shape)}, one a vertex"
        )
    faces = mesh.faces.cpu().numpy().astype(np.int64)
    uv_faces = mesh.uv_faces.cpu().numpy().astype(np.int64)
    positions = mesh.vertices.detach().double().cpu().numpy()[faces]  # [T, 3, 3]
    normal = normals.detach().double().cpu().numpy()[faces]
    uvs = mesh.uvs.detach().double().cpu().numpy()
    coordinates = uvs[uv_faces] * (1.0, -1.0)  # v up from here on

    grow, signed_area = _directions_of_u(positions, coordinates)
    _, same_uv = np.unique(uvs, axis=0, return_inverse=True)
    welded = faces * (uvs.shape[0] + 1) + same_uv.reshape(-1)[uv_faces]
    twin = _twins(welded)
    sign = _orientations(signed_area, twin)
    count, group = _groups(sign, twin)

    weighted = _on_plane(np.broadcast_to(grow[:, None], normal.shape), normal)
    angle = _corner_angles(positions, normal)
    weighted = np.where((signed_area != 0)[:, None, None], weighted * angle[..., None], 0.0).reshape(-1, 3)
    total = np.stack([np.bincount(group, weighted[:, axis], count) for axis in range(3)], 1)

    member = np.zeros(count, np.int64)
    member[group] = np.arange(group.shape[0])  # any corner stands for its group
    frame = _unit(total)
    lost = (frame == 0).all(1)
    if lost.any():
        frame[lost] = _fallback(frame, lost, faces.reshape(-1)[member], normal.reshape(-1, 3)[member])
    signed = np.concatenate((frame, sign[member // 3, None]), 1)
    device = mesh.vertices.device
    return torch.from_numpy(signed).float().to(device), torch.from_numpy(group.reshape(-1, 3)).int().to(device)


def _directions_of_u(positions: np.ndarray, coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """([T, 3] unit directions in which u grows, [T] twice the signed areas in the texture)."""
    edge_1, edge_2 = positions[:, 1] - positions[:, 0], positions[:, 2] - positions[:, 0]
    uv_1, uv_2 = coordinates[:, 1] - coordinates[:, 0], coordinates[:, 2] - coordinates[:, 0]
    signed_area = uv_1[:, 0] * uv_2[:, 1] - uv_1[:, 1] * uv_2[:, 0]
    signed_area = np.where(np.abs(signed_area) > np.finfo(np.float32).tiny, signed_area, 0.0)
    grow = uv_2[:, 1:] * edge_1 - uv_1[:, 1:] * edge_2
    return _unit(grow) * np.sign(signed_area)[:, None], signed_area


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


def _orientations(signed_area: np.ndarray, twin: np.ndarray) -> np.ndarray:
    """[T] +1 or -1; a triangle without area in the texture follows a neighbour."""
    sign = np.sign(signed_area)
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
    half = np.flatnonzero(twin >= 0)
    half = half[sign[half // 3] == sign[twin[half] // 3]]
    other = twin[half]
    other_end = other // 3 * 3 + (other + 1) % 3  # the twin's far end is where this half edge starts
    joined = coo_array((np.ones(half.shape[0], bool), (half, other_end)), (twin.shape[0], twin.shape[0]))
    count, group = connected_components(joined, directed=False)
    return count, group.astype(np.int64)


def _corner_angles(positions: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """[T, 3] angles between a corner's two edges, seen along the corner's normal."""
    forward = _on_plane(np.roll(positions, -1, 1) - positions, normal)
    backward = _on_plane(np.roll(positions, 1, 1) - positions, normal)
    return np.arccos(np.clip((forward * backward).sum(2), -1.0, 1.0))


def _fallback(frame: np.ndarray, lost: np.ndarray, vertex: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """[L, 3] tangents for the lost groups: of another group at the same vertex, else an axis made orthogonal."""
    donor = np.full(int(vertex.max()) + 1, -1)
    donor[vertex[~lost]] = np.flatnonzero(~lost)
    given = donor[vertex[lost]]
    axis = np.eye(3)[np.abs(normal[lost]).argmin(1)]
    guess = np.where((given >= 0)[:, None], frame[given], axis)
    return _unit(_on_plane(guess, normal[lost]))


def _on_plane(vector: np.ndarray, normal: np.ndarray) -> np.ndarray:
    return _unit(vector - (vector * normal).sum(-1, keepdims=True) * normal)


def _unit(vector: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector, axis=-1, keepdims=True)
    return np.where(length > 1e-30, vector / np.maximum(length, 1e-30), 0.0)
