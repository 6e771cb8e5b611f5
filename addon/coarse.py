"""The backend's coarse meshes, read and thinned beside Blender's own work so that no window waits for them. No bpy."""

from __future__ import annotations

import threading
import zipfile
from pathlib import Path

import numpy as np

MOST_TRIANGLES = 20_000  # what Blender takes in well below a tenth of a second
Arrays = tuple[np.ndarray, np.ndarray]


class Reader:
    """Reads one file at a time in a thread; asked and emptied from Blender's own."""

    def __init__(self) -> None:
        self._asked: Path | None = None
        self._thread: threading.Thread | None = None
        self._ready: Arrays | None = None

    def ask(self, path: Path) -> bool:
        """Begin to read `path`; False while another file is being read: ask again."""
        if self._thread is not None and self._thread.is_alive():
            return False
        self._thread = threading.Thread(target=self._read, args=(path,), daemon=True, name="unrender-mesh")
        self._thread.start()
        return True

    def take(self) -> Arrays | None:
        """What was read since the last call: vertices [V, 3] float32 and faces [F, 3] int32."""
        ready, self._ready = self._ready, None
        return ready

    def wait(self) -> None:
        """Until the file asked for is read."""
        if self._thread is not None:
            self._thread.join()

    def _read(self, path: Path) -> None:
        arrays = read(path)
        if arrays is not None:
            self._ready = thinned(*arrays)


def read(path: Path) -> Arrays | None:
    """Vertices and faces of a .npz file; None where it is gone, damaged or still being written."""
    try:
        with np.load(path) as arrays:
            vertices = np.ascontiguousarray(arrays["vertices"], np.float32)
            faces = np.ascontiguousarray(arrays["faces"], np.int32)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    if vertices.ndim != 2 or faces.ndim != 2 or (faces.size and not 0 <= faces.min() <= faces.max() < len(vertices)):
        return None
    return vertices, faces


def thinned(vertices: np.ndarray, faces: np.ndarray, most: int = MOST_TRIANGLES) -> Arrays:
    """The mesh with about `most` triangles at the most: vertices of one cell of a grid become one, and what collapses goes."""
    if len(faces) <= most:
        return vertices, faces
    sides = np.linalg.norm(vertices[faces[:, 0]] - vertices[faces[:, 1]], axis=1)
    cell = max(float(sides.mean()), 1e-12) * 1.25 * float(np.sqrt(len(faces) / most))
    keys = np.floor((vertices - vertices.min(0)) / cell).astype(np.int64)
    spans = keys.max(0) + 1
    _, group = np.unique((keys[:, 0] * spans[1] + keys[:, 1]) * spans[2] + keys[:, 2], return_inverse=True)
    group = group.reshape(-1)
    counts = np.bincount(group)
    middle = np.stack([np.bincount(group, vertices[:, axis]) / counts for axis in range(3)], 1)
    corners = group[faces]
    whole = (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2]) & (corners[:, 2] != corners[:, 0])
    return middle.astype(np.float32), np.ascontiguousarray(corners[whole], np.int32)
