"""The material once the surface has texture coordinates: one texture a channel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backend.engines.interface import Engine
from backend.material.channels import LEAST_ROUGHNESS, MaterialMaps, MaterialSample, flat_normal, unit_normal

CHANNELS = (3, 1, 1, 3)  # base colour, roughness, metallic, normal; an opacity, where there is one, comes after them


class MaterialTextures(nn.Module):
    """Textures of one size, fitted directly: one tensor of all channels, so that a look-up reads it where it lies.

    The parameters are the values themselves, not logits: filtering must average colours, a texture read needs no pass over all its
    texels first, and no value near its bound is frozen by a sigmoid's tail. They are kept in range by `project_`, to be called after
    each optimiser's step; `sample` and `maps` clamp as well, so that a forgotten call shows no impossible material.

    Attributes:
        values: [H, W, 8] parameter: base colour, roughness, metallic, tangent-space normal; [H, W, 9] with opacity.
    """

    def __init__(self, maps: MaterialMaps) -> None:
        """Start from `maps` (copied)."""
        super().__init__()
        opacity = () if maps.opacity is None else (maps.opacity,)
        self.values = nn.Parameter(
            torch.cat((maps.base_color, maps.roughness, maps.metallic, maps.normal, *opacity), -1).detach()
        )
        self.project_()

    @staticmethod
    def plain(height: int, width: int, base_color: float = 0.5, roughness: float = 0.6) -> MaterialTextures:
        """A smooth grey dielectric everywhere."""
        color = torch.full((height, width, 3), base_color)
        rough = torch.full((height, width, 1), roughness)
        return MaterialTextures(MaterialMaps(color, rough, torch.zeros_like(rough), flat_normal(color)))

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in texels."""
        return self.values.shape[0], self.values.shape[1]

    @property
    def translucent(self) -> bool:
        """Whether there is an opacity."""
        return self.values.shape[2] > sum(CHANNELS)

    def sample(self, engine: Engine, uv: Tensor, level: Tensor | None = None) -> MaterialSample:
        """Read the material. Ask for all points at once: each look-up has a gradient as large as the textures.

        Args:
            engine: who filters.
            uv: [N, 2], v down.
            level: [N] mip level, or None for the finest.

        Returns:
            The material at the N points; its normal is of unit length. Gradients reach the textures, uv and level.
        """
        values = engine.texture_2d(self.values, uv, level)
        return MaterialSample(
            base_color=_clamp(values[:, :3], 0.0),
            roughness=_clamp(values[:, 3:4], LEAST_ROUGHNESS),
            metallic=_clamp(values[:, 4:5], 0.0),
            normal=torch.nn.functional.normalize(values[:, 5 : sum(CHANNELS)], dim=-1),
            opacity=_clamp(values[:, sum(CHANNELS) :], 0.0) if self.translucent else None,
        )

    def maps(self) -> MaterialMaps:
        """The textures in range, without gradients: what is exported."""
        color, roughness, metallic, normal = self.values.detach()[..., : sum(CHANNELS)].split(CHANNELS, -1)
        return MaterialMaps(
            color.clamp(0.0, 1.0),
            roughness.clamp(LEAST_ROUGHNESS, 1.0),
            metallic.clamp(0.0, 1.0),
            unit_normal(normal),
            self.values.detach()[..., sum(CHANNELS) :].clamp(0.0, 1.0) if self.translucent else None,
        )

    def resized(self, size: int) -> MaterialTextures:
        """The same material in square textures of `size` texels: averaged down, or interpolated up."""

        def resize(texture: Tensor) -> Tensor:
            planes = texture.detach().permute(2, 0, 1)[None]
            smaller = size < texture.shape[0]
            planes = (
                F.interpolate(planes, (size, size), mode="area")
                if smaller
                else F.interpolate(planes, (size, size), mode="bilinear")
            )
            return planes[0].permute(1, 2, 0).contiguous()

        return MaterialTextures(self.maps().each(resize))

    @torch.no_grad()
    def project_(self) -> None:
        """Bring every texel back into its range, in place."""
        color, roughness, metallic, normal = self.values[..., : sum(CHANNELS)].split(CHANNELS, -1)
        if self.translucent:
            self.values[..., sum(CHANNELS) :].clamp_(0.0, 1.0)
        color.clamp_(0.0, 1.0)
        roughness.clamp_(LEAST_ROUGHNESS, 1.0)
        metallic.clamp_(0.0, 1.0)
        normal.copy_(unit_normal(normal))


def _clamp(values: Tensor, least: float) -> Tensor:
    """Clamp to [least, 1], the gradient passing through: a texel at its bound can still leave it."""
    return values + (values.clamp(least, 1.0) - values).detach()
