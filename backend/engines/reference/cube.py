"""The plain-torch oracle of the cube texture: any float type, gradients by autograd, slow."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.engines.reference.textures import blend_levels

# For each face +X -X +Y -Y +Z -Z: outward axis, the direction of growing s and that of growing t (OpenGL's table).
_AXES = (
    ((1, 0, 0), (0, 0, -1), (0, -1, 0)),
    ((-1, 0, 0), (0, 0, 1), (0, -1, 0)),
    ((0, 1, 0), (1, 0, 0), (0, 0, 1)),
    ((0, -1, 0), (1, 0, 0), (0, 0, -1)),
    ((0, 0, 1), (1, 0, 0), (0, -1, 0)),
    ((0, 0, -1), (-1, 0, 0), (0, -1, 0)),
)


def texture_cube(levels: tuple[Tensor, ...], directions: Tensor, level: Tensor) -> Tensor:
    """levels of [6, n, n, C], directions [N, 3], level [N] -> [N, C]; as `Engine.texture_cube`."""
    return blend_levels(torch.stack([_seamless(image, directions) for image in levels]), level)


def texel_directions(size: int, like: Tensor) -> Tensor:
    """[6, size, size, 3] directions, not normalised, through the texel centres of a cube."""
    centre = (torch.arange(size, dtype=like.dtype, device=like.device) + 0.5) * 2 / size - 1
    axes = torch.tensor(_AXES, dtype=like.dtype, device=like.device)
    outward, along_s, along_t = axes[:, :, None, None].unbind(1)
    return outward + along_s * centre[None, :, None] + along_t * centre[:, None, None]


def _seamless(image: Tensor, directions: Tensor) -> Tensor:
    """Bilinear over the six faces, each bordered by its neighbours' texels."""
    size = image.shape[1]
    bordered = _with_borders(image)
    axes = torch.tensor(_AXES, dtype=directions.dtype, device=directions.device)
    reach = directions @ axes[:, 0].T  # [N, 6] distance along each face's axis
    # the order of preference at ties is Z, Y, X, as in the kernels; positive before negative
    order = torch.tensor([4, 5, 2, 3, 0, 1], device=directions.device)
    face = order[reach.detach()[:, order].argmax(1)]
    item = torch.arange(directions.shape[0], device=directions.device)
    depth = reach[item, face]
    s = (directions * axes[face, 1]).sum(1) / depth
    t = (directions * axes[face, 2]).sum(1) / depth
    x, y = (s + 1) * 0.5 * size + 0.5, (t + 1) * 0.5 * size + 0.5  # in the bordered image
    column, row = (place.detach().floor().clamp(0, size) for place in (x, y))
    fx, fy = (x - column)[:, None], (y - row)[:, None]
    c, r = column.long(), row.long()
    upper = bordered[face, r, c] * (1 - fx) + bordered[face, r, c + 1] * fx
    lower = bordered[face, r + 1, c] * (1 - fx) + bordered[face, r + 1, c + 1] * fx
    return upper * (1 - fy) + lower * fy


def _with_borders(image: Tensor) -> Tensor:
    """[6, n, n, C] -> [6, n + 2, n + 2, C]: edges from the nearest texel across, corners the mean of the three texels that meet."""
    size = image.shape[1]
    centres = texel_directions(size, torch.zeros((), dtype=torch.float64)).flatten(0, 2)
    place = torch.arange(-1, size + 1)
    row, column = torch.meshgrid(place, place, indexing="ij")
    inside = ((row >= 0) & (row < size)).int() + ((column >= 0) & (column < size)).int()
    faces = []
    for face, axes in enumerate(_AXES):
        outward, along_s, along_t = torch.tensor(axes, dtype=torch.float64)
        s, t = (((axis + 0.5) * 2 / size - 1).clamp(-1, 1) for axis in (column, row))
        rim = (
            outward + along_s * s[..., None] + along_t * t[..., None]
        )  # the point of the face's rim nearest to the tap
        away = (rim[:, :, None] - centres).norm(dim=-1)
        touching = away < 1.5 / size  # 1 / size at an edge, sqrt(2) / size at a corner; the next is at sqrt(3) / size
        touching[inside == 1] &= (
            torch.arange(centres.shape[0]) // size**2 != face
        )  # over an edge: the one on another face
        weights = touching.to(image.dtype)
        weights = (weights / weights.sum(-1, keepdim=True)).to(image.device)
        bordered = torch.einsum("rck,kf->rcf", weights, image.flatten(0, 2))
        bordered[1:-1, 1:-1] = image[face]
        faces.append(bordered)
    return torch.stack(faces)
