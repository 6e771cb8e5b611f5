from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from backend.bake.coverage import texel_coverage
from backend.bake.flat_charts import flat_charts
from backend.bake.smooth import areas, smoothed
from backend.geometry.mesh import Mesh

MOST_OVERLAP = 0.01  # of the covered texels; an atlas that overlaps more is not used
SMOOTHING = 10  # rounds; charts are cut on a smoothed copy, since noise makes them three times as many
MOST_LOST = 1e-3  # of the surface; an atlas that leaves out more is not used
ROOT = Path(__file__).resolve().parents[2]  # the folder that holds `backend`


@dataclass(frozen=True)
class Unwrapped:
    """A mesh with texture coordinates.

    Attributes:
        mesh: the vertices and faces given, with `uvs` in [0, 1] (v down) and `uv_faces`. Charts are not mirrored.
        charts: how many pieces the surface was cut into.
        coverage: part of the texture that carries surface, 0 to 1.
        method: what made it; 'fallback' is coarser, see `reason`.
        reason: why xatlas's result is not used, empty where it is.
    """

    mesh: Mesh
    charts: int
    coverage: float
    method: Literal["xatlas", "fallback"]
    reason: str = ""


class UnwrapJob:
    """An unwrap that runs in a child process while the caller does other work. A context manager: leaving it ends the child."""

    def __init__(self, mesh: Mesh, texture_size: int, padding: int, seconds: float) -> None:
        if mesh.faces.shape[0] == 0:
            raise ValueError("unwrap: the mesh has no faces; expected at least one triangle")
        self._mesh, self._size, self._padding, self._seconds = mesh, texture_size, padding, seconds
        self._vertices = mesh.vertices.detach().cpu().numpy().astype(np.float32)
        self._faces = mesh.faces.cpu().numpy()
        if not np.isfinite(self._vertices).all():
            raise ValueError("unwrap: the mesh has positions that are not finite")
        even = smoothed(self._vertices, self._faces, SMOOTHING)
        size = max(float(np.sqrt(areas(even[self._faces]).mean())), 1e-12)
        self._even = (even / size).astype(
            np.float32
        )  # xatlas drops triangles by absolute area, 1e-7; here they have about 1
        self._folder = tempfile.TemporaryDirectory(prefix="unrender-unwrap-")
        source = Path(self._folder.name) / "mesh.npz"
        np.savez(
            source,
            vertices=self._even,
            faces=self._faces.astype(np.uint32),
            texture_size=texture_size,
            padding=padding,
        )
        self._target = source.with_name("atlas.npz")
        self._deadline = time.monotonic() + seconds
        self._child: subprocess.Popen[bytes] | None = subprocess.Popen(
            [sys.executable, "-m", "backend.bake.unwrap_worker", str(source), str(self._target)],
            cwd=ROOT,
            stdin=subprocess.PIPE,  # closes when this process dies, which ends the child
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=os.name == "posix",
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )

    def __enter__(self) -> UnwrapJob:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def cancel(self) -> None:
        """End the child and remove its files. May be called at any time, and twice."""
        child, self._child = self._child, None
        if child is not None:
            _kill(child)
        self._folder.cleanup()

    def result(self) -> Unwrapped:
        """Wait for the child until its time is over, then answer in any case: with xatlas's charts, or with flat ones."""
        if self._child is None:
            raise ValueError("unwrap: this job was cancelled, or its result was taken already")
        try:
            arrays, reason = self._wait(self._child)
        finally:
            self.cancel()
        if arrays is not None:
            done = self._from_atlas(arrays)
            if done.coverage > 0 and not done.reason:
                return done
            reason = done.reason or "xatlas gave every triangle no area"
        uvs, uv_faces, charts = flat_charts(self._even, self._faces, self._size, self._padding)
        coverage = texel_coverage(uvs[uv_faces], self._size)
        return Unwrapped(self._with(uvs, uv_faces), charts, coverage.share, "fallback", reason)

    def _wait(self, child: subprocess.Popen[bytes]) -> tuple[dict[str, np.ndarray] | None, str]:
        try:
            status = child.wait(max(0.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return None, f"xatlas did not end within {self._seconds:g} s"
        if status != 0:
            assert child.stderr is not None
            lines = child.stderr.read().decode(errors="replace").strip().splitlines()
            return None, f"xatlas ended with status {status}" + (f": {lines[-1]}" if lines else "")
        with np.load(self._target) as arrays:
            return dict(arrays), ""

    def _from_atlas(self, arrays: dict[str, np.ndarray]) -> Unwrapped:
        """xatlas cuts vertices apart; its corners go back onto the welded mesh as an index of their own."""
        uvs, uv_faces = arrays["uv"].astype(np.float32), arrays["corner"].astype(np.int32)
        if uv_faces.shape != self._faces.shape or (arrays["vertex"][uv_faces] != self._faces).any():
            return Unwrapped(self._mesh, 0, 0.0, "xatlas", "xatlas changed the faces")
        area = _signed_areas(uvs[uv_faces])
        if area.sum() > 0:  # seen from outside, v up, charts shall be counter-clockwise
            uvs, area = np.stack([uvs[:, 0], 1.0 - uvs[:, 1]], axis=1), -area
        lost = area == 0
        surface = areas(self._vertices[self._faces])
        if surface[lost].sum() > MOST_LOST * surface.sum():
            return Unwrapped(self._mesh, 0, 0.0, "xatlas", f"xatlas left {int(lost.sum())} triangles out")
        uvs, uv_faces = lay_on_edges(uvs, uv_faces, self._even, self._faces, lost)
        coverage = texel_coverage(uvs[uv_faces], self._size)
        reason = f"{coverage.overlap:.1%} of xatlas's texels overlap" if coverage.overlap > MOST_OVERLAP else ""
        return Unwrapped(self._with(uvs, uv_faces), int(arrays["charts"]), coverage.share, "xatlas", reason)

    def _with(self, uvs: np.ndarray, uv_faces: np.ndarray) -> Mesh:
        device = self._mesh.vertices.device
        return replace(
            self._mesh,
            uvs=torch.from_numpy(np.clip(uvs, 0.0, 1.0)).to(device),
            uv_faces=torch.from_numpy(uv_faces).to(device),
        )


def start_unwrap(mesh: Mesh, texture_size: int, padding: int = 4, seconds: float = 60.0) -> UnwrapJob:
    """Begin to unwrap in a child process; `result()` of what is returned waits for it.

    Args:
        mesh: any triangles, welded; existing texture coordinates are ignored.
        texture_size: texels along the side of the square texture.
        padding: least distance between charts in texels; less where a crowded atlas comes out larger than the texture.
        seconds: after this long xatlas is killed, and flat charts are made instead.

    Raises:
        ValueError: the mesh has no faces.
        OSError: the temporary folder is full or not writable.
    """
    return UnwrapJob(mesh, texture_size, padding, seconds)


def unwrap(mesh: Mesh, texture_size: int, padding: int = 4, seconds: float = 60.0) -> Unwrapped:
    """Give a mesh texture coordinates, within `seconds` and a little; see `start_unwrap`."""
    with start_unwrap(mesh, texture_size, padding, seconds) as job:
        return job.result()


def _signed_areas(corners: np.ndarray) -> np.ndarray:
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]


def lay_on_edges(
    uvs: np.ndarray, uv_faces: np.ndarray, vertices: np.ndarray, faces: np.ndarray, lost: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Give the needles xatlas packs nowhere a place: flat on the edge of a neighbour, its longest that has one.

    All three corners stay in that neighbour's chart. Coordinates collected from wherever the vertices have some would draw the
    triangle across the whole atlas.

    Args:
        uvs: [U, 2]; uv_faces: [T, 3] their index.
        vertices: [V, 3] positions; faces: [T, 3] theirs.
        lost: [T] bool, the triangles without a place.

    Returns:
        uvs with the needles' tips appended, and the index; triangles without any neighbour stay as they were.
    """
    uv_faces = uv_faces.copy()
    tips: list[np.ndarray] = []
    waiting = np.flatnonzero(lost).tolist()
    corners = np.isin(faces, faces[lost])
    near = np.flatnonzero((corners.sum(1) >= 2) & ~lost)
    edges = {(a, b): (p, q) for t in near for (a, b), (p, q) in zip(_edges(faces[t]), _edges(uv_faces[t]), strict=True)}
    while waiting:
        left = []
        for t in waiting:
            sides = sorted(_edges(faces[t]), key=lambda e: -float(np.linalg.norm(vertices[e[0]] - vertices[e[1]])))
            side = next((e for e in sides if e[::-1] in edges), None)
            if side is None:
                left.append(t)
                continue
            a, b = side
            q, p = edges[b, a]
            start = next(k for k in range(3) if (faces[t, k], faces[t, (k + 1) % 3]) == side)
            along = vertices[b] - vertices[a]
            tip = vertices[faces[t, (start + 2) % 3]] - vertices[a]
            part = float(np.clip(tip @ along / max(float(along @ along), 1e-30), 0.0, 1.0))
            for k, index in enumerate((p, q, len(uvs) + len(tips))):
                uv_faces[t, (start + k) % 3] = index
            known = np.concatenate([uvs, tips]) if q >= len(uvs) or p >= len(uvs) else uvs
            tips.append(known[p] + part * (known[q] - known[p]))
            edges.update(zip(_edges(faces[t]), _edges(uv_faces[t]), strict=True))
        if len(left) == len(waiting):
            break
        waiting = left
    return (np.concatenate([uvs, np.asarray(tips, uvs.dtype)]) if tips else uvs), uv_faces


def _edges(corners: np.ndarray) -> list[tuple[int, int]]:
    a, b, c = corners.tolist()
    return [(a, b), (b, c), (c, a)]


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End a child and what it started."""
    if child.poll() is None:
        with contextlib.suppress(OSError):
            if os.name == "posix":
                os.killpg(child.pid, signal.SIGKILL)
            else:
                child.kill()
    for pipe in (child.stdin, child.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    child.wait()
