"""Silhouette antialiasing in plain torch: all pairs at once, gradients by autograd. What the engines' antialias is tested against."""

from __future__ import annotations

import torch
from torch import Tensor

REACH = 0.0625  # pixels by which a crossing may miss the segment between two pixel centres


def antialias(
    color: Tensor, triangle: Tensor, depth: Tensor, positions: Tensor, faces: Tensor, adjacency: Tensor, walk: int
) -> Tensor:
    """Blend across silhouettes (Laine et al. 2020, section 3.5), following the surface over `walk` triangles.

    Args:
        color: [B, H, W, C].
        triangle: [B, H, W], -1 where none.
        depth: [B, H, W] z/w.
        positions: [B, V, 4] clip positions.
        faces: [T, 3].
        adjacency: [T, 3] of `edge_adjacency(faces)`.
        walk: triangles to cross at most.

    Returns:
        [B, H, W, C] in the colour's precision, differentiable in color and positions.
    """
    images, height, width, channels = color.shape
    half = positions.new_tensor([width * 0.5, height * 0.5])
    screen = positions[..., :2] / positions[..., 3:] * half + half  # in pixels from the top left corner
    numbers = torch.arange(images * height * width, device=color.device).view(images, height, width)
    flat = color.reshape(-1, channels)
    out = flat
    for axis, (first, second) in enumerate(
        ((numbers[:, :, :-1], numbers[:, :, 1:]), (numbers[:, :-1], numbers[:, 1:]))
    ):
        a, b = first.reshape(-1), second.reshape(-1)
        differ = triangle.view(-1)[a] != triangle.view(-1)[b]
        a, b = a[differ], b[differ]
        ids_a, ids_b = triangle.view(-1)[a], triangle.view(-1)[b]
        first_near = (ids_b < 0) | ((ids_a >= 0) & (depth.view(-1)[a] < depth.view(-1)[b]))
        near, far = torch.where(first_near, a, b), torch.where(first_near, b, a)
        direction = torch.where(first_near, 1.0, -1.0).to(screen.dtype)
        image = near // (height * width)
        center = torch.stack((near % width, (near // width) % height), -1) + 0.5
        start, stop = triangle.view(-1)[near].long(), triangle.view(-1)[far].long()
        found, corner, t = _follow(
            screen.detach(),
            positions.detach()[..., 3],
            faces,
            adjacency,
            image,
            center,
            direction,
            start,
            stop,
            axis,
            walk,
        )
        near, far, image, center, direction = near[found], far[found], image[found], center[found], direction[found]
        ends = faces.long()[t[found, None], (corner[found, None] + torch.tensor([1, 2], device=t.device)) % 3]
        edge = screen[image[:, None], ends] - center[:, None]
        weight = 0.5 - _crossing(edge, direction, axis).clamp(0.0, 1.0)
        target = torch.where(weight > 0, near, far)
        out = out.index_add(
            0, target, weight.abs()[:, None] * (flat[torch.where(weight > 0, far, near)] - flat[target])
        )
    return out.view_as(color)


def _crossing(edge: Tensor, direction: Tensor, axis: int) -> Tensor:
    """Distance [n] from the pixel centre, towards the far pixel, at which the edge [n, 2, 2] meets the line of the centres."""
    along, across = edge[..., axis], edge[..., 1 - axis]
    slope = (along[..., 1] - along[..., 0]) / (across[..., 1] - across[..., 0])
    return direction * (along[..., 0] - across[..., 0] * slope)


def _follow(
    screen: Tensor,
    w: Tensor,
    faces: Tensor,
    adjacency: Tensor,
    image: Tensor,
    center: Tensor,
    direction: Tensor,
    start: Tensor,
    stop: Tensor,
    axis: int,
    walk: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Where each pair leaves the near surface: found [n] bool, the edge's opposite corner [n] and triangle [n]."""
    t, entry = start.clone(), torch.full_like(start, -1)
    going, found = torch.ones_like(start, dtype=torch.bool), torch.zeros_like(start, dtype=torch.bool)
    corner = torch.zeros_like(start)
    for _ in range(walk + 1):
        corners = screen[image[:, None], faces.long()[t]] - center[:, None]  # [n, 3, 2]
        going = going & (w[image[:, None], faces.long()[t]] > 0).all(-1)
        distances = []
        for k in range(3):
            edge = corners[:, [(k + 1) % 3, (k + 2) % 3]]
            across = edge[..., 1 - axis] > 0
            hits = (across[:, 0] != across[:, 1]) & (entry != k)
            distances.append(torch.where(hits, _crossing(edge, direction, axis), -torch.inf))
        distance, leaves = torch.stack(distances, -1).max(-1)
        going = going & (distance > -REACH) & (distance < 1.0 + REACH)
        rows = torch.arange(len(t), device=t.device)
        e0, e1, own = (corners[rows, (leaves + k) % 3] for k in (1, 2, 0))
        next_edge = adjacency.long()[t, leaves]
        beyond = next_edge.clamp(min=0) // 3
        wing_vertex = faces.long()[beyond, next_edge.clamp(min=0) % 3]
        wing = screen[image, wing_vertex] - center
        same_side = _side(e0, e1, own) * _side(e0, e1, wing) > 0
        silhouette = (next_edge < 0) | (w[image, wing_vertex] <= 0) | same_side
        steep = (e1 - e0)[:, 1 - axis].abs() >= (e1 - e0)[:, axis].abs()
        hit = going & silhouette & steep
        found, corner = found | hit, torch.where(hit, leaves, corner)
        going = going & ~silhouette & (beyond != stop)
        t, entry = torch.where(going, beyond, t), torch.where(going, next_edge % 3, entry)
    return found, corner, t


def _side(a: Tensor, b: Tensor, point: Tensor) -> Tensor:
    edge, offset = b - a, point - a
    return edge[..., 0] * offset[..., 1] - edge[..., 1] * offset[..., 0]
