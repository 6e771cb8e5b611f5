"""The cube map's geometry: which way each texel looks, how much of the sphere it covers, and how to look between texels.

Faces come in the order +X -X +Y -Y +Z -Z with OpenGL's (s, t): texel [face, row, column] holds t growing with the row and s with
the column. Directions are the world's own (Z up), nothing is turned.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Rows: the face's axis, the world direction of growing s, the world direction of growing t.
_FACE_FRAMES = (
    ((1, 0, 0), (0, 0, -1), (0, -1, 0)),
    ((-1, 0, 0), (0, 0, 1), (0, -1, 0)),
    ((0, 1, 0), (1, 0, 0), (0, 0, 1)),
    ((0, -1, 0), (1, 0, 0), (0, 0, -1)),
    ((0, 0, 1), (1, 0, 0), (0, -1, 0)),
    ((0, 0, -1), (-1, 0, 0), (0, -1, 0)),
)


def face_frames(device: torch.device | str, dtype: torch.dtype = torch.float32) -> Tensor:
    """[6, 3, 3]: for each face its axis, the direction of growing s and the direction of growing t (unit rows)."""
    return torch.tensor(_FACE_FRAMES, device=device, dtype=dtype)


def texel_directions(
    size: int, device: torch.device | str, dtype: torch.dtype = torch.float32, subsamples: int = 1
) -> Tensor:
    """Unit directions through the centres of a cube's texels.

    Args:
        size: texels along a face's edge.
        subsamples: with k > 1, the centres of the k x k parts of each texel instead.

    Returns:
        [6, size * subsamples, size * subsamples, 3].
    """
    count = size * subsamples
    edge = (torch.arange(count, device=device, dtype=dtype) + 0.5) * (2.0 / count) - 1.0
    t, s = torch.meshgrid(edge, edge, indexing="ij")
    axis, along_s, along_t = face_frames(device, dtype)[:, :, None, None, :].unbind(1)
    points = axis + s[None, :, :, None] * along_s + t[None, :, :, None] * along_t
    return torch.nn.functional.normalize(points, dim=-1)


def texel_solid_angles(size: int, device: torch.device | str, dtype: torch.dtype = torch.float32) -> Tensor:
    """[6, size, size] exact solid angle of each texel in steradians; they add up to 4 pi.

    The solid angle between the face's axis and the corner (s, t) is atan(s t / sqrt(1 + s^2 + t^2)); differences give a texel's.
    """
    corner = torch.linspace(-1.0, 1.0, size + 1, device=device, dtype=torch.float64)
    s, t = corner[None, :], corner[:, None]
    area = torch.atan2(s * t, (1.0 + s * s + t * t).sqrt())
    texel = area[1:, 1:] - area[:-1, 1:] - area[1:, :-1] + area[:-1, :-1]
    return texel.expand(6, size, size).to(dtype)


def mean_texel_angle(size: int) -> float:
    """Square root of the mean texel's solid angle: its typical width in radians."""
    return math.sqrt(4.0 * math.pi / (6 * size * size))


def face_coordinates(directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """[N, 3] directions of any length -> face [N] int64, s [N] and t [N] in [-1, 1]."""
    magnitude = directions.abs()
    axis = magnitude.argmax(-1)
    major = directions.gather(-1, axis[:, None])[:, 0]
    face = 2 * axis + (major < 0)
    frames = face_frames(directions.device, directions.dtype)[face]
    scaled = directions / major.abs().clamp_min(torch.finfo(directions.dtype).tiny)[:, None]
    s = (scaled * frames[:, 1]).sum(-1)
    t = (scaled * frames[:, 2]).sum(-1)
    return face, s, t


def bilinear_taps(directions: Tensor, size: int, sharpness: float = 1.0) -> tuple[Tensor, Tensor]:
    """Where a cube of `size` is read for each direction, across the face's edges too.

    Args:
        directions: [N, 3], any length.
        size: texels along a face's edge.
        sharpness: 1 fades from one texel to the next over the whole way between their centres, k over a k-th of it about their edge.

    Returns:
        [N, 4] int64 flat texel index (face, row, column) and [N, 4] weights that add up to 1.
    """
    face, s, t = face_coordinates(directions)
    column, row = (s + 1.0) * (0.5 * size) - 0.5, (t + 1.0) * (0.5 * size) - 0.5
    left, top = column.floor(), row.floor()
    right_weight = ((column - left - 0.5) * sharpness + 0.5).clamp(0.0, 1.0)
    bottom_weight = ((row - top - 0.5) * sharpness + 0.5).clamp(0.0, 1.0)
    indices, weights = [], []
    for down in (0, 1):
        for right in (0, 1):
            indices.append(_texel_index(face, left + right, top + down, size))
            across = right_weight if right else 1.0 - right_weight
            along = bottom_weight if down else 1.0 - bottom_weight
            weights.append(across * along)
    return torch.stack(indices, -1), torch.stack(weights, -1)


def sample_cube(cube: Tensor, directions: Tensor) -> Tensor:
    """cube [6, n, n, C], directions [N, 3] -> [N, C], bilinear and seamless. Gradients reach the cube alone."""
    indices, weights = bilinear_taps(directions.detach(), cube.shape[1])
    return (cube.reshape(-1, cube.shape[-1])[indices] * weights[..., None]).sum(1)


def _texel_index(face: Tensor, column: Tensor, row: Tensor, size: int) -> Tensor:
    """Flat index of texel (row, column) of a face; one step beyond the edge is the neighbour face's texel in that direction."""
    s, t = (column + 0.5) * (2.0 / size) - 1.0, (row + 0.5) * (2.0 / size) - 1.0
    frames = face_frames(face.device, s.dtype)[face]
    face, s, t = face_coordinates(frames[:, 0] + s[:, None] * frames[:, 1] + t[:, None] * frames[:, 2])
    column = ((s + 1.0) * (0.5 * size)).floor().clamp(0, size - 1).long()
    row = ((t + 1.0) * (0.5 * size)).floor().clamp(0, size - 1).long()
    return (face * size + row) * size + column
