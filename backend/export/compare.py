from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from backend.dataset.views import Views
from backend.export.report_views import Comparison, pictured
from backend.light.environment import PrefilteredLight
from backend.loss.judging import best_gains, judge
from backend.loss.metrics import Lpips, encode_over_white
from backend.render.renderer import Material, Renderer, Surface
from backend.render.supersample import render_averaged


def compare_views(
    renderer: Renderer,
    surface: Surface,
    material: Material,
    light: PrefilteredLight,
    views: Views,
    lpips: Lpips | None = None,
    gains: Tensor | Literal["best"] | None = None,
) -> tuple[Comparison, ...]:
    """Render each view and hold it against its photograph.

    Args:
        renderer, surface, material, light: what is rendered.
        views: N views on any device: one at a time is brought to the surface's.
        lpips: perceptual distance of two [H, W, 3] pictures, or None to leave it out.
        gains: [N, 3] what each photograph's exposure multiplies its render by, or those that fit each best, or None where none was fitted.

    Returns:
        N comparisons in the order of the views; those the report shows have their pictures, on the CPU.
    """
    found, shown = [], pictured(len(views))
    for index, name in enumerate(views.names):
        one = views.select(torch.tensor([index], device=views.images.device)).to(surface.vertices.device)
        height, width = one.cameras.sizes[0].tolist()
        with torch.no_grad():
            image = render_averaged(renderer, surface, material, light, one.cameras, one.canvas)[0, :height, :width]
            photo = one.images[0, :height, :width].float()
            figures = judge(image, photo, lpips, _own(gains, index, image, photo))
            theirs, ours = (encode_over_white(picture).cpu() if index in shown else None for picture in (photo, image))
        found.append(Comparison(name, theirs, ours, figures))
    return tuple(found)


def _own(gains: Tensor | Literal["best"] | None, index: int, image: Tensor, photo: Tensor) -> Tensor | None:
    """[3] the gains of one of the views."""
    if gains is None:
        return None
    return gains[index].to(image) if isinstance(gains, Tensor) else best_gains(image, photo)
