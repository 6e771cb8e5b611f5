from __future__ import annotations

from dataclasses import dataclass

from backend.contract import ShapeStage
from backend.dataset.views import Views

_COARSE_SHARE = 0.35  # of the steps, before the grid has its final cells
_SMALLEST = 64  # an image is not halved below this many pixels


@dataclass(frozen=True)
class Phase:
    """A part of the shape stage: from step `first`, a grid of `cells` and images halved `halvings` times."""

    first: int
    cells: int
    halvings: int


def phases(settings: ShapeStage, views: Views) -> tuple[Phase, ...]:
    """Coarse to fine: the cells grow from `start_cells` to `cells` by at most half again each time, the images with them."""
    sizes = [settings.cells]
    while sizes[0] > settings.start_cells:
        sizes.insert(0, max(settings.start_cells, round(sizes[0] / 1.6)))
    coarse = len(sizes) - 1
    found = []
    for number, cells in enumerate(sizes):
        first = round(settings.steps * _COARSE_SHARE * number / coarse) if coarse else 0
        halvings = 1 if number < coarse and min(views.canvas) >= 2 * _SMALLEST else 0
        found.append(Phase(first, cells, halvings))
    return tuple(found)
