"""The brute-force oracle of the ray queries: every ray against every triangle, in float64."""

from __future__ import annotations

import torch
from torch import Tensor


def closest_hits(
    vertices: Tensor, faces: Tensor, origins: Tensor, directions: Tensor, far: float
) -> tuple[Tensor, Tensor]:
    """vertices [V, 3], faces [T, 3], rays [N, 3] -> distance [N] float64 (inf without a hit) and triangle [N] int32 (-1)."""
    distances = hit_distances(vertices, faces, origins, directions)
    distances = torch.where(distances < far, distances, torch.inf)
    nearest, triangle = distances.min(dim=1)
    return nearest, torch.where(nearest.isinf(), -1, triangle).int()


def occluded(vertices: Tensor, faces: Tensor, origins: Tensor, directions: Tensor, near: float, far: float) -> Tensor:
    """[N] bool: some triangle is hit from `near` to `far`."""
    distances = hit_distances(vertices, faces, origins, directions)
    return ((distances >= near) & (distances < far)).any(dim=1)


def hit_distances(vertices: Tensor, faces: Tensor, origins: Tensor, directions: Tensor) -> Tensor:
    """[N, T] distance of each triangle along each ray, infinite where it is missed or behind.

    Solves o + t d = a + u (b - a) + v (c - a) by Cramer's rule (Moeller and Trumbore 1997).
    """
    a, b, c = vertices.double()[faces.long()].unbind(1)
    o, d = origins.double()[:, None], directions.double()[:, None]
    ab, ac, ao = b - a, c - a, o - a
    normal = torch.linalg.cross(d, ac[None])
    determinant = (normal * ab).sum(-1)
    u = (normal * ao).sum(-1) / determinant
    across = torch.linalg.cross(ao, ab[None])
    v = (across * d).sum(-1) / determinant
    t = (across * ac).sum(-1) / determinant
    hit = (determinant != 0) & (u >= 0) & (v >= 0) & (u + v <= 1) & (t >= 0)
    return torch.where(hit, t, torch.inf)
