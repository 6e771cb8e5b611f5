"""The built-in engine with nvdiffrast's rasterisation, interpolation and 2D texture in place of its own (CUDA only)."""

from __future__ import annotations

import importlib

import torch
from torch import Tensor

from backend.engines.builtin.engine import BuiltinEngine
from backend.engines.interface import Raster

_MOST_FACES = 1 << 24  # ids travel as float32
_LARGEST = 2048  # pixels a side of its CUDA rasteriser


class NvdiffrastEngine(BuiltinEngine):
    """`interface.Engine` on a CUDA device; nvdiffrast's licence allows research and evaluation only.

    Everything it lacks or means otherwise is the built-in's: antialiasing (which walks to the silhouette), seamless cubes over levels
    of any size, peeled layers, images whose sides are no multiple of 8 or exceed 2048, mip chains of sides that are no power of two.

    Raises:
        ImportError: nvdiffrast is not installed.
    """

    name = "nvdiffrast"
    recordable = False

    def __init__(self, device: torch.device, threads: int | None = None) -> None:
        super().__init__(device, threads)
        self.library = importlib.import_module("nvdiffrast.torch")
        self.context = self.library.RasterizeCudaContext(device=device)

    def rasterize(
        self,
        positions: Tensor,
        faces: Tensor,
        size: tuple[int, int],
        previous: Raster | None = None,
        derivatives: bool = False,
    ) -> Raster:
        """See `Engine.rasterize`. Waits for the device, hence cannot be captured in a CUDA graph."""
        if previous is not None and previous.depth_key is None:  # only first layers come without a key
            previous = super().rasterize(positions, faces, size)
        fits = all(side % 8 == 0 and 0 < side <= _LARGEST for side in size) and 0 < len(faces) < _MOST_FACES
        if previous is not None or not fits:
            return super().rasterize(positions, faces, size, previous, derivatives)
        seen, slopes = self.library.rasterize(
            self.context, positions.contiguous(), faces.contiguous(), resolution=list(size), grad_db=False
        )
        triangle = seen[..., 3].detach().to(torch.int32) - 1
        depth = _depth(positions, faces, seen, triangle)
        covered = (triangle >= 0).to(seen.dtype)
        barycentric = torch.cat((seen[..., :2], torch.stack((depth, covered), -1)), -1)
        return Raster(barycentric, triangle, slopes.detach() if derivatives else None, None)

    def interpolate(self, attributes: Tensor, faces: Tensor, barycentric: Tensor, triangle: Tensor) -> Tensor:
        """See `Engine.interpolate`; a list of pixels is given as one row of an image."""
        if triangle.numel() == 0 or not 0 < len(faces) < _MOST_FACES:
            return super().interpolate(attributes, faces, barycentric, triangle)
        seen = torch.cat((barycentric[..., :3], (triangle + 1).to(barycentric.dtype)[..., None]), -1)
        values, _ = self.library.interpolate(
            attributes.contiguous()[None], seen.reshape(1, 1, -1, 4).contiguous(), faces.contiguous()
        )
        return values.reshape(*triangle.shape, attributes.shape[1])

    def texture_2d(self, texture: Tensor, uv: Tensor, level: Tensor | None = None, wrap: bool = False) -> Tensor:
        """See `Engine.texture_2d`; without footprints its level bias is the level itself."""
        halves = all(side & (side - 1) == 0 for side in texture.shape[:2])
        if uv.shape[0] == 0 or (level is not None and not halves):
            return super().texture_2d(texture, uv, level, wrap)
        values = self.library.texture(
            texture.contiguous()[None],
            uv.contiguous()[None, None],
            mip_level_bias=None if level is None else level.contiguous()[None, None],
            filter_mode="linear" if level is None else "linear-mipmap-linear",
            boundary_mode="wrap" if wrap else "clamp",
        )
        return values[0, 0]


def _depth(positions: Tensor, faces: Tensor, seen: Tensor, triangle: Tensor) -> Tensor:
    """[B, H, W] the library's z/w; where positions take gradients, made anew from u and v so that these reach z and w."""
    if not (torch.is_grad_enabled() and positions.requires_grad):
        return seen[..., 2]
    image = torch.arange(len(positions), device=positions.device)[:, None, None, None]
    corners = positions[image, faces.long()[triangle.clamp(min=0).long()]][..., 2:]  # [B, H, W, 3, 2] z, w
    u, v = seen[..., 0], seen[..., 1]
    z, w = (torch.stack((u, v, 1.0 - u - v), -1)[..., None] * corners).sum(-2).unbind(-1)
    covered = triangle >= 0
    return torch.where(covered, z / torch.where(covered, w, 1.0), 0.0)
