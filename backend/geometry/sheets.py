"""Sheets of a surface that touch along an edge or at a vertex, parted by doubling what they share."""

from __future__ import annotations

import numpy as np
import torch

from backend.geometry.mesh import Mesh


def part_sheets(mesh: Mesh) -> Mesh:
    """The same surface, with a vertex of its own for each sheet that meets at one.

    Where more than two triangles share an edge they are paired so that the solid lies between the two of a pair: going round the edge, it
    begins behind one that runs against the edge and ends at the next that runs along it. Corners that pairs join stay one vertex; all
    others part. Where two sheets still run between the same two vertices, since they meet again elsewhere, all but one of them get a
    vertex in the middle of that edge (two triangles more each).

    Args:
        mesh: any mesh without texture coordinates. If at every edge as many triangles run one way as the other, and none has a corner
            twice, the result is closed: every edge has two triangles, every vertex one fan.

    Returns:
        The parted mesh on the same device; vertices keep their order, copies of one lie behind each other, new ones come last. No gradient.
    """
    if mesh.uvs is not None:
        raise ValueError("the mesh has texture coordinates; part its sheets before it is unwrapped")
    if mesh.faces.shape[0] == 0:
        return mesh
    faces = mesh.faces.cpu().numpy().astype(np.int64)
    points = mesh.vertices.detach().double().cpu().numpy()
    along, against = _pairs(points, faces)
    source, faces = _fans(faces, along, against)
    points, faces = _halved(points[source], faces, along, against)
    return Mesh(torch.from_numpy(points).to(mesh.vertices), torch.from_numpy(faces.astype(np.int32)).to(mesh.faces))


def _fans(faces: np.ndarray, along: np.ndarray, against: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A vertex for each set of corners that pairs join: ([V] the old vertex it is a copy of, [T, 3] the faces by them)."""
    from scipy.sparse import coo_array  # late, as in `clean`: the first mesh waits for none of it
    from scipy.sparse.csgraph import connected_components

    # half-edge 3 t + k runs from corner k of triangle t to the next; corners are numbered alike
    following = np.arange(faces.size).reshape(-1, 3)[:, [1, 2, 0]].ravel()
    one, other = np.concatenate([along, following[along]]), np.concatenate([following[against], against])
    joined = coo_array((np.ones(len(one), bool), (one, other)), (faces.size, faces.size))
    count, fan = connected_components(joined, directed=False)
    source = np.empty(count, np.int64)
    source[fan] = faces.ravel()
    order = np.argsort(source, kind="stable")
    place = np.empty(count, np.int64)
    place[order] = np.arange(count)
    return source[order], place[fan].reshape(-1, 3)


def _halved(
    points: np.ndarray, faces: np.ndarray, along: np.ndarray, against: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where several pairs run between the same two vertices, all but one get a vertex in the middle."""
    ends = np.stack([faces.ravel()[along], np.roll(faces, -1, 1).ravel()[along]], 1)
    _, first = np.unique(ends, axis=0, return_index=True)
    again = np.setdiff1d(np.arange(len(along)), first)
    if len(again) == 0:
        return points, faces
    middle = dict(zip(along[again].tolist(), range(len(points), len(points) + len(again))))
    middle |= dict(zip(against[again].tolist(), middle.values()))
    touched = sorted({half // 3 for half in middle})
    pieces = []
    for triangle in touched:
        ring: list[int] = []
        for corner in range(3):
            ring.append(int(faces[triangle, corner]))
            if 3 * triangle + corner in middle:
                ring.append(middle[3 * triangle + corner])
        turn = next(place for place, vertex in enumerate(ring) if vertex >= len(points))
        ring = ring[turn:] + ring[:turn]  # a fan from a middle has no flat triangle
        pieces += [(ring[0], ring[place], ring[place + 1]) for place in range(1, len(ring) - 1)]
    points = np.concatenate([points, points[ends[again]].mean(axis=1)])
    return points, np.concatenate([np.delete(faces, touched, axis=0), np.array(pieces, np.int64)])


def _pairs(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Half-edges that are two sides of one edge of a sheet: [P] that run from the lower to the higher vertex, [P] the other way."""
    start, end = faces.ravel(), np.roll(faces, -1, 1).ravel()
    low, high = np.minimum(start, end), np.maximum(start, end)
    order = np.lexsort((start > end, high, low))
    change = (np.diff(low[order]) != 0) | (np.diff(high[order]) != 0)
    first = np.concatenate([[0], np.flatnonzero(change) + 1])
    size = np.diff(np.concatenate([first, [len(order)]]))
    two = first[size == 2]
    two = two[(start[order[two]] < end[order[two]]) & (start[order[two + 1]] > end[order[two + 1]])]
    along, against = [order[two]], [order[two + 1]]
    for begin, many in zip(first[size > 2], size[size > 2]):
        for one, other in _round_edge(vertices, faces, order[begin : begin + many], start, end):
            along.append(np.array([one]))
            against.append(np.array([other]))
    return np.concatenate(along), np.concatenate(against)


def _round_edge(
    vertices: np.ndarray, faces: np.ndarray, halves: np.ndarray, start: np.ndarray, end: np.ndarray
) -> list[tuple[int, int]]:
    """The pairs (along, against) at one edge of many triangles, by their angles about it; what finds no partner is left out."""
    runs = start[halves] < end[halves]
    low, high = (vertices[index] for index in sorted((start[halves[0]], end[halves[0]])))
    apex = vertices[faces[halves // 3, (halves % 3 + 2) % 3]] - low
    axis = (high - low) / max(float(np.linalg.norm(high - low)), 1e-30)
    side = np.eye(3)[np.abs(axis).argmin()]
    x = np.cross(axis, side)
    y = np.cross(axis, x)
    turn = np.arctan2(apex @ y, apex @ x)
    ring = [int(index) for index in np.argsort(turn, kind="stable")]
    found: list[tuple[int, int]] = []
    open_ones: list[int] = []
    for index in ring * 2:  # twice round, since the solid may lie across the angle where the circle is cut
        if index in {part for pair in found for part in pair}:
            continue
        if not runs[index]:
            if index not in open_ones:
                open_ones.append(index)
        elif open_ones:
            found.append((index, open_ones.pop()))
    return [(int(halves[one]), int(halves[other])) for one, other in found]
