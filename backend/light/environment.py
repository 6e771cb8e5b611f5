"""The light around the object: what is fitted (a cube of radiance), and what shading reads (its prefiltered levels)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from backend.engines.interface import Engine
from backend.light.latlong import cube_to_latlong, latlong_to_cube
from backend.light.prefilter import Filtered, Prefilter, build_prefilter

_PANORAMA = ((0.0, 0.0, -1.0), (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0))  # rows: forwards, left and up in a camera's axes
_LEAST_RADIANCE = 1e-4  # what a black texel of a given picture becomes, so that its logarithm exists


@dataclass(frozen=True)
class PrefilteredLight:
    """An environment blurred for shading.

    Attributes:
        diffuse: [6, n, n, 3] cosine-weighted mean radiance (irradiance divided by pi: constant light of 1 gives 1).
        levels: cubes [6, n_k, n_k, 3] of radiance blurred by growing lobes, the first unblurred.
        roughness: [L] roughness of each level, growing, the last 1.
        camera_axes: as `EnvironmentLight` has it.
    """

    diffuse: Tensor
    levels: tuple[Tensor, ...]
    roughness: Tensor
    camera_axes: Tensor | None = None

    def irradiance(self, engine: Engine, normals: Tensor) -> Tensor:
        """normals [N, 3] -> [N, 3] irradiance divided by pi. Gradients reach the light and the normals."""
        return engine.texture_cube((self.diffuse,), normals, torch.zeros_like(normals[:, 0]))

    def specular(self, engine: Engine, directions: Tensor, roughness: Tensor) -> Tensor:
        """Mean radiance under the lobe of `roughness` [N, 1] about `directions` [N, 3] -> [N, 3].

        Roughness is clamped to the levels' range. Gradients reach the light, the directions and the roughness.
        """
        return engine.texture_cube(self.levels, directions, self.level_of(roughness[:, 0]))

    def level_of(self, roughness: Tensor) -> Tensor:
        """[N] roughness -> [N] fractional level, linear in roughness between neighbouring levels."""
        knots = self.roughness
        roughness = torch.minimum(torch.maximum(roughness, knots[0]), knots[-1])
        below = (torch.searchsorted(knots, roughness.detach().contiguous()) - 1).clamp(0, len(knots) - 2)
        return below + (roughness - knots[below]) / (knots[below + 1] - knots[below])


class EnvironmentLight(nn.Module):
    """Light from infinitely far away, as a cube of radiance.

    The parameter is the logarithm of the radiance: it stays positive without a projection, spans the five decades between a shadow
    and the sun, and a step of Adam is a relative change wherever it happens.

    Attributes:
        camera_axes: [3, 3] a direction in a camera's own axes to the cube's, where the light turns with the camera; None where it stands.
    """

    _roughness: Tensor  # of the prefiltered levels
    camera_axes: Tensor | None

    def __init__(self, resolution: int, radiance: float = 0.5, device: torch.device | str = "cpu") -> None:
        """A grey light of constant `radiance`. `resolution`: texels along a face's edge, a power of two, 8 or more."""
        super().__init__()
        self.log_texels = nn.Parameter(torch.full((6, resolution, resolution, 3), radiance, device=device).log())
        self._prefilter = build_prefilter(resolution, device)
        self.register_buffer("_roughness", torch.tensor(self._prefilter.roughness, device=device), persistent=False)
        self.register_buffer("camera_axes", None, persistent=False)

    @staticmethod
    def from_latlong(image: Tensor, resolution: int, rotation: float = 0.0) -> EnvironmentLight:
        """The light of an equirectangular picture [H, W, 3] in Blender's orientation (+X at the centre), on its device.

        rotation: radians about Z by which Blender's Mapping node turns the directions before the picture is looked up.
        """
        light = EnvironmentLight(resolution, device=image.device)
        with torch.no_grad():
            light.log_texels.copy_(latlong_to_cube(image, resolution, rotation).clamp_min(_LEAST_RADIANCE).log())
        return light

    def turning_with_cameras(self, axes: Tensor | None = None) -> EnvironmentLight:
        """The same light, from now on fixed to whichever camera looks: an object turned on a table before a camera and lamps that stand.

        Args:
            axes: `camera_axes`; None for the panorama a viewer at the object sees who looks the way the camera looks: what lies behind the
                object is the picture's centre (+X), the camera's left is a quarter from its left edge (+Y), up is up (+Z).
        """
        axes = torch.tensor(_PANORAMA) if axes is None else axes
        self.camera_axes = axes.to(self.log_texels)
        return self

    def texels(self) -> Tensor:
        """[6, n, n, 3] linear radiance, positive."""
        return self.log_texels.exp()

    def prefiltered(self) -> PrefilteredLight:
        """What shading reads. No gradient: see `gradient_from`."""
        with torch.no_grad():
            filtered = self._on_device().apply(self.texels())
        return PrefilteredLight(filtered.diffuse, filtered.specular, self._roughness, self.camera_axes)

    def gradient_from(self, diffuse: Tensor, levels: Sequence[Tensor]) -> Tensor:
        """The gradient of `log_texels` from those of a `PrefilteredLight`'s diffuse cube and levels."""
        with torch.no_grad():
            return self._on_device().adjoint(Filtered(tuple(levels), diffuse)) * self.texels()

    def _on_device(self) -> Prefilter:
        if self._prefilter.solid_angles.device != self.log_texels.device:
            self._prefilter = self._prefilter.to(self.log_texels.device)
        return self._prefilter

    def radiance(self, engine: Engine, directions: Tensor) -> Tensor:
        """directions [N, 3] -> [N, 3] radiance seen there, unblurred."""
        return engine.texture_cube((self.texels(),), directions, torch.zeros_like(directions[:, 0]))

    def to_latlong(self, height: int, camera_to_world: Tensor | None = None) -> Tensor:
        """[height, 2 * height, 3] equirectangular picture in Blender's orientation; no gradients.

        Of a light that turns with the camera: as it stands in the world while the camera [4, 4] looks, which must be given.
        """
        turns = None
        if self.camera_axes is not None:
            assert camera_to_world is not None
            turns = self.camera_axes @ camera_to_world[:3, :3].T.to(self.camera_axes)
        return cube_to_latlong(self.texels(), height, turns)
