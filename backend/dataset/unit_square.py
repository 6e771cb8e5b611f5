from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.dataset.mesh_file import SurfaceMaps, TexturedMesh


def into_unit_square(asset: TexturedMesh) -> TexturedMesh:
    """The same mesh with texture coordinates in [0, 1]: moved and shrunk alike in u and v, its maps drawn anew where they now belong.

    Coordinates beyond [0, 1] repeat a texture. Each place of it that they name becomes a place of its own, as a fitted texture wants it.
    """
    low, high = asset.uvs.amin(0), asset.uvs.amax(0)
    span = float((high - low).max().clamp(min=1e-9))
    maps = {name: None if values is None else _redrawn(values, low, span) for name, values in vars(asset.maps).items()}
    return replace(asset, uvs=(asset.uvs - low) / span, maps=SurfaceMaps(**maps))  # type: ignore[arg-type]


def _redrawn(texture: Tensor, low: Tensor, span: float) -> Tensor:
    """[H, W, C] -> the same size: at (u, v) what the repeated texture shows at low + span (u, v), bilinear."""
    height, width = texture.shape[:2]
    v, u = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij")
    place = torch.remainder(low + span * torch.stack((u, v), -1), 1.0)
    around = F.pad(texture.permute(2, 0, 1)[None], (1, 1, 1, 1), mode="circular")
    size = torch.tensor([width, height])
    where = 2.0 * (place * size + 1.0) / (size + 2) - 1.0
    return F.grid_sample(around, where[None], align_corners=False)[0].permute(1, 2, 0).contiguous()
