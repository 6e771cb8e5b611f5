"""What each channel of a material means, its range, and the records that carry them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from backend.contract import ALPHA_CUTOFF

LEAST_ROUGHNESS = 0.08  # smoother lobes are narrower than any light map the fit can afford
FIRST_OPACITY = 0.95  # before it is fitted: what lies behind must show a little, or nothing would be learned of it
LEAST_NORMAL_Z = 0.05  # a normal map may lean, never face away from the viewer's side of the surface


@dataclass(frozen=True)
class MaterialSample:
    """A material at N points, as Blender's Principled BSDF names it.

    Attributes:
        base_color: [N, 3] linear Rec.709, in [0, 1].
        roughness: [N, 1] perceptual (GGX alpha is its square), in [LEAST_ROUGHNESS, 1].
        metallic: [N, 1] in [0, 1].
        normal: [N, 3] tangent-space unit normal (x along the tangent, y along the bitangent, green up), or None for no relief.
        opacity: [N, 1] in [0, 1]: the share of what lies behind that the surface hides, its alpha; None where it is opaque.
    """

    base_color: Tensor
    roughness: Tensor
    metallic: Tensor
    normal: Tensor | None = None
    opacity: Tensor | None = None

    def rows(self, which: slice) -> MaterialSample:
        """The material at some of the points."""
        return replace(self, **{name: values[which] for name, values in vars(self).items() if values is not None})


@dataclass(frozen=True)
class MaterialMaps:
    """A material's textures, row 0 at v = 0 (the top), channels as in `MaterialSample`.

    Attributes:
        base_color: [H, W, 3] linear.
        roughness: [H, W, 1].
        metallic: [H, W, 1].
        normal: [H, W, 3] tangent-space unit normals in [-1, 1].
        opacity: [H, W, 1], or None for an opaque material.
    """

    base_color: Tensor
    roughness: Tensor
    metallic: Tensor
    normal: Tensor
    opacity: Tensor | None = None

    def each(self, change: Callable[[Tensor], Tensor]) -> MaterialMaps:
        """The same material with every texture changed."""
        return MaterialMaps(**{name: change(values) for name, values in vars(self).items() if values is not None})

    def with_opacity(self, start: float) -> MaterialMaps:
        """The same material with an opacity: its own where it has one, `start` everywhere else."""
        return self if self.opacity is not None else replace(self, opacity=torch.full_like(self.roughness, start))

    def opaque(self) -> MaterialMaps:
        """The same material without its opacity."""
        return replace(self, opacity=None)

    def clipped(self) -> MaterialMaps:
        """The same material with every texel either there or not."""
        return (
            self
            if self.opacity is None
            else replace(self, opacity=(self.opacity >= ALPHA_CUTOFF).to(self.opacity.dtype))
        )


def flat_normal(like: Tensor) -> Tensor:
    """The normal that changes nothing, (0, 0, 1), in the shape of `like` [..., 3]."""
    return torch.cat((torch.zeros_like(like[..., :2]), torch.ones_like(like[..., 2:])), -1)


def unit_normal(normal: Tensor) -> Tensor:
    """[..., 3] -> unit length, z at least LEAST_NORMAL_Z before the scaling."""
    leaning = torch.cat((normal[..., :2], normal[..., 2:].clamp_min(LEAST_NORMAL_Z)), -1)
    return torch.nn.functional.normalize(leaning, dim=-1)
