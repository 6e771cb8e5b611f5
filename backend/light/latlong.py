"""Equirectangular pictures of the light in Blender's orientation, and the way to and from cube maps.

The image's centre looks along +X, +Y lies a quarter from the left edge, +Z is the top row:
u = 0.5 - atan2(y, x) / (2 pi), v = acos(z) / pi from the top.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from backend.light.cube import bilinear_taps, sample_cube, texel_directions

_MAX_SUBSAMPLES = 16  # along a pixel's edge
_PARTS_PER_TEXEL = 8  # along its edge
_SAMPLES_AT_ONCE = 1 << 19  # bounds the memory


def direction_of_pixel(height: int, device: torch.device | str, subsamples: int = 1) -> Tensor:
    """[height * k, 2 * height * k, 3] unit directions through the pixel centres (or the k x k parts of each pixel)."""
    rows, columns = height * subsamples, 2 * height * subsamples
    theta = (torch.arange(rows, device=device) + 0.5) * (math.pi / rows)
    phi = (0.5 - (torch.arange(columns, device=device) + 0.5) / columns) * (2.0 * math.pi)
    sine = theta.sin()[:, None]
    return torch.stack((sine * phi.cos()[None], sine * phi.sin()[None], theta.cos()[:, None].expand(rows, columns)), -1)


def pixel_solid_angles(height: int, device: torch.device | str) -> Tensor:
    """[height, 1] steradians a pixel of each row covers; times 2 * height pixels they add up to 4 pi."""
    edges = torch.linspace(0.0, math.pi, height + 1, device=device).cos()
    return ((edges[:-1] - edges[1:]) * (math.pi / height))[:, None]


def sample_latlong(image: Tensor, directions: Tensor) -> Tensor:
    """image [H, W, C], unit directions [N, 3] -> [N, C], bilinear, wrapping around and clamped at the poles.

    Gradients reach the image.
    """
    height, width, channels = image.shape
    u = 0.5 - torch.atan2(directions[:, 1], directions[:, 0]) / (2.0 * math.pi)
    v = torch.acos(directions[:, 2].clamp(-1.0, 1.0)) / math.pi
    x, y = u * width - 0.5, v * height - 0.5
    left, top = x.floor(), y.floor()
    right_weight, bottom_weight = (x - left)[:, None], (y - top)[:, None]
    left_column = left.long().remainder(width)
    right_column = (left_column + 1).remainder(width)
    top_row = top.long().clamp(0, height - 1)
    bottom_row = (top.long() + 1).clamp(0, height - 1)
    texels = image.reshape(-1, channels)
    upper = texels[top_row * width + left_column].lerp(texels[top_row * width + right_column], right_weight)
    lower = texels[bottom_row * width + left_column].lerp(texels[bottom_row * width + right_column], right_weight)
    return upper.lerp(lower, bottom_weight)


def turn_about_z(directions: Tensor, angle: float) -> Tensor:
    """directions [N, 3] turned by `angle` radians, anticlockwise as seen from +Z."""
    sine, cosine = math.sin(angle), math.cos(angle)
    x, y, z = directions.unbind(-1)
    return torch.stack((cosine * x - sine * y, sine * x + cosine * y, z), -1)


@torch.no_grad()
def latlong_to_cube(image: Tensor, size: int, rotation: float = 0.0) -> Tensor:
    """image [H, W, C] -> cube [6, size, size, C]: each texel is the mean radiance over its own solid angle.

    The cube shows in direction d what the picture has in d turned by `rotation` radians about +Z, as Blender's Mapping node does it.

    The picture's pixels are cut into parts several times finer than the texels, and each part gives its power to the texel it lies in
    (shared where it lies on an edge): no pixel is missed, so that a small bright sun keeps its energy wherever it stands.
    """
    height, width, channels = image.shape
    subsamples = min(_MAX_SUBSAMPLES, max(1, math.ceil(_PARTS_PER_TEXEL * 4 * size / width)))
    area = pixel_solid_angles(height * subsamples, image.device).to(image.dtype)
    total = image.new_zeros(6 * size * size, channels + 1)
    directions = direction_of_pixel(height, image.device, subsamples).to(image.dtype)
    rows = max(1, _SAMPLES_AT_ONCE // directions.shape[1])
    for direction, weight in zip(directions.split(rows), area.split(rows)):
        weight = weight.expand(direction.shape[:2]).reshape(-1, 1)
        flat = direction.reshape(-1, 3)
        power = torch.cat((sample_latlong(image, flat) * weight, weight), -1)
        taps, shares = bilinear_taps(turn_about_z(flat, -rotation), size, 0.5 * _PARTS_PER_TEXEL)
        for tap, share in zip(taps.unbind(1), shares.unbind(1)):
            total.index_add_(0, tap, power * share[:, None])
    cube = total[:, :channels] / total[:, channels:]
    missed = total[:, channels] == 0  # of a picture so coarse that its parts are larger than the texels: read it there
    if bool(missed.any()):
        centres = texel_directions(size, image.device, image.dtype).reshape(-1, 3)
        cube[missed] = sample_latlong(image, turn_about_z(centres[missed], rotation))
    return cube.reshape(6, size, size, channels)


@torch.no_grad()
def cube_to_latlong(cube: Tensor, height: int, turn: Tensor | None = None) -> Tensor:
    """cube [6, n, n, C] -> image [height, 2 * height, C]: each pixel is the mean radiance over its part of the sphere.

    The picture shows in direction d what the cube has in `turn` d ([3, 3] rotation, None for none).
    """
    subsamples = min(_MAX_SUBSAMPLES, max(2, math.ceil(1.5 * 4 * cube.shape[1] / (2 * height))))
    directions = direction_of_pixel(height, cube.device, subsamples).to(cube.dtype)
    rows = max(1, _SAMPLES_AT_ONCE // (directions.shape[1] * subsamples))
    blocks = []
    for direction in directions.split(rows * subsamples):
        flat = direction.reshape(-1, 3)
        radiance = sample_cube(cube, flat if turn is None else flat @ turn.T)
        blocks.append(radiance.reshape(-1, subsamples, 2 * height, subsamples, cube.shape[-1]).mean((1, 3)))
    return torch.cat(blocks)
