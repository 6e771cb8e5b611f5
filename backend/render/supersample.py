from __future__ import annotations

import torch
from torch import Tensor

from backend.dataset.views import Cameras
from backend.light.environment import PrefilteredLight
from backend.render.renderer import Material, Renderer, Surface


def render_averaged(
    renderer: Renderer,
    surface: Surface,
    material: Material,
    light: PrefilteredLight,
    cameras: Cameras,
    canvas: tuple[int, int],
    samples: int = 2,
) -> Tensor:
    """Draw B views with several samples a pixel, as a photograph has it: a pixel is the mean over its area, not its centre's colour.

    Args:
        renderer, surface, material, light: as in `Renderer.render`.
        cameras: B cameras.
        canvas: (height, width) of the result.
        samples: along each axis of a pixel.

    Returns:
        [B, H, W, 4] linear, premultiplied; no gradients.
    """
    finer = Cameras(cameras.camera_to_world, cameras.intrinsics * samples, cameras.sizes * samples)
    with torch.no_grad():
        image = renderer.render(surface, material, light, finer, (canvas[0] * samples, canvas[1] * samples)).image
        return torch.nn.functional.avg_pool2d(image.permute(0, 3, 1, 2), samples).permute(0, 2, 3, 1)
