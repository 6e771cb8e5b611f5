"""A finished result read back, so that it can be drawn again."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backend.commands.device import known_engine
from backend.contract import Request, Result, parse
from backend.dataset.normalise import similarity_of
from backend.dataset.reference import read_mesh
from backend.dataset.views import Cameras, Similarity
from backend.engines.select import select_engine
from backend.light.environment import PrefilteredLight
from backend.material.channels import MaterialSample
from backend.material.textures import MaterialTextures
from backend.optimise.refine import sample_textures
from backend.render.renderer import Pixels, Renderer, Surface
from backend.render.supersample import render_averaged
from backend.render.synthetic import asset_surface, same_size


@dataclass(frozen=True)
class LoadedAsset:
    """The asset of a result on one device.

    Attributes:
        low, high: corners of its bounds in scene units.
        similarity: from scene units to the box it fills.
        surface: in that box.
        textures: its material.
        renderer: what draws it.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    similarity: Similarity
    surface: Surface
    textures: MaterialTextures
    renderer: Renderer

    def draw(self, light: PrefilteredLight, camera: Cameras) -> Tensor:
        """One camera in the asset's box -> [H, W, 4] linear, premultiplied, on the asset's device; no gradients."""
        height, width = (int(length) for length in camera.sizes[0])
        return render_averaged(self.renderer, self.surface, self._material, light, camera, (height, width))[0]

    def _material(self, pixels: Pixels) -> MaterialSample:
        return sample_textures(self.renderer.engine, self.textures, pixels)


def load_asset(result: Result, device: torch.device, engine: str) -> LoadedAsset:
    """Read a result's mesh and textures; RequestError names the file that cannot be read."""
    asset = read_mesh(result.path("mesh"))
    low, high = asset.vertices.amin(0), asset.vertices.amax(0)
    similarity = similarity_of(low, high)
    maps = same_size(asset.maps, max(asset.maps.base_color.shape[:2]))
    layers = 1 if maps.opacity is None else request_of(result).refine.layers
    return LoadedAsset(
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
        similarity=similarity,
        surface=asset_surface(asset, similarity.to_normalised(asset.vertices).to(device), layers),
        textures=MaterialTextures(maps.each(lambda values: values.to(device))),
        renderer=Renderer(select_engine(known_engine(engine), device)),
    )


def request_of(result: Result) -> Request:
    """The request a result was made from."""
    return parse(result.request)
