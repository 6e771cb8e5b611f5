"""Slow, dense, float64 rasteriser: every pixel against every triangle. What the engines' rasterisers are tested against."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layers:
    """All triangles over each pixel centre, near to far.

    Attributes:
        triangle: [B, H, W, T] int64, -1 behind the last.
        depth: [B, H, W, T] z/w, inf behind the last.
        margin: [B, H, W] least barycentric distance of the centre from an edge, inf far from all: small where rounding decides.
    """

    triangle: Tensor
    depth: Tensor
    margin: Tensor


def all_layers(positions: Tensor, faces: Tensor, size: tuple[int, int]) -> Layers:
    """List what covers each pixel centre.

    Args:
        positions: [B, V, 4] clip positions, any float type.
        faces: [T, 3].
        size: (H, W).
    """
    corners = positions.double()[:, None, None, faces.long()]  # [B, 1, 1, T, 3, 4]
    edges, _, _ = _edge_functions(corners, _centers(size, positions.device)[:, :, None])
    weights = edges / edges.sum(-1, keepdim=True)
    w = (weights * corners[..., 3]).sum(-1)
    depth = (weights * corners[..., 2]).sum(-1) / w
    covers = (weights >= 0).all(-1) & (w > 0) & (depth.abs() <= 1)
    depth, order = torch.where(covers, depth, torch.inf).sort(dim=-1)
    near_edge = torch.where((weights > -1e-3).all(-1), weights.abs().amin(-1), torch.inf)
    return Layers(torch.where(depth.isfinite(), order, -1), depth, near_edge.nan_to_num(0.0).amin(-1))


def barycentric(positions: Tensor, faces: Tensor, triangle: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates of given triangles at the pixel centres, by torch's own derivatives.

    Args:
        positions: [B, V, 4] clip positions.
        faces: [T, 3].
        triangle: [B, H, W], -1 where none.

    Returns:
        [B, H, W, 4] u, v, z/w, 1 (zeros where none), differentiable in positions; and [B, H, W, 4] du/dx, du/dy, dv/dx, dv/dy a pixel.
    """
    images, height, width = triangle.shape
    seen = triangle >= 0
    image = torch.arange(images, device=positions.device)[:, None, None, None]
    corners = positions.double()[image, faces.long()[triangle.clamp(min=0).long()]]  # [B, H, W, 3, 4]
    edges, slope_x, slope_y = _edge_functions(corners, _centers((height, width), positions.device))
    area = torch.where(seen, edges.sum(-1), 1.0)[..., None]
    weights = edges / area
    depth = (weights * corners[..., 2]).sum(-1) / torch.where(seen, (weights * corners[..., 3]).sum(-1), 1.0)
    values = torch.stack((weights[..., 0], weights[..., 1], depth, torch.ones_like(depth)), -1)
    along_x = (slope_x - weights * slope_x.sum(-1, keepdim=True)) / area * (2.0 / width)
    along_y = (slope_y - weights * slope_y.sum(-1, keepdim=True)) / area * (2.0 / height)
    slopes = torch.stack((along_x[..., 0], along_y[..., 0], along_x[..., 1], along_y[..., 1]), -1)
    return torch.where(seen[..., None], values, 0.0), torch.where(seen[..., None], slopes, 0.0).detach()


def _centers(size: tuple[int, int], device: torch.device) -> Tensor:
    """[H, W, 2] pixel centres in normalised device coordinates, y down."""
    rows, columns = (
        (torch.arange(count, dtype=torch.float64, device=device) + 0.5) * (2.0 / max(count, 1)) - 1.0 for count in size
    )
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"), -1)


def _edge_functions(corners: Tensor, centers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Edge functions opposite the three corners [..., 3, 4] as homogeneous planes at `centers` [..., 2], and their two slopes."""
    x, y, w = corners[..., 0], corners[..., 1], corners[..., 3]
    points = torch.stack((x, y, w), -1)
    planes = torch.linalg.cross(points.roll(-1, -2), points.roll(-2, -2), dim=-1)
    values = planes[..., 0] * centers[..., None, 0] + planes[..., 1] * centers[..., None, 1] + planes[..., 2]
    return values, planes[..., 0], planes[..., 1]
