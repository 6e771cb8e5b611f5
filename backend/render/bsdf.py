"""Blender's Principled BSDF in closed form for light that is already blurred: the reflectances and lobes that Cycles' closures have.

A dielectric coat of IOR 1.5 lies over a Lambert base and takes its own albedo from it; metal is mixed in by `metallic` with the base
colour as F0 and white at grazing angles. Both reflect by GGX with height-correlated Smith shadowing, and what single scattering loses
comes back as in Blender's default, Multiscatter GGX. c below is a cosine, alpha = roughness^2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from backend.engines.interface import Engine

DIELECTRIC_IOR = 1.5
DIELECTRIC_F0 = ((DIELECTRIC_IOR - 1.0) / (DIELECTRIC_IOR + 1.0)) ** 2
# Mean dielectric Fresnel over the hemisphere, fitted for IOR 1 to 3 (Kulla and Conty 2017), as Cycles has it.
DIELECTRIC_MEAN_FRESNEL = (DIELECTRIC_IOR - 1.0) / (4.08567 + 1.00071 * DIELECTRIC_IOR)

_TABLE_COSINES = 64
_TABLE_ROUGHNESSES = 32
_TABLE_SAMPLES = 610  # micro-normals a lobe, spread as Fibonacci's lattice
_GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)
_LEAST_COSINE = 1e-3
_LEAST_TABLE_ROUGHNESS = 0.04


def ggx_distribution(cos_half: Tensor, roughness: Tensor) -> Tensor:
    """Density of GGX micro-normals about the shading normal.

    D = a^2 / (pi ((a^2 - 1) c^2 + 1)^2), with c = cos_half and a = roughness^2 (Walter et al. 2007).

    Args:
        cos_half: [..., 1] cosine between shading normal and half vector, in [0, 1].
        roughness: [..., 1] perceptual roughness as stored in the texture, in [0.05, 1].

    Returns:
        [..., 1] density per steradian. Differentiable in both arguments, finite on the stated ranges.
    """
    alpha_squared = roughness.pow(4)
    return alpha_squared / (math.pi * ((alpha_squared - 1.0) * cos_half.square() + 1.0).square())


def smith_lambda(cosine: Tensor, roughness: Tensor) -> Tensor:
    """Smith's Lambda of GGX: (sqrt(1 + a^2 tan^2) - 1) / 2 (Heitz 2014, eq. 72).

    Args:
        cosine: [...] between the direction and the shading normal, in (0, 1].
        roughness: [...] perceptual, in [0, 1].

    Returns:
        [...] hidden over visible micro-surface area. Differentiable in both.
    """
    tangent_squared = (1.0 - cosine.square()).clamp_min(0.0) / cosine.square()
    return 0.5 * ((1.0 + roughness.pow(4) * tangent_squared).sqrt() - 1.0)


def smith_visibility(cos_view: Tensor, cos_light: Tensor, roughness: Tensor) -> Tensor:
    """Height-correlated shadowing and masking over 4 c_v c_l, so that f = D V F (Heitz 2014, eq. 99).

    Args:
        cos_view: [...] in (0, 1].
        cos_light: [...] in (0, 1].
        roughness: [...] perceptual.

    Returns:
        [...] per steradian^0. Differentiable in all.
    """
    shadowing = 1.0 / (1.0 + smith_lambda(cos_view, roughness) + smith_lambda(cos_light, roughness))
    return shadowing / (4.0 * cos_view * cos_light)


def fresnel_schlick_weight(cosine: Tensor) -> Tensor:
    """(1 - c)^5, the share of white in Schlick's Fresnel term (Schlick 1994). cosine [...] in [0, 1]."""
    return (1.0 - cosine).clamp(0.0, 1.0).pow(5)


def fresnel_dielectric(cosine: Tensor, ior: float = DIELECTRIC_IOR) -> Tensor:
    """Unpolarised Fresnel reflectance of a dielectric seen from air.

    Args:
        cosine: [...] between direction and micro-normal, in [0, 1].
        ior: of the inside, above 1.

    Returns:
        [...] in [0, 1]; DIELECTRIC_F0 at cosine 1 for the default IOR. Differentiable in cosine.
    """
    inside = (ior * ior - 1.0 + cosine.square()).sqrt()
    across = (cosine - inside) / (cosine + inside)
    along = (ior * ior * cosine - inside) / (ior * ior * cosine + inside)
    return 0.5 * (across.square() + along.square())


