"""The unwrap's child process: `python -m backend.bake.unwrap_worker IN.npz OUT.npz`. Imports neither torch nor the rest of the backend.

xatlas can run for hours on triangle soup and cannot be interrupted, hence a process that may be killed. It ends by itself when its
parent does: standard input closes then.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from pathlib import Path

import numpy as np
import xatlas

MOST_TO_SEARCH = 100_000  # triangles; up to here all places are tried for each chart, which packs a tenth more in
LARGEST_PACKED = 512  # texels; a search over 1024 takes five times as long and fills no more
TRIANGLES_PER_CHART = 350  # a chart's growth costs more than its triangles: 40k take half a minute unbounded, 3 s so
TRIANGLES_PER_PART = 2500  # xatlas cuts one mesh on one thread and several on all; a fifth more charts come of it
MOST_PARTS = 64
PACKED_OVER_ASKED = 1.35  # xatlas guesses its packing too well: the atlas comes out about so much larger than asked for


def end_with_parent() -> None:
    """Leave as soon as standard input closes."""
    sys.stdin.buffer.read()
    os._exit(1)


def unwrap(
    vertices: np.ndarray, faces: np.ndarray, texture_size: int, padding: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """[V, 3] float32, [T, 3] uint32 -> vertex of each corner [U], corner index [T, 3], uv [U, 2] in [0, 1], number of charts."""
    corners = vertices[faces]
    area = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum()
    charts = xatlas.ChartOptions()
    charts.fix_winding = True
    charts.max_chart_area = float(area) / max(6.0, len(faces) / TRIANGLES_PER_CHART)
    pack = xatlas.PackOptions()
    packed = min(texture_size, LARGEST_PACKED)
    pack.resolution = max(16, round(packed / PACKED_OVER_ASKED))
    pack.padding = math.ceil(padding / 2 * packed / texture_size)  # xatlas keeps so much on each side of a chart
    pack.bruteForce = len(faces) <= MOST_TO_SEARCH
    pack.rotate_charts = False  # its "rotation" swaps u and v, which mirrors half of the charts
    atlas = xatlas.Atlas()
    members, used = split(corners.mean(1), min(MOST_PARTS, -(-len(faces) // TRIANGLES_PER_PART))), []
    for part in members:
        own, index = np.unique(faces[part], return_inverse=True)
        atlas.add_mesh(vertices[own], index.reshape(-1, 3).astype(np.uint32))
        used.append(own)
    atlas.generate(charts, pack)
    if atlas.atlas_count != 1:
        raise ValueError(f"xatlas made {atlas.atlas_count} textures; expected 1")
    meshes = [atlas.get_mesh(number) for number in range(len(members))]
    index, first = np.empty(faces.shape, np.int64), 0
    for part, (_, corner, uv) in zip(members, meshes):
        index[part] = corner.astype(np.int64) + first
        first += len(uv)
    vertex = np.concatenate([own[mesh[0]] for own, mesh in zip(used, meshes)])
    return vertex, index, np.concatenate([mesh[2] for mesh in meshes]), atlas.chart_count


def split(points: np.ndarray, parts: int) -> list[np.ndarray]:
    """[N, 3] points -> the numbers of those in each of `parts` boxes that hold about equally many: the fullest is halved, and again."""
    boxes = [np.arange(len(points))]
    while len(boxes) < parts:
        members = boxes.pop(max(range(len(boxes)), key=lambda number: len(boxes[number])))
        axis = int(np.ptp(points[members], axis=0).argmax())
        order = members[np.argsort(points[members, axis], kind="stable")]
        boxes += [np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])]
    return boxes


def main() -> None:
    """Read the arrays, unwrap, write the arrays."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    source, target = (Path(name) for name in sys.argv[1:3])
    with np.load(source) as arrays:
        vertex, corner, uv, charts = unwrap(
            arrays["vertices"], arrays["faces"], int(arrays["texture_size"]), int(arrays["padding"])
        )
    np.savez(target, vertex=vertex, corner=corner, uv=uv, charts=charts)
    os._exit(0)  # xatlas's destructor waits for its threads; nothing is left to be done here


if __name__ == "__main__":
    main()
