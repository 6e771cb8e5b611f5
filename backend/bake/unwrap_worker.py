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
LARGEST_PACKED = 1024  # texels; a search over more takes minutes, so larger textures are packed at this size
TRIANGLES_PER_CHART = 350  # a chart's growth costs more than its triangles: 40k take half a minute unbounded, 5 s so
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
    atlas.add_mesh(vertices, faces)
    atlas.generate(charts, pack)
    if atlas.atlas_count != 1:
        raise ValueError(f"xatlas made {atlas.atlas_count} textures; expected 1")
    vertex, corner, uv = atlas.get_mesh(0)
    return vertex, corner, uv, atlas.chart_count


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