@dataclass(frozen=True)
class Reflectance:
    """What one view direction sees of a surface, each [N, ...]; `bsdf_reflectance` makes it.

    Attributes:
        diffuse: [N, 3] share of the cosine-weighted mean radiance that is reflected.
        specular: [N, 3] share of the lobe's mean radiance that is reflected, metal and dielectric together.
        direction: [N, 3] unit, the lobe's mean direction (near the mirror direction; nearer to the normal on rough surfaces).
        roughness: [N, 1] of the symmetric lobe that is as wide as the real one.
    """

    diffuse: Tensor
    specular: Tensor
    direction: Tensor
    roughness: Tensor


@dataclass(frozen=True)
class BsdfTable:
    """GGX integrals over the light's hemisphere, by roughness (rows) and cosine to the viewer (columns); `bsdf_table` makes it.

    Attributes:
        values: [R, C, 10]: single-scattering albedo split for Schlick's term, F = F0 A + B: (A, B); single-scattering albedo of the
            dielectric; mean over the cosine of A + B; then for a white lobe and for the dielectric's each (normal, tangential,
            roughness): the mean light direction is  normal * n + tangential * (c n - v), unnormalised.
    """

    values: Tensor

    def look_up(self, engine: Engine, cosine: Tensor, roughness: Tensor) -> Tensor:
        """cosine [N, 1], roughness [N, 1] -> [N, 10], bilinear. Gradients reach both."""
        rows, columns, _ = self.values.shape
        across = cosine.clamp(0.0, 1.0)
        down = (roughness.clamp(_LEAST_TABLE_ROUGHNESS, 1.0) - _LEAST_TABLE_ROUGHNESS) / (1.0 - _LEAST_TABLE_ROUGHNESS)
        uv = torch.cat(((across * (columns - 1) + 0.5) / columns, (down * (rows - 1) + 0.5) / rows), -1)
        return engine.texture_2d(self.values, uv)


@lru_cache(maxsize=8)
def bsdf_table(device: torch.device) -> BsdfTable:
    """The table on a device; integrated (in float64, on the CPU, under a second) when first asked for, not to be written to."""
    cosines = torch.linspace(0.0, 1.0, _TABLE_COSINES, dtype=torch.float64).clamp_min(_LEAST_COSINE)
    roughnesses = torch.linspace(_LEAST_TABLE_ROUGHNESS, 1.0, _TABLE_ROUGHNESSES, dtype=torch.float64)
    rows = [_integrate(roughness, cosines) for roughness in roughnesses]
    albedo = torch.stack([row[:, 0] + row[:, 1] for row in rows])
    mean_albedo = torch.trapezoid(2.0 * albedo * cosines, cosines, dim=1)
    values = torch.stack(rows)
    mean_column = mean_albedo[:, None, None].expand(-1, _TABLE_COSINES, 1)
    values = torch.cat((values[..., :3], mean_column, values[..., 3:]), -1)
    return BsdfTable(values.float().to(device))


def bsdf_reflectance(
    base_color: Tensor,
    roughness: Tensor,
    metallic: Tensor,
    normal: Tensor,
    view: Tensor,
    engine: Engine,
) -> Reflectance:
    """Principled's reflectances and its lobe for one view direction a point.

    Metal: F0 A + B with F0 = base_color. Dielectric: its own integral. Each times 1 + F_ms (1 - E) / E, the multiple scattering of
    Kulla and Conty 2017 as Cycles weighs it: F_ms = F_avg E_avg / (1 - F_avg (1 - E_avg)). Diffuse is what the dielectric leaves.

    Args:
        base_color: [N, 3] linear, in [0, 1].
        roughness: [N, 1] perceptual.
        metallic: [N, 1] in [0, 1].
        normal: [N, 3] unit shading normal.
        view: [N, 3] unit, towards the viewer; below the horizon counts as on it.
        engine: who reads the table.

    Returns:
        The reflectances. Gradients reach all tensors.
    """
    cosine = (normal * view).sum(-1, keepdim=True).clamp(_LEAST_COSINE, 1.0)
    values = bsdf_table(normal.device).look_up(engine, cosine, roughness)
    schlick_scale, schlick_bias, dielectric, mean_albedo = (values[:, i : i + 1] for i in range(4))
    albedo = schlick_scale + schlick_bias
    lost = (1.0 - albedo) / albedo
    metal_fresnel = base_color + (1.0 - base_color) / 21.0  # Schlick's mean over the hemisphere
    metal = (base_color * schlick_scale + schlick_bias) * (1.0 + _multiple_fresnel(metal_fresnel, mean_albedo) * lost)
    coat_fresnel = torch.full_like(mean_albedo, DIELECTRIC_MEAN_FRESNEL)
    coat = dielectric * (1.0 + _multiple_fresnel(coat_fresnel, mean_albedo) * lost)
    metal_part, coat_part = metallic * metal, (1.0 - metallic) * coat
    metal_share = metal_part.mean(-1, keepdim=True)
    metal_share = metal_share / (metal_share + coat_part)
    lobe = values[:, 4:7] * metal_share + values[:, 7:10] * (1.0 - metal_share)
    direction = lobe[:, 0:1] * normal + lobe[:, 1:2] * (cosine * normal - view)
    return Reflectance(
        diffuse=base_color * (1.0 - metallic) * (1.0 - coat),
        specular=metal_part + coat_part,
        direction=torch.nn.functional.normalize(direction, dim=-1),
        roughness=lobe[:, 2:3],
    )


