"""Normal maps as Cycles treats them: a perturbed normal must not light the surface from below its own horizon.

Cycles does three things where the shading normal leans off the smooth one. Diffuse light is faded out towards the smooth normal's
horizon; a normal that would mirror the viewer's ray into the surface is bent back until it does not; light from below the horizon is
blocked by the surface itself. The first and the last depend on the incoming light; here they become a share of the lobe and a shift of
its mean direction.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from backend.engines.interface import Engine
from backend.render.bsdf_table import LEAST_ROUGHNESS
from backend.render.microfacet import smith_lambda

_TILTS = 64  # cosines between the two normals, or between a lobe and a horizon
_ROUGHNESSES = 24
_ANGLES = 256


def perturb_normal(normal_map: Tensor, tangent: Tensor, normal: Tensor) -> Tensor:
    """Apply a tangent-space normal in the MikkTSpace way: n' = x t + y b + z n, b = sign (n x t).

    As the standard asks, the interpolated normal and tangent are used as they come, neither made unit nor orthogonal again.

    Args:
        normal_map: [N, 3] tangent-space normal in [-1, 1], +Y (green) towards growing v (upwards in the texture).
        tangent: [N, 4] interpolated tangent, and the sign of the bitangent in the last.
        normal: [N, 3] interpolated vertex normal.

    Returns:
        [N, 3] unit. Gradients reach all arguments.
    """
    along = tangent[:, :3]
    bitangent = tangent[:, 3:] * torch.linalg.cross(normal, along)
    x, y, z = normal_map.unbind(-1)
    perturbed = x[:, None] * along + y[:, None] * bitangent + z[:, None] * normal
    return torch.nn.functional.normalize(perturbed, dim=-1)


def mirroring_normal(normal: Tensor, smooth: Tensor, view: Tensor) -> Tensor:
    """The normal nearest to `normal` that mirrors the view to above the smooth surface's horizon.

    With X the part of the normal along the surface, the bent normal lies in the plane of smooth and X where the mirrored view rises
    min(0.9 v.smooth, 0.01) above the horizon (Cycles' `ensure_valid_specular_reflection`).

    Args:
        normal: [N, 3] unit, perturbed.
        smooth: [N, 3] unit.
        view: [N, 3] unit, towards the viewer.

    Returns:
        [N, 3] unit; `normal` itself where it needs no bending. Gradients reach all arguments.
    """
    view_z = _dot(view, smooth)
    mirrored_z = 2.0 * _dot(normal, view) * _dot(normal, smooth) - view_z
    threshold = (0.9 * view_z).clamp_max(0.01)
    bend = (mirrored_z < threshold) & (view_z > 0.0)
    along = torch.nn.functional.normalize(normal - _dot(normal, smooth) * smooth + 1e-8, dim=-1)
    view_x = _dot(view, along)
    a = (view_x.square() + view_z.square()).clamp_min(1e-8)
    b = 2.0 * (a + view_z * threshold)
    c = (threshold + view_z).square()
    root = (b.square() - 4.0 * a * c).clamp_min(1e-8).sqrt()
    z_squared = (0.25 * torch.where(view_x < 0.0, b + root, b - root) / a).clamp(1e-6, 1.0 - 1e-6)
    bent = (1.0 - z_squared).sqrt() * along + z_squared.sqrt() * smooth
    return torch.where(bend, torch.nn.functional.normalize(bent, dim=-1), normal)


def relieve_diffuse(normal: Tensor, smooth: Tensor, engine: Engine) -> tuple[Tensor, Tensor]:
    """Diffuse light under a perturbed normal.

    Light from l is weighed by GGX's shadowing G(smooth.l) for alpha^2 = tan^2(tilt) / 8, and is lost below the smooth normal's horizon
    (Conty Estevez, Lecocq and Stein 2019, "A Microfacet-Based Shadowing Function to Solve the Bump Terminator Problem").

    Args:
        normal: [N, 3] unit, perturbed.
        smooth: [N, 3] unit.
        engine: who reads the table.

    Returns:
        [N, 3] unit direction in which to read the cosine-weighted light, [N, 1] share of it that counts, in [0, 1].
        Gradients reach both normals.
    """
    cosine = _dot(normal, smooth)
    row = _read(tilt_table(normal.device), cosine.clamp(0.0, 1.0), torch.zeros_like(cosine), engine)
    direction = row[:, 1:2] * smooth + row[:, 2:3] * (normal - cosine * smooth)
    return torch.nn.functional.normalize(direction, dim=-1), row[:, 0:1]


def relieve_specular(
    direction: Tensor, roughness: Tensor, normal: Tensor, smooth: Tensor, engine: Engine
) -> tuple[Tensor, Tensor]:
    """What the smooth surface's horizon leaves of a specular lobe that the perturbed normal's horizon has cut already.

    Args:
        direction: [N, 3] unit, the lobe's mean direction.
        roughness: [N, 1] of the lobe.
        normal: [N, 3] unit, perturbed.
        smooth: [N, 3] unit.
        engine: who reads the table.

    Returns:
        [N, 3] unit mean direction of what is left, [N, 1] share that is left, in [0, 1]; `direction` and 1 where the normals agree.
        Gradients reach all tensors.
    """
    table = horizon_table(normal.device)
    down = ((roughness - LEAST_ROUGHNESS) / (1.0 - LEAST_ROUGHNESS)).clamp(0.0, 1.0)
    rise, own_rise = _dot(direction, smooth), _dot(direction, normal)
    left = _read(table, 0.5 + 0.5 * rise, down, engine)
    own = _read(table, 0.5 + 0.5 * own_rise, down, engine)
    shifted = direction + left[:, 1:2] * (smooth - rise * direction) - own[:, 1:2] * (normal - own_rise * direction)
    share = (left[:, 0:1] / own[:, 0:1].clamp_min(1e-3)).clamp_max(1.0)
    return torch.nn.functional.normalize(shifted, dim=-1), share


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(-1, keepdim=True)


def _read(table: Tensor, across: Tensor, down: Tensor, engine: Engine) -> Tensor:
    """table [R, C, K] whose first and last nodes lie at 0 and 1, places [N, 1] in [0, 1] -> [N, K], bilinear."""
    rows, columns, _ = table.shape
    uv = torch.cat(((across * (columns - 1) + 0.5) / columns, (down * (rows - 1) + 0.5) / rows), -1)
    return engine.texture_2d(table, uv)


@lru_cache(maxsize=8)
def tilt_table(device: torch.device) -> Tensor:
    """[1, C, 3] by the cosine between the normals: share of diffuse light, and its mean direction along smooth and along
    (normal - cosine * smooth). Not to be written to.
    """
    # The perturbed normal is +Z; the smooth one leans from it in the XZ plane.
    tilt = torch.linspace(0.0, 1.0, _TILTS, dtype=torch.float64).clamp(1e-4, 1.0 - 1e-6)[:, None]
    sine = (1.0 - tilt.square()).sqrt()
    grid = (torch.arange(96, dtype=torch.float64) + 0.5) / 96
    height_squared, turn = (axis.reshape(1, -1) for axis in torch.meshgrid(grid, grid, indexing="ij"))
    light_z = height_squared.sqrt()  # spread by the cosine
    light_x = (1.0 - height_squared).sqrt() * (2.0 * math.pi * turn).cos()
    rise = sine * light_x + tilt * light_z  # over the smooth normal's horizon
    alpha_squared = (0.125 * (1.0 / tilt.square() - 1.0)).clamp_max(1.0)
    weight = (rise > 0.0) / (1.0 + smith_lambda(rise.clamp_min(1e-9), alpha_squared.pow(0.25)))
    share, mean_x, mean_z = weight.mean(1), (weight * light_x).mean(1), (weight * light_z).mean(1)
    along_smooth = mean_x * sine[:, 0] + mean_z * tilt[:, 0]
    along_rest = (
        mean_z * sine[:, 0] - mean_x * tilt[:, 0]
    )  # unit vector of (normal - cosine smooth), whose length is the sine
    table = torch.stack((share, along_smooth, along_rest / sine[:, 0]), -1)
    return table[None].float().to(device)


@lru_cache(maxsize=8)
def horizon_table(device: torch.device) -> Tensor:
    """[R, C, 2] by a lobe's roughness and its rise over a horizon (-1 to 1): share above the horizon, and how far the mean direction of
    that share moves towards the horizon's normal, per unit of (normal - rise * direction). Not to be written to.
    """
    roughness = torch.linspace(LEAST_ROUGHNESS, 1.0, _ROUGHNESSES, dtype=torch.float64)[:, None]
    x = (torch.arange(_ANGLES, dtype=torch.float64) + 0.5) / _ANGLES
    alpha_squared = roughness.pow(4)
    half_sine_squared = alpha_squared * x / (1.0 + (alpha_squared - 1.0) * x)  # equal shares of D (n.h) in each
    cosine = 1.0 - 2.0 * half_sine_squared
    weight = (cosine > 0.0) / (1.0 + smith_lambda(cosine.clamp_min(1e-9), roughness))
    weight = (weight / weight.sum(1, keepdim=True))[:, None]
    cosine = cosine[:, None]
    sine = (1.0 - cosine.square()).clamp_min(0.0).sqrt()
    rise = torch.linspace(-1.0, 1.0, _TILTS, dtype=torch.float64)[None, :, None]
    slope = (1.0 - rise.square()).clamp_min(1e-12).sqrt()
    # A ring about the lobe's axis at an angle is above the horizon where cos(phi) > -rise cosine / (slope sine).
    bound = (-rise * cosine / (slope * sine).clamp_min(1e-12)).clamp(-1.0, 1.0)
    ring = bound.acos() / math.pi
    share = (weight * ring).sum(-1)
    ahead = (weight * ring * cosine).sum(-1)
    towards = (weight * sine * (1.0 - bound.square()).sqrt()).sum(-1) / math.pi
    shift = towards / ahead.clamp_min(1e-6) / slope[..., 0].clamp_min(1e-3)
    return torch.stack((share, shift.clamp_max(10.0)), -1).float().to(device)
