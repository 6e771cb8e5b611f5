"""A closed triangle mesh of a grid of numbers, without torch: naive surface nets (Gibson 1998, "Constrained Elastic Surface Nets")."""

from __future__ import annotations

import itertools

import numpy as np


def surface_nets(values: np.ndarray, level: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """The surface where `values` cross `level`.

    Each cell that the surface passes through has one vertex, the mean of where it crosses the cell's edges; each edge that it crosses has
    two triangles between the vertices of the four cells around it. What is above `level` at the border is closed there.

    Args:
        values: [X, Y, Z] at the grid's points, high inside.
        level: of the surface.

    Returns:
        Vertices [V, 3] float32 in units of the grid, its first point at 0; triangles [F, 3] int32, anticlockwise seen from outside.
    """
    values = np.pad(values.astype(np.float32), 1, constant_values=min(float(values.min()), level - 1.0))
    inside = values > level
    cells = tuple(side - 1 for side in values.shape)
    total, count = np.zeros((*cells, 3), np.float32), np.zeros(cells, np.float32)
    crossings = []
    for axis in range(3):
        low, high = (np.moveaxis(values, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        first = np.moveaxis(inside, axis, 0)[:-1]
        crossed = first != np.moveaxis(inside, axis, 0)[1:]
        along = np.where(crossed, (level - low) / np.where(crossed, high - low, 1.0), 0.0)
        crossings.append((crossed, first))
        others = [other for other in range(3) if other != axis]
        for shift in itertools.product((0, 1), repeat=2):  # the edge's place within the four cells beside it
            part = (slice(None), *(slice(start, start + cells[other]) for start, other in zip(shift, others)))
            here = np.moveaxis(crossed[part], 0, axis)
            count += here
            total[..., axis] += np.moveaxis(along[part], 0, axis)
            for start, other in zip(shift, others):
                total[..., other] += start * here
    active = count > 0
    number = np.full(cells, -1, np.int32)
    number[active] = np.arange(int(active.sum()), dtype=np.int32)
    vertices = np.argwhere(active).astype(np.float32) + total[active] / count[active][:, None] - 1.0
    quads = []
    for axis, (crossed, first) in enumerate(crossings):
        cyclic = (axis, (axis + 1) % 3, (axis + 2) % 3)  # right-handed, whichever axis the edge follows
        crossed, first = (
            np.moveaxis(np.moveaxis(each, 0, axis), cyclic, (0, 1, 2))[:, 1:-1, 1:-1] for each in (crossed, first)
        )
        i, j, k = np.nonzero(crossed)
        around = number.transpose(cyclic)
        quad = np.stack([around[i, j, k], around[i, j + 1, k], around[i, j + 1, k + 1], around[i, j, k + 1]], 1)
        outwards = first[i, j, k][:, None]  # inside first: the surface faces along the axis
        quads.append(np.where(outwards, quad, quad[:, ::-1]))
    corners = np.concatenate(quads)
    return vertices, np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])
