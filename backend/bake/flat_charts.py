"""An unwrap that always works and takes a second: charts of faces that look along one axis, projected and packed in shelves."""

from __future__ import annotations

import numpy as np

from backend.bake.coverage import texel_coverage

SMOOTHING = 8  # rounds in which a face may join the axis most of its neighbours look along
SMALL = 60  # faces; a patch with fewer joins a neighbour where it can
MERGES = 4  # rounds of that
SPLITS = 12  # rounds in which a chart that covers itself is cut in two
STEEPEST = 0.35  # least cosine between a face and its axis: a flatter projection would starve the face of texels
STEEPEST_MERGED = 0.15  # the same for a small patch that joins a neighbour


def flat_charts(vertices: np.ndarray, faces: np.ndarray, size: int, padding: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Unwrap by projection.

    Args:
        vertices: [V, 3] positions.
        faces: [T, 3] corners; any soup is accepted.
        size: texels along the texture's side.
        padding: least distance between charts in texels; made smaller where there are too many charts for it.

    Returns:
        uvs [U, 2] float32 in [0, 1] with v down, uv_faces [T, 3] int32, the number of charts. No texel's centre lies in two triangles.
    """
    corners = vertices.astype(np.float64)[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = np.where(length > 0, normal / np.where(length > 0, length, 1.0), (0.0, 0.0, 1.0))
    pairs = _neighbours(faces)
    axis = _smooth_axes(normal, pairs)
    chart = _patches(pairs, axis)
    for _ in range(MERGES):
        axis = _merge_small(normal, pairs, axis, chart)
        chart = _patches(pairs, axis)
    flat = _project(corners, axis)
    depth = corners.mean(1)[np.arange(len(faces)), axis // 2]
    uv, chart = _pack(flat, chart, size, padding)
    for _ in range(SPLITS):
        folded = texel_coverage(uv, size).overlapping
        if not folded.any():
            break
        chart = _split_by_depth(pairs, chart, folded, depth)
        uv, chart = _pack(flat, chart, size, padding)
    else:
        folded = texel_coverage(uv, size).overlapping
        if folded.any():  # what no split could part falls apart into single triangles
            chart = np.where(np.isin(chart, chart[folded]), chart.max() + 1 + np.arange(len(faces)), chart)
            uv, chart = _pack(flat, chart, size, padding)
    keys = np.stack([np.repeat(chart, 3), faces.reshape(-1).astype(np.int64)], axis=1)
    _, first, index = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    uvs = np.clip(uv.reshape(-1, 2)[first], 0.0, 1.0).astype(np.float32)
    return uvs, index.reshape(-1, 3).astype(np.int32), int(chart.max()) + 1


def _neighbours(faces: np.ndarray) -> np.ndarray:
    """[P, 2] pairs of faces that share an edge."""
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64), axis=1)
    key = edges[:, 0] * (int(faces.max()) + 1) + edges[:, 1]
    order = np.argsort(key, kind="stable")
    same = key[order][1:] == key[order][:-1]
    return np.stack([order[:-1][same] // 3, order[1:][same] // 3], axis=1)


def _smooth_axes(normal: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """[T, 3] normals -> [T] axis 0..5 (+x -x +y -y +z -z), with ragged borders evened out by vote."""
    cosines = np.stack([normal, -normal], axis=2).reshape(len(normal), 6)
    axis = cosines.argmax(1)
    for _ in range(SMOOTHING):
        votes = np.zeros((len(normal), 6))
        np.add.at(votes, (pairs[:, 0], axis[pairs[:, 1]]), 1.0)
        np.add.at(votes, (pairs[:, 1], axis[pairs[:, 0]]), 1.0)
        votes[np.arange(len(axis)), axis] += 0.5
        axis = np.where(cosines > STEEPEST, votes, -1.0).argmax(1)
    return axis


def _patches(pairs: np.ndarray, label: np.ndarray) -> np.ndarray:
    """[T] number of the connected patch of faces with one label that each face lies in."""
    count = len(label)
    linked = pairs[label[pairs[:, 0]] == label[pairs[:, 1]]]
    from scipy.sparse import (
        coo_matrix,  # scipy takes a third of a second to import, and the first mesh waits for none of it
    )
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(linked), np.int8), (linked[:, 0], linked[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _merge_small(normal: np.ndarray, pairs: np.ndarray, axis: np.ndarray, chart: np.ndarray) -> np.ndarray:
    """[T] axes, where small patches look along a larger neighbour's if all of their faces can be seen from there."""
    count = np.bincount(chart)
    cosines = np.stack([normal, -normal], axis=2).reshape(len(normal), 6)
    least = np.full((len(count), 6), np.inf)
    np.minimum.at(least, chart, cosines)
    one, other = np.concatenate([pairs, pairs[:, ::-1]]).T
    grows = count[chart[other]] > count[chart[one]]
    votes = np.zeros((len(count), 6))
    np.add.at(votes, (chart[one[grows]], axis[other[grows]]), 1.0)
    votes[least <= STEEPEST_MERGED] = 0.0
    joins = (count < SMALL) & (votes.max(1) > 0)
    return np.where(joins[chart], votes.argmax(1)[chart], axis)


def _split_by_depth(pairs: np.ndarray, chart: np.ndarray, folded: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """[T] charts, each one that covers itself cut in two at the middle depth of the faces at fault: sheets lie at different depths."""
    order = np.argsort(depth, kind="stable")
    order = order[folded[order]]
    order = order[np.argsort(chart[order], kind="stable")]  # by chart, then by depth
    ids, start, count = np.unique(chart[order], return_index=True, return_counts=True)
    middle = np.full(int(chart.max()) + 1, np.inf)
    middle[ids] = depth[order[start + count // 2]]
    return _patches(pairs, 2 * chart + (depth >= middle[chart]))


def _project(corners: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """[T, 3, 3] corners -> [T, 3, 2] seen along the axis from outside, second coordinate down; unmirrored."""
    right = np.array([(0, 1, 0), (0, -1, 0), (-1, 0, 0), (1, 0, 0), (1, 0, 0), (-1, 0, 0)], np.float64)[axis]
    up = np.array([(0, 0, 1), (0, 0, 1), (0, 0, 1), (0, 0, 1), (0, 1, 0), (0, 1, 0)], np.float64)[axis]
    return np.stack([np.einsum("tkc,tc->tk", corners, right), -np.einsum("tkc,tc->tk", corners, up)], axis=2)


def _pack(flat: np.ndarray, chart: np.ndarray, size: int, padding: int) -> tuple[np.ndarray, np.ndarray]:
    """Put the charts' boxes on shelves at the largest scale that fits. Returns uv [T, 3, 2] and the charts renumbered from 0."""
    _, chart = np.unique(chart, return_inverse=True)
    count = int(chart.max()) + 1
    low = np.full((count, 2), np.inf)
    high = np.full((count, 2), -np.inf)
    np.minimum.at(low, chart, flat.min(1))
    np.maximum.at(high, chart, flat.max(1))
    box = high - low
    gap = float(padding)
    while (gap + 1.0) ** 2 * count > 0.7 * size**2 and gap > 0.01:
        gap *= 0.5
    if (gap + 1.0) ** 2 * count > 0.7 * size**2:
        gap = 0.0
    smallest, largest = 0.0, size / max(float(box.max()), 1e-12)
    place = _shelves(box * smallest + gap, size)
    for _ in range(24):
        scale = 0.5 * (smallest + largest)
        tried = _shelves(box * scale + gap, size)
        if tried is None:
            largest = scale
        else:
            smallest, place = scale, tried
    assert place is not None, "boxes of no size always fit"
    texels = (flat - low[chart, None]) * smallest + place[chart, None] + 0.5 * gap
    return texels / size, chart


def _shelves(boxes: np.ndarray, size: int) -> np.ndarray | None:
    """[C, 2] boxes -> [C, 2] top left corners inside a square, tallest first in rows; None where they don't fit."""
    if boxes.max() > size or boxes.prod(1).sum() > size**2:
        return None
    order = np.argsort(-boxes[:, 1], kind="stable")
    widths = boxes[order, 0]
    heights = boxes[order, 1]
    ends = np.cumsum(widths)
    place = np.empty_like(boxes)
    start, top = 0, 0.0
    while start < len(order):
        before = ends[start - 1] if start else 0.0
        stop = max(start + 1, int(np.searchsorted(ends, before + size + 1e-9, side="right")))
        if top + heights[start] > size + 1e-9:
            return None
        place[order[start:stop], 0] = ends[start:stop] - widths[start:stop] - before
        place[order[start:stop], 1] = top
        top += heights[start]
        start = stop
    return place
