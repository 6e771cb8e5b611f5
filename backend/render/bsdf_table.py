"""GGX's integrals over the light's hemisphere, tabulated: albedos, and two symmetric lobes that stand for the real, stretched one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from backend.engines.interface import Engine
from backend.render.microfacet import fresnel_dielectric, fresnel_schlick_weight, smith_lambda

_COSINES = 64
_ROUGHNESSES = 32
_SAMPLES = 610  # micro-normals a lobe, spread as Fibonacci's lattice
_GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)
LEAST_COSINE = 1e-3
_LARGEST_COSINE = 0.9995  # at 1 the viewer has no side
LEAST_ROUGHNESS = 0.04
_LEAST_PARTING = 0.25  # squared sine of half the angle between the two lobes, of a lobe's second moment


@dataclass(frozen=True)
class BsdfTable:
    """Integrals by roughness (rows) and cosine to the viewer (columns); `bsdf_table` makes it.

    Off the normal a lobe is about 1 / (v.h) times longer in the plane of view and normal than across it. Two symmetric lobes in that
    plane, as narrow as the real one is across it and as far apart as it is long, have its mean direction and its second moments. What
    Fresnel's terms add lies nearer to the horizon: each albedo is split between the two lobes so that its own mean direction is met.

    Attributes:
        values: [R, C, 12]: single-scattering albedo split for Schlick's term, F = F0 A + B, as A in the first lobe, A in the second,
            B in the first, B in the second; the dielectric's in the first and second; the mean over the cosine of all of A + B;
            (normal, tangential) of the first lobe and of the second, whose direction is  normal * n + tangential * (c n - v); and
            the roughness of both.
    """

    values: Tensor

    def look_up(self, engine: Engine, cosine: Tensor, roughness: Tensor) -> Tensor:
        """cosine [N, 1], roughness [N, 1] -> [N, 12], bilinear. Gradients reach both."""
        rows, columns, _ = self.values.shape
        down = (roughness.clamp(LEAST_ROUGHNESS, 1.0) - LEAST_ROUGHNESS) / (1.0 - LEAST_ROUGHNESS)
        uv = torch.cat(((cosine.clamp(0.0, 1.0) * (columns - 1) + 0.5) / columns, (down * (rows - 1) + 0.5) / rows), -1)
        return engine.texture_2d(self.values, uv)


@lru_cache(maxsize=8)
def bsdf_table(device: torch.device) -> BsdfTable:
    """The table on a device; integrated (in float64, on the CPU, about a second) when first asked for, not to be written to."""
    cosines = torch.linspace(0.0, 1.0, _COSINES, dtype=torch.float64).clamp(LEAST_COSINE, _LARGEST_COSINE)
    roughnesses = torch.linspace(LEAST_ROUGHNESS, 1.0, _ROUGHNESSES, dtype=torch.float64)
    values = torch.stack([_integrate(roughness, cosines) for roughness in roughnesses])
    albedo = values[..., :4].sum(-1)
    mean_albedo = torch.trapezoid(2.0 * albedo * cosines, cosines, dim=1)
    column = mean_albedo[:, None, None].expand(-1, _COSINES, 1)
    return BsdfTable(torch.cat((values[..., :6], column, values[..., 6:]), -1).float().to(device))


def _integrate(roughness: Tensor, cosines: Tensor) -> Tensor:
    """One row of the table: roughness [] and cosines [C] -> [C, 11], the table's columns without the mean albedo.

    Micro-normals are drawn from those visible to the viewer (Dupuy and Benyoub 2023), by a lattice of their two numbers.
    """
    alpha = roughness.square()
    index = torch.arange(_SAMPLES, dtype=torch.float64)
    first, second = ((index + 0.5) / _SAMPLES)[None], (index * _GOLDEN).remainder(1.0)[None]
    view_z = cosines[:, None]
    view_x = (1.0 - view_z.square()).sqrt()
    length = (alpha.square() * view_x.square() + view_z.square()).sqrt()
    warped_x, warped_z = alpha * view_x / length, view_z / length
    cap_z = (1.0 - second) * (1.0 + warped_z) - warped_z
    cap_r = (1.0 - cap_z.square()).clamp_min(0.0).sqrt()
    phi = math.pi * first  # the other half mirrors this one
    half_x = alpha * (cap_r * phi.cos() + warped_x)
    half_y = alpha * cap_r * phi.sin()
    half_z = cap_z + warped_z
    length = (half_x.square() + half_y.square() + half_z.square()).sqrt()
    half_x, half_y, half_z = half_x / length, half_y / length, half_z / length
    cos_view_half = (view_x * half_x + view_z * half_z).clamp(0.0, 1.0)
    light_x = 2.0 * cos_view_half * half_x - view_x
    light_y = 2.0 * cos_view_half * half_y
    light_z = 2.0 * cos_view_half * half_z - view_z
    view_lambda = smith_lambda(view_z, roughness)
    light_lambda = smith_lambda(light_z.clamp_min(1e-9), roughness)
    weight = (1.0 + view_lambda) / (1.0 + view_lambda + light_lambda) * (light_z > 0.0)
    schlick = fresnel_schlick_weight(cos_view_half)
    share = weight / weight.sum(1, keepdim=True)
    mean_x, mean_z = (share * light_x).sum(1, keepdim=True), (share * light_z).sum(1, keepdim=True)
    length = (mean_x.square() + mean_z.square()).sqrt()
    mean_x, mean_z = mean_x / length, mean_z / length
    offset = mean_z * light_x - mean_x * light_z  # from the mean direction, away from the viewer's side below zero
    across = (share * light_y.square()).sum(1)
    along = (share * offset.square()).sum(1)
    spread_roughness, spread_length = _lobe_of_spread(across)
    # A lobe of spread s about an axis turned by d has the second moment s + (1 - 3 s) sin^2 d along the turn.
    # The rougher, the rounder; yet the lobes are kept far enough apart for the albedos to lean towards one of them.
    least = _LEAST_PARTING * across * view_x[:, 0].square()
    sine = torch.maximum((along - across) / (1.0 - 3.0 * across), least).clamp_max(0.5).sqrt()
    cosine = (1.0 - sine.square()).sqrt()
    parts = []
    for albedo in (weight * (1.0 - schlick), weight * schlick, weight * fresnel_dielectric(cos_view_half)):
        total = albedo.mean(1)
        pull = (albedo * offset).mean(1) / (total * sine * spread_length)
        parts += [total * (0.5 + 0.5 * lean * pull.clamp(-1.0, 1.0)) for lean in (1.0, -1.0)]
    for side in (sine, -sine):
        turned_x, turned_z = cosine * mean_x[:, 0] + side * mean_z[:, 0], cosine * mean_z[:, 0] - side * mean_x[:, 0]
        parts += [turned_z, -turned_x / view_x[:, 0]]
    return torch.stack((*parts, spread_roughness), -1)


def _lobe_of_spread(spread: Tensor) -> tuple[Tensor, Tensor]:
    """GGX's lobe for normal incidence by its second moment about its axis, x^2 = y^2, [C]: its roughness (1 for wider ones) and the
    length of its mean direction.
    """
    roughness = torch.linspace(0.02, 1.0, 99, dtype=torch.float64)
    x = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    # Half-angles are spread by GGX's own distribution: sin^2 = alpha^2 u / (1 + (alpha^2 - 1) u) has equal shares of D cos.
    alpha_squared = roughness.pow(4)[:, None]
    light = 1.0 - 2.0 * alpha_squared * x / (1.0 + (alpha_squared - 1.0) * x)
    weight = (light > 0.0) / (1.0 + smith_lambda(light.clamp_min(1e-9), roughness[:, None]))
    weight = weight / weight.sum(1, keepdim=True)
    moments = (weight * 0.5 * (1.0 - light.square())).sum(1)
    lengths = (weight * light).sum(1)
    place = torch.searchsorted(moments, spread.contiguous()).clamp(1, len(moments) - 1)
    share = ((spread - moments[place - 1]) / (moments[place] - moments[place - 1])).clamp(0.0, 1.0)
    return roughness[place - 1].lerp(roughness[place], share), lengths[place - 1].lerp(lengths[place], share)
