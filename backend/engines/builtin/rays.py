"""Ray queries of the built-in engine over Warp's bounding volume hierarchy."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import warp as wp
from torch import Tensor

from backend.engines.builtin.kernels import ray_kernels
from backend.engines.builtin.launch import Launcher
from backend.engines.checks import require


class BuiltinRayMesh:
    """A mesh that answers rays; no gradients.

    Args:
        vertices: [V, 3] float32, copied.
        faces: [T, 3] int32; both sides of a triangle are hit. No triangles are allowed: then nothing is hit.
        launch: runs the kernels; all tensors lie on its device.

    Raises:
        ValueError: a tensor's shape, type or device is not as above, or a face names no vertex.
    """

    def __init__(self, vertices: Tensor, faces: Tensor, launch: Launcher) -> None:
        require("ray_mesh: vertices", vertices, (None, 3), launch.device, torch.float32)
        require("ray_mesh: faces", faces, (None, 3), launch.device, torch.int32)
        self._launch = launch
        self._vertices = vertices.detach().clone(memory_format=torch.contiguous_format)
        self._faces = faces.contiguous()
        self._mesh: wp.Mesh | None = None
        if faces.shape[0]:
            low, high = (int(bound) for bound in torch.stack(faces.aminmax()).tolist())
            if low < 0 or high >= vertices.shape[0]:
                raise ValueError(
                    f"ray_mesh: faces name vertices {low} to {high}; expected 0 to {vertices.shape[0] - 1}, as there are vertices"
                )
            points: Any = wp.from_torch(self._vertices, dtype=wp.vec3)
            indices: Any = wp.from_torch(self._faces.flatten(), dtype=wp.int32)
            with _torch_stream(launch):
                self._mesh = wp.Mesh(points=points, indices=indices)

    def refit(self, vertices: Tensor) -> None:
        """Take new positions [V, 3] for the same triangles. Cheaper than a new mesh; queries slow down as the shape drifts."""
        require("ray_mesh: vertices", vertices, tuple(self._vertices.shape), self._launch.device, torch.float32)
        self._vertices.copy_(vertices.detach())
        if self._mesh is not None:
            with _torch_stream(self._launch):
                self._mesh.refit()

    def closest(self, origins: Tensor, directions: Tensor, far: float) -> tuple[Tensor, Tensor]:
        """Where rays first meet the mesh.

        Args:
            origins: [N, 3] float32.
            directions: [N, 3] float32, not zero.
            far: hits at or beyond are none; may be infinite. Distances are in lengths of the ray's direction.

        Returns:
            distance [N], infinite where nothing is hit, and triangle [N] int32, -1 there.
        """
        count = self._check(origins, directions)
        distances = torch.full((count,), torch.inf, device=origins.device)
        triangles = torch.full((count,), -1, dtype=torch.int32, device=origins.device)
        if self._mesh is not None:
            start, along = origins.contiguous(), directions.contiguous()
            array = self._launch.array
            self._launch.items(
                ray_kernels.closest_hits,
                count,
                (
                    self._mesh.id,
                    array(start, wp.vec3),
                    array(along, wp.vec3),
                    min(far, _FARTHEST),
                    array(distances, wp.float32),
                    array(triangles, wp.int32),
                ),
            )
        return distances, triangles

    def occluded(self, origins: Tensor, directions: Tensor, near: float, far: float) -> Tensor:
        """Whether rays meet anything from `near` (included) to `far` (not), in lengths of the ray's direction. [N] bool."""
        count = self._check(origins, directions)
        occluded = torch.zeros(count, dtype=torch.bool, device=origins.device)
        if self._mesh is not None:
            start, along = origins.contiguous(), directions.contiguous()
            array = self._launch.array
            self._launch.items(
                ray_kernels.any_hits,
                count,
                (
                    self._mesh.id,
                    array(start, wp.vec3),
                    array(along, wp.vec3),
                    near,
                    min(far, _FARTHEST),
                    array(occluded, wp.bool),
                ),
            )
        return occluded

    def _check(self, origins: Tensor, directions: Tensor) -> int:
        require("rays: origins", origins, (None, 3), self._launch.device, torch.float32)
        require("rays: directions", directions, tuple(origins.shape), self._launch.device, torch.float32)
        return origins.shape[0]


def _torch_stream(launch: Launcher) -> AbstractContextManager[object]:
    """Building and refitting are queued on Warp's current stream: make that torch's."""
    if launch.on_cpu:
        return nullcontext()
    return wp.ScopedStream(wp.stream_from_torch(torch.cuda.current_stream(launch.device)))


_FARTHEST = 1.0e30  # what an infinite distance is to the hierarchy, which starts from the largest float
