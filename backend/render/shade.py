"""Colour of surface points under a prefiltered light."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.engines.interface import Engine
from backend.light.environment import PrefilteredLight
from backend.material.channels import MaterialSample
from backend.render.bsdf import bsdf_reflectance


@dataclass(frozen=True)
class Shaded:
    """Light sent to the viewer by N points, linear: color = diffuse + specular, each [N, 3]."""

    color: Tensor
    diffuse: Tensor
    specular: Tensor


def shade(
    sample: MaterialSample,
    normal: Tensor,
    view: Tensor,
    light: PrefilteredLight,
    engine: Engine,
    tangent: Tensor | None = None,
    occlusion: Tensor | None = None,
) -> Shaded:
    """Shade N points.

    Args:
        sample: the material; its normal counts where `tangent` is given.
        normal: [N, 3] unit smooth normal, world space.
        view: [N, 3] unit, from the point towards the viewer.
        light: from `EnvironmentLight.prefiltered`.
        engine: who looks textures up.
        tangent: [N, 4] as in `perturb_normal`, or None.
        occlusion: [N, 1] share of the cosine-weighted hemisphere that sees the light, in [0, 1], or None for all.

    Returns:
        The colours. Gradients reach the material, the directions, the light and the occlusion.
    """
    if sample.normal is not None and tangent is not None:
        normal = perturb_normal(sample.normal, tangent, normal)
    reflectance = bsdf_reflectance(sample.base_color, sample.roughness, sample.metallic, normal, view, engine)
    diffuse = reflectance.diffuse * light.irradiance(engine, normal)
    specular = reflectance.specular * light.specular(engine, reflectance.direction, reflectance.roughness)
    if occlusion is not None:
        cosine = (normal * view).sum(-1, keepdim=True).clamp(0.0, 1.0)
        diffuse = diffuse * occlusion
        specular = specular * specular_occlusion(occlusion, cosine, sample.roughness)
    return Shaded(diffuse + specular, diffuse, specular)


def specular_occlusion(occlusion: Tensor, cos_view: Tensor, roughness: Tensor) -> Tensor:
    """Share of the specular lobe that sees the light, guessed from the diffuse share (Lagarde and de Rousiers 2014, sec. 4.10.2).

    Args:
        occlusion: [N, 1] in [0, 1].
        cos_view: [N, 1] in [0, 1].
        roughness: [N, 1] perceptual.

    Returns:
        [N, 1] in [0, 1]; 1 where occlusion is 1. Differentiable in all.
    """
    exponent = torch.exp2(-16.0 * roughness.square() - 1.0)
    return ((cos_view + occlusion).clamp_min(1e-4).pow(exponent) - 1.0 + occlusion).clamp(0.0, 1.0)


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
