"""Shading composed of plain torch operations and texture look-ups, in any float type: what the engines' `shade` is held to."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.engines.interface import Engine
from backend.light.environment import PrefilteredLight
from backend.material.channels import MaterialSample
from backend.render.bsdf import bsdf_reflectance
from backend.render.relief import mirroring_normal, perturb_normal, relieve_diffuse, relieve_specular


def composed_shade(
    sample: MaterialSample,
    normal: Tensor,
    view: Tensor,
    light: PrefilteredLight,
    engine: Engine,
    tangent: Tensor | None = None,
    occlusion: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Arguments as `shade.shade`'s -> diffuse and specular light, each [N, 3]. `engine` looks textures up.

    Gradients reach the material, the directions, the light and the occlusion.
    """
    smooth: Tensor | None = None
    facing = mirroring = normal
    if sample.normal is not None and tangent is not None:
        smooth = torch.nn.functional.normalize(normal, dim=-1)
        perturbed = perturb_normal(sample.normal, tangent, normal)
        mirroring = mirroring_normal(perturbed, smooth, view)
        facing, diffuse_share = relieve_diffuse(perturbed, smooth, engine)
    reflectance = bsdf_reflectance(sample.base_color, sample.roughness, sample.metallic, mirroring, view, engine)
    diffuse = reflectance.diffuse * light.irradiance(engine, facing)
    # The two lobes are looked up in one go, the first of all points before the second.
    axes, roughness = torch.cat(reflectance.directions), reflectance.roughness.repeat(2, 1)
    if smooth is None:
        reflected = light.specular(engine, axes, roughness)
    else:
        diffuse = diffuse * diffuse_share
        axes, share = relieve_specular(axes, roughness, mirroring.repeat(2, 1), smooth.repeat(2, 1), engine)
        reflected = share * light.specular(engine, axes, roughness)
    first, second = reflected.chunk(2)
    specular = reflectance.specular[0] * first + reflectance.specular[1] * second
    if occlusion is not None:
        cosine = (mirroring * view).sum(-1, keepdim=True).clamp(0.0, 1.0)
        diffuse = diffuse * occlusion
        specular = specular * specular_occlusion(occlusion, cosine, sample.roughness)
    return diffuse, specular


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
