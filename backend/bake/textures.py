from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from backend.bake.padding import dilate
from backend.bake.texels import Texels
from backend.bake.unseen import fill_unseen
from backend.geometry.mesh import Mesh
from backend.material.channels import MaterialMaps, flat_normal, unit_normal

BATCH = 1 << 18  # points a call; keeps a field's activations within a few hundred MB


def bake(function: Callable[[Tensor], Tensor], texels: Texels, batch: int = BATCH) -> Tensor:
    """Evaluate a function of space at a texture's texels.

    Args:
        function: points [N, 3] -> [N, C].
        texels: where the texels lie.
        batch: most points given to one call.

    Returns:
        [size, size, C], dilated: every texel has a value. No gradients.
    """
    with torch.no_grad():
        parts = [function(points) for points in texels.positions.split(batch)]
    return dilate(texels.scatter(torch.cat(parts)), texels.mask())


def finish_maps(maps: MaterialMaps, mesh: Mesh, texels: Texels, seen: Tensor) -> MaterialMaps:
    """Make fitted maps fit for export: what no view saw is continued from what was seen, and what is no surface is dilated.

    Args:
        maps: [size, size, C] each, as fitted.
        mesh: with texture coordinates; the surface over which values are continued.
        texels: its texels in these maps.
        seen: [M] bool, from `unseen.seen_texels`.

    Returns:
        Maps of the same size. Unseen texels have a flat normal: a bend cannot be continued across charts, whose frames differ.
    """
    opacity = () if maps.opacity is None else (maps.opacity,)
    stacked = torch.cat([maps.base_color, maps.roughness, maps.metallic, *opacity], -1)
    values = fill_unseen(texels.gather(stacked), seen, texels, mesh)
    normal = texels.gather(maps.normal)
    normal = torch.where(seen[:, None], normal, flat_normal(normal))
    mask = texels.mask()
    padded = dilate(texels.scatter(torch.cat([normal, values], 1)), mask)
    normal, color, roughness, metallic, *opacity = padded.split([3, 3, 1, 1, *(1 for _ in opacity)], -1)
    finished = MaterialMaps(color, roughness, metallic, unit_normal(normal), *opacity)
    return finished.each(torch.Tensor.contiguous)
