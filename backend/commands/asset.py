"""A finished result read back, so that it can be drawn again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from backend.commands.device import known_engine
from backend.contract import Request, RequestError, Result, parse
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
        return render_averaged(self.renderer, self.surface, self.material, light, camera, (height, width))[0]

    def material(self, pixels: Pixels) -> MaterialSample:
        """The textures at the pixels."""
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


def cameras_of(result: Result, split: str) -> tuple[list[str], Cameras]:
    """Names and cameras of a result's 'train' or 'test' views, or of all where there are none of these; in scene units.

    Raises:
        RequestError: cameras.json cannot be read.
    """
    path = result.path("cameras")
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["cameras"]
        entries = [entry for entry in entries if entry["split"] == split] or entries
        rows = [[entry[key] for key in ("fx", "fy", "cx", "cy")] for entry in entries]
        sizes = [(entry["height"], entry["width"]) for entry in entries]
        return [entry["name"] for entry in entries], cameras_from(
            [entry["camera_to_world"] for entry in entries], rows, sizes
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{path} cannot be read: {error!r}", code="result-unreadable") from error


def cameras_from(poses: Any, intrinsics: Any, sizes: Any) -> Cameras:
    """Nested lists to cameras: [N, 4, 4], [N, 4] fx fy cx cy, [N, 2] height and width."""
    return Cameras(
        torch.tensor(poses, dtype=torch.float32),
        torch.tensor(intrinsics, dtype=torch.float32),
        torch.tensor(sizes, dtype=torch.int64),
    )
