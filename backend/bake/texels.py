from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from backend.engines.interface import Engine
from backend.geometry.mesh import Mesh

BORDER = 2.0  # texels beyond a chart that are evaluated too: all that a bilinear lookup on the surface can touch


@dataclass(frozen=True)
class Texels:
    """The texels of a square texture that belong to the surface, as one compact list of M.

    Attributes:
        positions: [M, 3] point on the surface; for a texel just outside a chart, the chart's nearest point.
        triangle: [M] int64 index into the mesh's faces.
        barycentric: [M, 3] weights of the triangle's corners, in [0, 1], sum 1.
        pixel: [M] int64 row * size + column, row 0 at v = 0.
        size: texels along a side.
    """

    positions: Tensor
    triangle: Tensor
    barycentric: Tensor
    pixel: Tensor
    size: int

    def __len__(self) -> int:
        return self.pixel.shape[0]

    def at(self, attributes: Tensor, faces: Tensor) -> Tensor:
        """attributes [V, C] with an index [T, 3] of their own -> [M, C] at the texels. Gradients reach the attributes."""
        return (attributes[faces[self.triangle].long()] * self.barycentric[..., None]).sum(1)

    def gather(self, texture: Tensor) -> Tensor:
        """texture [size, size, C] -> [M, C]."""
        return texture.reshape(self.size * self.size, -1)[self.pixel]

    def scatter(self, values: Tensor) -> Tensor:
        """values [M, C] -> texture [size, size, C], zeros elsewhere."""
        texture = values.new_zeros(self.size * self.size, values.shape[-1])
        return texture.index_copy(0, self.pixel, values).view(self.size, self.size, -1)

    def mask(self) -> Tensor:
        """[size, size] bool: the texels of the list."""
        flat = torch.zeros(self.size * self.size, dtype=torch.bool, device=self.pixel.device)
        flat[self.pixel] = True
        return flat.view(self.size, self.size)


def texel_surface(engine: Engine, mesh: Mesh, size: int) -> Texels:
    """Where on the surface each texel lies.

    A texel counts when its centre is inside a triangle in texture space, when it borders such a one, or when it is the nearest to a
    triangle too small to hold any centre.

    Args:
        engine: who rasterises.
        mesh: with uvs and uv_faces.
        size: texels along the texture's side.

    Raises:
        ValueError: the mesh has no texture coordinates.
    """
    if mesh.uvs is None or mesh.uv_faces is None:
        raise ValueError("texel_surface: the mesh has no uvs; unwrap it first")
    flat = torch.cat([2.0 * mesh.uvs - 1.0, torch.zeros_like(mesh.uvs[:, :1]), torch.ones_like(mesh.uvs[:, :1])], 1)
    raster = engine.rasterize(flat[None].contiguous(), mesh.uv_faces, (size, size))
    inside = raster.triangle.reshape(-1).cpu().long()
    corners = mesh.uvs[mesh.uv_faces.long()].cpu().double() * size
    pixel = (inside >= 0).nonzero().squeeze(1)
    candidates = [(pixel, inside[pixel])]
    candidates.append(_beside_charts(inside.view(size, size).numpy(), size))
    candidates.append(_of_small_triangles(corners, inside, size))
    pixels, triangles = (torch.cat(parts) for parts in zip(*candidates))
    first = _first_of_each(pixels, size * size)
    pixels, triangles = pixels[first], triangles[first]
    centres = torch.stack([pixels % size, pixels // size], 1).double() + 0.5
    weights = nearest_weights(corners[triangles], centres).float().to(mesh.vertices.device)
    pixels, triangles = pixels.to(mesh.vertices.device), triangles.to(mesh.vertices.device)
    positions = (mesh.vertices[mesh.faces[triangles].long()] * weights[..., None]).sum(1)
    return Texels(positions, triangles, weights, pixels, size)


def nearest_weights(corners: Tensor, points: Tensor) -> Tensor:
    """Barycentric weights of the point of each triangle that is nearest to a given point.

    Args:
        corners: [M, 3, 2] triangles in the plane, any winding, degenerate ones allowed.
        points: [M, 2].

    Returns:
        [M, 3] in [0, 1], sum 1.
    """
    a, b, c = corners.unbind(1)
    area = _cross(b - a, c - a)
    safe = torch.where(area.abs() > 1e-18, area, torch.ones_like(area))
    weights = torch.stack([_cross(b - points, c - points), _cross(c - points, a - points)], 1) / safe[:, None]
    weights = torch.cat([weights, 1.0 - weights.sum(1, keepdim=True)], 1)
    outside = ((weights < 0).any(1) | (area.abs() <= 1e-18)).nonzero().squeeze(1)
    best = torch.full((len(outside),), torch.inf, dtype=corners.dtype, device=corners.device)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        start, along = corners[outside, i], corners[outside, j] - corners[outside, i]
        offset = points[outside] - start
        part = ((offset * along).sum(1) / along.square().sum(1).clamp_min(1e-24)).clamp(0.0, 1.0)
        distance = (offset - part[:, None] * along).square().sum(1)
        nearer = distance < best
        best = torch.where(nearer, distance, best)
        on_edge = weights.new_zeros(len(outside), 3)
        on_edge[:, i], on_edge[:, j] = 1.0 - part, part
        weights[outside] = torch.where(nearer[:, None], on_edge, weights[outside])
    return weights


def _beside_charts(inside: np.ndarray, size: int) -> tuple[Tensor, Tensor]:
    """Texels within BORDER of a covered one -> their numbers and the triangle of the nearest covered texel."""
    if (inside < 0).all():
        return torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
    distance, (rows, columns) = ndimage.distance_transform_edt(inside < 0, return_indices=True)
    beside = np.flatnonzero((distance > 0) & (distance <= BORDER))
    source = rows.reshape(-1)[beside].astype(np.int64) * size + columns.reshape(-1)[beside]
    return torch.from_numpy(beside), torch.from_numpy(inside.reshape(-1)[source])


def _of_small_triangles(corners: Tensor, inside: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """What bilinear lookups at the corners and in the middle of triangles without a texel's centre touch."""
    covered = torch.bincount(inside[inside >= 0], minlength=len(corners))
    small = (covered == 0).nonzero().squeeze(1)
    a, b, c = corners[small].unbind(1)
    points = torch.stack([(a + b + c) / 3.0, a, b, c, (a + b) / 2.0, (b + c) / 2.0, (c + a) / 2.0], 1)
    corner = torch.tensor([(0, 0), (1, 0), (0, 1), (1, 1)])
    texel = (points[:, :, None] - 0.5).floor().long() + corner
    texel = texel.clamp(0, size - 1)
    pixel = texel[..., 1] * size + texel[..., 0]
    return pixel.reshape(-1), small[:, None, None].expand(pixel.shape).reshape(-1)


def _first_of_each(pixels: Tensor, count: int) -> Tensor:
    """Positions in `pixels` at which each number appears for the first time, in order."""
    order = torch.arange(len(pixels))
    first = torch.full((count,), len(pixels)).scatter_reduce(0, pixels, order, "amin")
    return first[first < len(pixels)]


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
