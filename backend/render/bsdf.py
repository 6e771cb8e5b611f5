"""Blender's Principled BSDF in closed form for light that is already blurred: the reflectances and lobes that Cycles' closures have.

A dielectric coat of IOR 1.5 lies over a Lambert base and takes its own albedo from it; metal is mixed in by `metallic` with the base
colour as F0 and white at grazing angles. Both reflect by GGX with height-correlated Smith shadowing, and what single scattering loses
comes back as in Blender's default, Multiscatter GGX.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.engines.interface import Engine
from backend.render.bsdf_table import LEAST_COSINE, bsdf_table
from backend.render.microfacet import DIELECTRIC_IOR

# Mean dielectric Fresnel over the hemisphere, fitted for IOR 1 to 3 (Kulla and Conty 2017), as Cycles has it.
DIELECTRIC_MEAN_FRESNEL = (DIELECTRIC_IOR - 1.0) / (4.08567 + 1.00071 * DIELECTRIC_IOR)


@dataclass(frozen=True)
class Reflectance:
    """What one view direction sees of a surface, each [N, ...]; `bsdf_reflectance` makes it.

    Attributes:
        diffuse: [N, 3] share of the cosine-weighted mean radiance that is reflected.
        specular: two of [N, 3], share of each lobe's mean radiance that is reflected, metal and dielectric together.
        directions: two of [N, 3] unit, the axes of two symmetric lobes that stand for the real one: about the mirror direction,
            nearer to the normal on rough surfaces, apart from each other at grazing angles.
        roughness: [N, 1] of both lobes.
    """

    diffuse: Tensor
    specular: tuple[Tensor, Tensor]
    directions: tuple[Tensor, Tensor]
    roughness: Tensor


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
    cosine = (normal * view).sum(-1, keepdim=True).clamp(LEAST_COSINE, 1.0)
    columns = bsdf_table(normal.device).look_up(engine, cosine, roughness).split(1, -1)
    scale, bias, coat = columns[0:2], columns[2:4], columns[4:6]
    mean_albedo, lobe_roughness = columns[6], columns[11]
    albedo = scale[0] + scale[1] + bias[0] + bias[1]
    lost = (1.0 - albedo) / albedo
    metal_fresnel = base_color + (1.0 - base_color) / 21.0  # Schlick's mean over the hemisphere
    metal_gain = metallic * (1.0 + _multiple_fresnel(metal_fresnel, mean_albedo) * lost)
    coat_fresnel = torch.full_like(mean_albedo, DIELECTRIC_MEAN_FRESNEL)
    coat_gain = 1.0 + _multiple_fresnel(coat_fresnel, mean_albedo) * lost
    first, second = (
        metal_gain * (base_color * scale[i] + bias[i]) + (1.0 - metallic) * coat_gain * coat[i] for i in (0, 1)
    )
    side = cosine * normal - view
    axes = [torch.nn.functional.normalize(columns[i] * normal + columns[i + 1] * side, dim=-1) for i in (7, 9)]
    return Reflectance(
        diffuse=base_color * (1.0 - metallic) * (1.0 - coat_gain * (coat[0] + coat[1])),
        specular=(first, second),
        directions=(axes[0], axes[1]),
        roughness=lobe_roughness,
    )


def _multiple_fresnel(mean_fresnel: Tensor, mean_albedo: Tensor) -> Tensor:
    """Fresnel share of light that bounces more than once between micro-facets, relative to one bounce's."""
    return mean_fresnel * mean_albedo / (1.0 - mean_fresnel * (1.0 - mean_albedo))
