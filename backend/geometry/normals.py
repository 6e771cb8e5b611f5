from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def face_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit normals of triangles, towards the side they go counter-clockwise from; zero for a triangle without area.

    Args:
        vertices: [V, 3].
        faces: [T, 3] integer corners.

    Returns:
        [T, 3]. Differentiable in the vertices.
    """
    return F.normalize(_area_normals(vertices, faces), dim=1, eps=1e-20)


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Smooth unit normals: the mean of the triangles around a vertex, weighted by area.

    Args:
        vertices: [V, 3].
        faces: [T, 3] integer corners.

    Returns:
        [V, 3] unit vectors; +Z where a vertex has no triangle with area. Differentiable in the vertices.
    """
    weighted = _area_normals(vertices, faces)
    corners = faces.long().flatten()
    total = torch.zeros_like(vertices).index_add(0, corners, weighted.repeat_interleave(3, 0))
    lost = total.square().sum(1, keepdim=True) < 1e-32
    return F.normalize(torch.where(lost, F.pad(torch.ones_like(total[:, :1]), (2, 0)), total), dim=1, eps=1e-20)


def _area_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """[T, 3] normals as long as twice the triangles' areas."""
    a, b, c = vertices.index_select(0, faces.long().flatten()).view(-1, 3, 3).unbind(1)
    return torch.linalg.cross(b - a, c - a)
