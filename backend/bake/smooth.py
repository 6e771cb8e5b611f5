from __future__ import annotations

import numpy as np

SHRINK, GROW = 0.6, -0.63  # a step inwards, then a little more outwards: bumps go, the volume stays
LEAST_AREA = 0.3  # of a piece's own; one that loses more was no surface with bumps, and keeps its shape


def smoothed(vertices: np.ndarray, faces: np.ndarray, rounds: int) -> np.ndarray:
    """A copy without bumps the size of an edge (Taubin, "A signal processing approach to fair surface design", 1995).

    Args:
        vertices: [V, 3] positions.
        faces: [T, 3] corners; vertices without a face stay where they are.
        rounds: steps inwards and outwards; bumps up to about sqrt(rounds) edges wide are evened out.

    Returns:
        [V, 3] float64 positions. A piece too small to be smoothed, such as a lone triangle, comes back as it was.
    """
    count = len(vertices)
    edges = np.unique(np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).astype(np.int64), axis=1), axis=0)
    one, other = np.concatenate([edges, edges[:, ::-1]]).T
    from scipy.sparse import (
        coo_matrix,  # scipy takes a third of a second to import, and the first mesh waits for none of it
    )
    from scipy.sparse.csgraph import connected_components

    beside = coo_matrix((np.ones(len(one)), (one, other)), shape=(count, count)).tocsr()
    degree = np.asarray(beside.sum(1))
    start = vertices.astype(np.float64)
    moved = start
    for _ in range(rounds):
        for step in (SHRINK, GROW):
            moved = moved + step * np.where(degree > 0, (beside @ moved) / np.maximum(degree, 1.0) - moved, 0.0)
    piece = connected_components(beside, directed=False)[1]
    before, after = (
        np.bincount(piece[faces[:, 0]], areas(points[faces]), piece.max() + 1) for points in (start, moved)
    )
    return np.where((after >= LEAST_AREA * before)[piece, None], moved, start)


def areas(corners: np.ndarray) -> np.ndarray:
    """[T, 3, 3] positions of the corners -> [T] areas."""
    return 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
