from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from backend.engines.interface import Engine
from backend.geometry.mesh import Mesh

SPACING = 0.5  # texels between the points along a chart's border whose surroundings are evaluated too


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

    def moved(self, mesh: Mesh) -> Texels:
        """The same texels where the surface is now: on a mesh of the same faces and texture coordinates."""
        return replace(self, positions=self.at(mesh.vertices, mesh.faces))

    def gather(self, texture: Tensor) -> Tensor:
        """texture [size, size, C] -> [M, C]."""
        if texture.shape[:2] != (self.size, self.size):
            came = " x ".join(str(length) for length in texture.shape[:2])
            raise ValueError(f"texels of a texture of another size: it has {came}, expected {self.size} x {self.size}")
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

    A texel counts when its centre is inside a triangle in texture space, or when a bilinear lookup somewhere on a chart reads it: such a
    one crosses the chart's border, so it is found by walking along the border. It lies at the border's nearest point.

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
    border_pixel, border_triangle = _along_borders(corners, mesh.uv_faces.cpu().long(), size)
    pixels, triangles = torch.cat([pixel, border_pixel]), torch.cat([inside[pixel], border_triangle])
    centres = torch.stack([pixels % size, pixels // size], 1).double() + 0.5
    weights = nearest_weights(corners[triangles], centres)
    distance = ((corners[triangles] * weights[..., None]).sum(1) - centres).norm(dim=1)
    distance[: len(pixel)] = -1.0  # what the rasteriser says comes before any border
    first = _nearest_of_each(pixels, distance, size * size)
    pixels, triangles, weights = pixels[first], triangles[first], weights[first].float().to(mesh.vertices.device)
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


def _along_borders(corners: Tensor, uv_faces: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """What lookups along the edges that only one triangle has can read -> pixel numbers and triangles, repeated ones included.

    Args:
        corners: [T, 3, 2] in texels.
        uv_faces: [T, 3]; edges are told apart by their ends' numbers.
        size: texels along a side.
    """
    half_edges = torch.stack([uv_faces, uv_faces.roll(-1, 1)], 2).view(-1, 2)
    low, high = half_edges.amin(1), half_edges.amax(1)
    _, edge, count = torch.unique(low * (int(uv_faces.max()) + 1) + high, return_inverse=True, return_counts=True)
    border = (count[edge] == 1).nonzero().squeeze(1)
    start = corners.reshape(-1, 2)[border]
    along = corners.roll(-1, 1).reshape(-1, 2)[border] - start
    points = (along.norm(dim=1) / SPACING).ceil().long() + 1
    owner = torch.repeat_interleave(torch.arange(len(border)), points)
    step = torch.arange(len(owner)) - (points.cumsum(0) - points)[owner]
    at = start[owner] + along[owner] * (step / (points - 1).clamp_min(1)[owner])[:, None]
    nearest = (
        (at - 0.5).round().long()
    )  # of the 3 x 3 texels around it, those that a lookup within half a spacing reads
    offsets = torch.cartesian_prod(torch.arange(-1, 2), torch.arange(-1, 2))
    texel = nearest[:, None] + offsets
    read = ((texel + 0.5 - at[:, None]).abs() < 1.0 + 0.5 * SPACING).all(2) & ((texel >= 0) & (texel < size)).all(2)
    pixel = texel[..., 1] * size + texel[..., 0]
    triangle = (border[owner] // 3)[:, None].expand_as(pixel)
    claim = torch.unique(pixel[read] * len(corners) + triangle[read])
    return claim // len(corners), claim % len(corners)


def _nearest_of_each(pixels: Tensor, distance: Tensor, count: int) -> Tensor:
    """Positions in `pixels` of the nearest claim on each number, the first of equals, in order of the numbers."""
    least = torch.full((count,), torch.inf, dtype=distance.dtype).scatter_reduce(0, pixels, distance, "amin")
    order = torch.where(distance == least[pixels], torch.arange(len(pixels)), len(pixels))
    first = torch.full((count,), len(pixels)).scatter_reduce(0, pixels, order, "amin")
    return first[first < len(pixels)]


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
