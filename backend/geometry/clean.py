from __future__ import annotations

from dataclasses import dataclass

import fast_simplification
import numpy as np
import torch

from backend.geometry.mesh import Mesh
from backend.geometry.sheets import part_sheets

_HASTE = (7.0, 5.0, 3.0)  # fast-simplification's aggressiveness, its own choice first


@dataclass(frozen=True)
class Dropped:
    """What a cleaning step took away.

    Attributes:
        components: pieces dropped, of floaters alone.
        triangles: triangles dropped.
        area: their area, as a part of the whole before, 0 to 1.
    """

    components: int
    triangles: int
    area: float


def is_closed(mesh: Mesh) -> bool:
    """Whether every edge has exactly two triangles, which run along it in opposite directions; an empty mesh is closed."""
    faces, count = mesh.faces.long(), mesh.vertices.shape[0]
    start, end = faces.flatten(), faces.roll(-1, 1).flatten()
    forward = (start * count + end).sort().values
    backward = (end * count + start).sort().values
    return bool(torch.equal(forward, backward)) and not bool((forward[1:] == forward[:-1]).any())


def drop_floaters(mesh: Mesh, keep_fraction: float = 0.02) -> tuple[Mesh, Dropped]:
    """Keep the pieces that matter.

    A piece is what hangs together by vertices. Dropped are those with less than `keep_fraction` of the largest one's area, and, of a closed
    mesh, the walls of inner cavities (their volume is negative), which no camera can see.

    Args:
        mesh: any mesh.
        keep_fraction: 0 (keep all but cavities) to 1 (keep the largest).

    Returns:
        (the mesh without them and without unused vertices, what was dropped).
    """
    if not 0.0 <= keep_fraction <= 1.0:
        raise ValueError(f"keep_fraction is {keep_fraction}; expected 0 to 1")
    if mesh.faces.shape[0] == 0:
        return mesh, Dropped(0, 0, 0.0)
    vertices, faces = mesh.vertices.detach().double().cpu().numpy(), mesh.faces.cpu().numpy()
    count = vertices.shape[0]
    from scipy.sparse import (
        coo_array,  # scipy takes a third of a second to import, and the first mesh waits for none of it
    )
    from scipy.sparse.csgraph import connected_components

    joined = coo_array((np.ones(faces.size, bool), (faces.ravel(), np.roll(faces, -1, 1).ravel())), (count, count))
    _, label = connected_components(joined, directed=False)
    _, piece = np.unique(label[faces[:, 0]], return_inverse=True)
    a, b, c = vertices[faces].transpose(1, 0, 2)
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
    areas = np.bincount(piece, area)
    keep = areas >= keep_fraction * areas.max()
    if is_closed(mesh):
        volumes = np.bincount(piece, np.einsum("ij,ij->i", np.cross(a, b), c))
        keep &= volumes >= 0.0
        if not keep.any():  # all inside out: not cavities then
            keep = areas >= keep_fraction * areas.max()
    kept = keep[piece]
    dropped = Dropped(int((~keep).sum()), int((~kept).sum()), float(area[~kept].sum() / max(area.sum(), 1e-30)))
    return keep_faces(mesh, torch.from_numpy(kept)), dropped


def keep_faces(mesh: Mesh, kept: torch.Tensor) -> Mesh:
    """The mesh with the triangles where `kept` ([T] bool) holds, vertices and texture coordinates nobody uses removed."""
    kept = kept.to(mesh.faces.device)
    vertices, faces = _compact(mesh.vertices, mesh.faces[kept])
    if mesh.uvs is None or mesh.uv_faces is None:
        return Mesh(vertices, faces)
    return Mesh(vertices, faces, *_compact(mesh.uvs, mesh.uv_faces[kept]))


def weld(mesh: Mesh, tolerance: float = 0.0) -> Mesh:
    """Join vertices at the same place; triangles that lose a corner by it go.

    Args:
        mesh: any mesh; texture coordinates keep their seams, having an index of their own.
        tolerance: the side of the cells whose vertices are joined, in the vertices' unit; 0 joins equal ones only.

    Returns:
        A mesh without unused vertices.
    """
    place = (mesh.vertices / tolerance).round() if tolerance > 0 else mesh.vertices + 0.0  # + 0.0 makes -0 equal 0
    _, group = torch.unique(place.detach(), dim=0, return_inverse=True)
    order = torch.arange(group.shape[0], device=group.device)
    first = torch.full_like(order, group.shape[0]).scatter_reduce(0, group, order, "amin")
    faces = first[group[mesh.faces.long()]].int()
    welded = Mesh(mesh.vertices, faces, mesh.uvs, mesh.uv_faces)
    return keep_faces(welded, _distinct(faces))


