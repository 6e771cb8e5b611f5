from __future__ import annotations

import torch

from backend.dataset.views import Views
from backend.export.report import Comparison, pictured
from backend.light.environment import PrefilteredLight
from backend.loss.metrics import Lpips, encode_over_white, psnr, ssim
from backend.render.renderer import Material, Renderer, Surface
from backend.render.supersample import render_averaged


def compare_views(
    renderer: Renderer,
    surface: Surface,
    material: Material,
    light: PrefilteredLight,
    views: Views,
    lpips: Lpips | None = None,
) -> tuple[Comparison, ...]:
    """Render each view and hold it against its photograph.

    Args:
        renderer, surface, material, light: what is rendered.
        views: N views on any device: one at a time is brought to the surface's.
        lpips: perceptual distance of two [H, W, 3] pictures, or None to leave it out.

    Returns:
        N comparisons in the order of the views; those the report shows have their pictures, on the CPU.
    """
    found, shown = [], pictured(len(views))
    for index, name in enumerate(views.names):
        one = views.select(torch.tensor([index], device=views.images.device)).to(surface.vertices.device)
        height, width = one.cameras.sizes[0].tolist()
        with torch.no_grad():
            image = render_averaged(renderer, surface, material, light, one.cameras, one.canvas)[0, :height, :width]
            ours, photo = encode_over_white(image), encode_over_white(one.images[0, :height, :width].float())
        found.append(
            Comparison(
                name,
                photo.cpu() if index in shown else None,
                ours.cpu() if index in shown else None,
                psnr=float(psnr(ours, photo)),
                ssim=float(ssim(ours, photo)) if min(height, width) >= 11 else float("nan"),
                lpips=lpips(ours, photo) if lpips is not None else None,
            )
        )
    return tuple(found)
