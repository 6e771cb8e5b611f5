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
from backend.geometry.mesh import Mesh

MOST_OVERLAP = 0.01  # of the covered texels; an atlas that overlaps more is not used
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
        self._folder = tempfile.TemporaryDirectory(prefix="unrender-unwrap-")
        source = Path(self._folder.name) / "mesh.npz"
        np.savez(
            source,
            vertices=self._vertices,
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
        uvs, uv_faces, charts = flat_charts(self._vertices, self._faces, self._size, self._padding)
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
        if _areas(self._vertices[self._faces])[lost].sum() > MOST_LOST * _areas(self._vertices[self._faces]).sum():
            return Unwrapped(self._mesh, 0, 0.0, "xatlas", f"xatlas left {int(lost.sum())} triangles out")
        uv_faces = _borrow(uv_faces, self._faces, lost)
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
        padding: least distance between charts in texels, about.
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


def _areas(corners: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)


def _borrow(uv_faces: np.ndarray, faces: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """Needles xatlas packs nowhere take the coordinates that their vertices have in other triangles."""
    known = np.full(int(faces.max()) + 1, -1, np.int32)
    known[faces[~lost]] = uv_faces[~lost]
    offered = known[faces]
    return np.where(lost[:, None] & (offered >= 0), offered, uv_faces)


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