def clean(mesh: Mesh) -> tuple[Mesh, Dropped]:
    """Remove what later steps stumble over: triangles with a corner twice, doubled triangles, and third triangles at an edge.

    Of two triangles with the same corners and direction one goes, of two back to back both. Where more than two share an edge the two
    largest stay. Thin triangles with three corners stay, since without them the surface would be open.

    Args:
        mesh: any mesh, welded.

    Returns:
        (the mesh, what was dropped; components is 0).
    """
    faces, kept = mesh.faces.cpu().numpy(), _once(mesh)
    area = _areas(mesh)
    kept[np.flatnonzero(kept)[_crowded(faces[kept], area[kept])]] = False
    share = float(area[~kept].sum() / max(area.sum(), 1e-30))
    return keep_faces(mesh, torch.from_numpy(kept)), Dropped(0, int((~kept).sum()), share)


def decimate(mesh: Mesh, triangles: int) -> Mesh:
    """Fewer triangles, by quadric error edge collapse (fast-simplification).

    The library pinches the surface where it hurries, and handles that are finer than the triangles asked for are pinched by any
    collapse: it is asked more and more gently until a closed mesh stays closed within the budget. If that fails the first answer is
    taken, and its sheets are parted where they touch.

    Args:
        mesh: any mesh; its texture coordinates are lost.
        triangles: how many to keep at most, 4 or more; a mesh that has no more than that is returned as it is, without texture coordinates.

    Returns:
        A mesh of `triangles` triangles or a few less, on the same device, without a gradient; closed if `mesh` is. It may have more
        where the library stops early, which it does for meshes that consist of many small pieces.
    """
    if triangles < 4:
        raise ValueError(f"a budget of {triangles} triangles; expected 4 or more")
    bare = Mesh(mesh.vertices.detach(), mesh.faces)
    if mesh.faces.shape[0] <= triangles:
        return bare
    if not is_closed(bare):
        return clean(_simplified(bare, triangles, _HASTE[0]))[0]
    for haste in _HASTE:
        result, _ = clean(_simplified(bare, triangles, haste))
        if is_closed(result) and result.faces.shape[0] <= triangles:
            return result
    budget = triangles
    for _ in range(3):  # parting adds a few, which the next attempt leaves room for
        pinched = _simplified(bare, budget, _HASTE[0])
        result = part_sheets(keep_faces(pinched, torch.from_numpy(_once(pinched))))
        over = result.faces.shape[0] - triangles
        if over <= 0 or budget - over < 4:
            break
        budget -= over
    return result


def _simplified(mesh: Mesh, triangles: int, haste: float) -> Mesh:
    vertices, faces = fast_simplification.simplify(
        mesh.vertices.cpu().numpy(), mesh.faces.cpu().numpy(), target_count=triangles, agg=haste
    )
    return Mesh(torch.from_numpy(vertices).to(mesh.vertices), torch.from_numpy(faces).to(mesh.faces))


def _once(mesh: Mesh) -> np.ndarray:
    """[T] bool: triangles with three corners, one of those that are the same, none of those that lie back to back."""
    faces = mesh.faces.cpu().numpy().astype(np.int64)
    kept = _distinct(mesh.faces).cpu().numpy()
    turn = np.argmin(faces, 1)
    rolled = np.take_along_axis(faces, (turn[:, None] + np.arange(3)) % 3, 1)  # lowest corner first, direction kept
    even = rolled[:, 1] < rolled[:, 2]
    _, group = np.unique(np.sort(faces, 1), axis=0, return_inverse=True)
    group = group.reshape(-1)
    balance = np.bincount(group[kept], np.where(even, 1, -1)[kept], minlength=faces.shape[0])
    wanted = (balance[group] > 0) == even
    kept &= wanted & (balance[group] != 0)
    _, first = np.unique(np.where(kept, group, -1), return_index=True)
    once = np.zeros_like(kept)
    once[first] = True
    kept &= once
    return kept


def _compact(values: torch.Tensor, faces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Only the rows that `faces` uses, in their old order, and the faces into them."""
    used = torch.zeros(values.shape[0], dtype=torch.bool, device=values.device)
    used[faces.long().flatten()] = True
    place = used.cumsum(0, dtype=torch.int32) - 1
    return values[used], place[faces.long()]


def _distinct(faces: torch.Tensor) -> torch.Tensor:
    """[T] bool, whether a triangle's corners are three."""
    return (faces != faces.roll(1, 1)).all(1)


def _areas(mesh: Mesh) -> np.ndarray:
    a, b, c = mesh.vertices.detach().double().cpu()[mesh.faces.long().cpu()].unbind(1)
    return 0.5 * torch.linalg.cross(b - a, c - a).norm(dim=1).numpy()


def _crowded(faces: np.ndarray, area: np.ndarray) -> np.ndarray:
    """[T] bool, triangles beyond the two largest at one of their edges."""
    ends = np.sort(np.stack((faces, np.roll(faces, -1, 1)), 2).reshape(-1, 2), 1)
    owner = np.repeat(np.arange(faces.shape[0]), 3)
    order = np.lexsort((-area[owner], ends[:, 1], ends[:, 0]))
    ends, owner = ends[order], owner[order]
    third = np.zeros(owner.shape[0], bool)
    third[2:] = (ends[2:] == ends[:-2]).all(1)
    crowded = np.zeros(faces.shape[0], bool)
    crowded[owner[third]] = True
    return crowded
