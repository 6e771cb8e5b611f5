"""Where the cameras of held-out photographs really stood, found by the finished asset: they err as the fitted ones did before their fit."""

from __future__ import annotations

from dataclasses import replace

import torch

from backend.dataset.views import Views
from backend.light.environment import PrefilteredLight
from backend.loss.photometric import photometric
from backend.optimise.adam import FINAL_RATE, Adam
from backend.optimise.corrections import Corrections
from backend.optimise.schedule import exponential
from backend.render.renderer import Material, Renderer, Surface

_ROUNDS = 60  # times each photograph is looked at
_AT_ONCE = 4


@torch.enable_grad()
def aligned(
    renderer: Renderer, surface: Surface, material: Material, light: PrefilteredLight, views: Views, rate: float
) -> Views:
    """Views with their cameras moved so that the asset, which stands fast, comes nearest to their photographs.

    Without it a fit that moved its own cameras is judged by how wrong the others still are (BARF, Lin et al. 2021, judges so).

    Args:
        renderer, surface, material, light: the asset; nothing of it changes.
        views: N views on the CPU, where their images stay.
        rate: Adam's step at the start: radians, and half box sides.

    Returns:
        The views with their N cameras fitted.
    """
    device = surface.vertices.device
    reached = views.within_reach(device)
    corrections = Corrections(reached.cameras, poses=True, shape_known=True)
    optimiser = Adam(corrections.groups(0.0, rate), eps=1e-15)
    groups = torch.arange(len(views), device=device).split(_AT_ONCE)
    steps = _ROUNDS * len(groups)
    for step in range(steps):
        index = groups[step % len(groups)]
        image = renderer.render(
            surface, material, light, corrections.cameras(reached.cameras, index), views.canvas
        ).image
        compared = photometric(renderer.engine, image, reached, index, index.new_full((1,), step).int())
        optimiser.zero_grad()
        loss = compared.color + compared.mask_squared
        torch.autograd.backward(loss, inputs=[corrections.motions, corrections.log_focal])
        optimiser.step(torch.tensor(exponential(step / steps, FINAL_RATE), device=device))
    return replace(views, cameras=corrections.corrected(views.cameras))
