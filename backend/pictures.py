"""The pictures of a running fit, as a viewer shows them."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.loss.metrics import encode_srgb
from backend.render.relief import perturb_normal
from backend.render.renderer import Frame
from backend.render.rows import spread


def maps_strip(frame: Frame) -> Tensor:
    """[H, 4 W, 3] in [0, 1]: what the first image of a frame shows of the material, side by side, over white.

    Base colour as sRGB, roughness and metallic as grey, and the world's normal with its relief, its -1 to 1 as 0 to 1.
    """
    pixels, sample = frame.pixels, frame.sample
    if sample.normal is not None and pixels.tangent is not None:
        normal = perturb_normal(sample.normal, pixels.tangent, pixels.normal)
    else:
        normal = torch.nn.functional.normalize(pixels.normal, dim=-1)
    maps = [encode_srgb(sample.base_color), sample.roughness, sample.metallic, 0.5 + 0.5 * normal]
    batch, height, width = frame.image.shape[:3]
    rows = torch.stack([values.expand(-1, 3) for values in maps], 1) - 1.0  # 0 where nothing is: white
    nearest = pixels.index.clamp(max=batch * height * width)  # of several layers the first
    strip = spread(rows.reshape(len(rows), 12), nearest, batch * height * width) + 1.0
    first = strip.view(batch, height, width, 4, 3)[0]
    return first.permute(0, 2, 1, 3).reshape(height, 4 * width, 3).clamp(0.0, 1.0)
