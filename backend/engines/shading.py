"""What an engine is given to shade points: the points, the light and the tables of the reflectance model."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ShadingPoints:
    """M points. A row whose `normal` is exactly zero is blank: it sends no light and has no gradient.

    Attributes:
        base_color: [M, 3] linear, in [0, 1].
        roughness: [M, 1] perceptual.
        metallic: [M, 1] in [0, 1].
        normal: [M, 3] smooth normal, unit where there is no relief; as interpolated where there is.
        view: [M, 3] unit, towards the viewer.
        normal_map: [M, 3] tangent-space normal, or None for no relief; comes with `tangent`.
        tangent: [M, 4] interpolated tangent and the bitangent's sign, or None.
        occlusion: [M, 1] share of the cosine-weighted hemisphere that sees the light, in [0, 1], or None for all.
    """

    base_color: Tensor
    roughness: Tensor
    metallic: Tensor
    normal: Tensor
    view: Tensor
    normal_map: Tensor | None = None
    tangent: Tensor | None = None
    occlusion: Tensor | None = None


@dataclass(frozen=True)
class ShadingLight:
    """A prefiltered environment.

    Attributes:
        diffuse: [6, n, n, 3] cosine-weighted mean radiance.
        levels: two or more cubes [6, n_k, n_k, 3] of radiance blurred by growing lobes.
        roughness: [L] roughness of each level, growing. No gradient.
    """

    diffuse: Tensor
    levels: tuple[Tensor, ...]
    roughness: Tensor


@dataclass(frozen=True)
class ShadingTables:
    """Integrals the model looks up bilinearly, first and last nodes at the ends of their ranges; no gradient.

    Attributes:
        reflectance: [R, C, 12] by roughness from `least_roughness` to 1 and cosine to the viewer from 0 to 1; see `BsdfTable`.
        tilt: [1, C, 3] by the cosine between perturbed and smooth normal from 0 to 1: share of diffuse light that counts, and its mean
            direction along the smooth normal and along what the perturbed one adds.
        horizon: [R, C, 2] by a lobe's roughness as above and its cosine to a horizon's normal from -1 to 1: share above the horizon,
            and how far the mean direction of that share moves towards the horizon's normal.
        least_roughness: of the first row.
        least_cosine: to the viewer; below counts as this.
        coat_fresnel: mean Fresnel reflectance of the dielectric over the hemisphere.
    """

    reflectance: Tensor
    tilt: Tensor
    horizon: Tensor
    least_roughness: float
    least_cosine: float
    coat_fresnel: float
