"""Colour of surface points under a prefiltered light."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from backend.engines.interface import Engine
from backend.engines.shading import ShadingLight, ShadingPoints, ShadingTables
from backend.light.environment import PrefilteredLight
from backend.material.channels import MaterialSample
from backend.render.bsdf import DIELECTRIC_MEAN_FRESNEL
from backend.render.bsdf_table import LEAST_COSINE, LEAST_ROUGHNESS, bsdf_table
from backend.render.relief import horizon_table, tilt_table


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
        normal: [N, 3] smooth normal, world space: unit, or as interpolated where `tangent` is given. A row of exact zeros is blank: it
            sends no light and has no gradient.
        view: [N, 3] unit, from the point towards the viewer.
        light: from `EnvironmentLight.prefiltered`.
        engine: who shades.
        tangent: [N, 4] as in `perturb_normal`, or None.
        occlusion: [N, 1] share of the cosine-weighted hemisphere that sees the light, in [0, 1], or None for all.

    Returns:
        The colours, as `composed_shade` has them. Gradients reach the material, the directions, the light and the occlusion.
    """
    relief = sample.normal is not None and tangent is not None
    diffuse, specular = engine.shade(
        ShadingPoints(
            base_color=sample.base_color,
            roughness=sample.roughness,
            metallic=sample.metallic,
            normal=normal,
            view=view,
            normal_map=sample.normal if relief else None,
            tangent=tangent if relief else None,
            occlusion=occlusion,
        ),
        ShadingLight(light.diffuse, light.levels, light.roughness),
        tables(normal.device),
    )
    return Shaded(diffuse + specular, diffuse, specular)


@lru_cache(maxsize=8)
def tables(device: torch.device) -> ShadingTables:
    """What an engine looks up, on a device; made by the first call."""
    return ShadingTables(
        reflectance=bsdf_table(device).values,
        tilt=tilt_table(device),
        horizon=horizon_table(device),
        least_roughness=LEAST_ROUGHNESS,
        least_cosine=LEAST_COSINE,
        coat_fresnel=DIELECTRIC_MEAN_FRESNEL,
    )