def _multiple_fresnel(mean_fresnel: Tensor, mean_albedo: Tensor) -> Tensor:
    """Fresnel share of light that bounces more than once between micro-facets, relative to one bounce's."""
    return mean_fresnel * mean_albedo / (1.0 - mean_fresnel * (1.0 - mean_albedo))


def _integrate(roughness: Tensor, cosines: Tensor) -> Tensor:
    """One row of the table: roughness [] and cosines [C] -> [C, 9], the table's columns without the mean albedo.

    Micro-normals are drawn from those visible to the viewer (Dupuy and Benyoub 2023), by a lattice of their two numbers.
    """
    alpha = roughness.square()
    index = torch.arange(_TABLE_SAMPLES, dtype=torch.float64)
    first, second = ((index + 0.5) / _TABLE_SAMPLES)[None], (index * _GOLDEN).remainder(1.0)[None]
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
    half_x, half_z = half_x / length, half_z / length
    cos_view_half = (view_x * half_x + view_z * half_z).clamp(0.0, 1.0)
    light_x = 2.0 * cos_view_half * half_x - view_x
    light_z = 2.0 * cos_view_half * half_z - view_z
    view_lambda = smith_lambda(view_z, roughness)
    light_lambda = smith_lambda(light_z.clamp_min(1e-9), roughness)
    weight = (1.0 + view_lambda) / (1.0 + view_lambda + light_lambda) * (light_z > 0.0)
    schlick = fresnel_schlick_weight(cos_view_half)
    coat = weight * fresnel_dielectric(cos_view_half)
    albedos = [(weight * (1.0 - schlick)).mean(1), (weight * schlick).mean(1), coat.mean(1)]
    lobes = [part for lobe in (weight, coat) for part in _lobe(lobe, light_x, light_z, view_x[:, 0])]
    return torch.stack((*albedos, *lobes), -1)


def _lobe(weight: Tensor, light_x: Tensor, light_z: Tensor, view_x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean direction (its normal part, its tangential part over the view's) and roughness of weighted light directions [C, S]."""
    total = weight.sum(1)
    mean_z = (weight * light_z).sum(1) / total
    mean_x = (weight * light_x).sum(1) / total
    tangential = torch.where(view_x > 1e-6, -mean_x / view_x.clamp_min(1e-6), mean_z)
    length = (mean_x.square() + mean_z.square()).sqrt()
    return mean_z, tangential, _roughness_of_length(length)


def _roughness_of_length(length: Tensor) -> Tensor:
    """Roughness of GGX's lobe for normal incidence whose mean direction has this length [...]; 1 for shorter ones."""
    roughness = torch.linspace(0.02, 1.0, 99, dtype=torch.float64)
    x = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    # Half-angles are spread by GGX's own distribution: sin^2 = alpha^2 u / (1 + (alpha^2 - 1) u) has equal shares of D cos.
    alpha_squared = roughness.pow(4)[:, None]
    sine_squared = alpha_squared * x / (1.0 + (alpha_squared - 1.0) * x)
    light = 1.0 - 2.0 * sine_squared
    weight = (light > 0.0) / (1.0 + smith_lambda(light.clamp_min(1e-9), roughness[:, None]))
    mean = (weight * light).sum(1) / weight.sum(1)
    lengths, values = mean.flip(0), roughness.flip(0)
    place = torch.searchsorted(lengths, length.contiguous()).clamp(1, len(lengths) - 1)
    share = ((length - lengths[place - 1]) / (lengths[place] - lengths[place - 1])).clamp(0.0, 1.0)
    return values[place - 1] + share * (values[place] - values[place - 1])
