"""Microfacets: GGX, its shadowing, and the Fresnel terms. c below is a cosine, alpha = roughness^2."""

from __future__ import annotations

import math

from torch import Tensor

DIELECTRIC_IOR = 1.5


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
        [...] in [0, 1]; 0.04 at cosine 1 for the default IOR. Differentiable in cosine.
    """
    inside = (ior * ior - 1.0 + cosine.square()).sqrt()
    across = (cosine - inside) / (cosine + inside)
    along = (ior * ior * cosine - inside) / (ior * ior * cosine + inside)
    return 0.5 * (across.square() + along.square())
