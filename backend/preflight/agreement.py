"""What the silhouettes of a capture say: how each agrees with the others of its placement, and which are at fault."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from backend.dataset.choosing import in_sequence
from backend.dataset.views import Views
from backend.preflight.cells import Cells
from backend.preflight.placements import DISSENT, agree, placements
from backend.preflight.silhouettes import Silhouette, judge


@dataclass(frozen=True)
class Agreement:
    """Each view among those of its own placement.

    Attributes:
        silhouettes: one of each view.
        faulty: places of the views whose mask or camera is wrong.
        disordered: so many contradict one another that the rest means little.
        placements: the views of each stretch of the sequence that shows the object in one state, in order.
    """

    silhouettes: list[Silhouette]
    faulty: set[int]
    disordered: bool
    placements: list[np.ndarray]


def agreement_of(views: Views) -> Agreement:
    """Judge the silhouettes of views in the normalised box."""
    cells = Cells.of(views.cameras, views.masks())
    silhouettes, faulty, disordered = judge(cells)
    sequence = np.array(in_sequence(views.names))
    trusted = sequence[~np.isin(sequence, faulty)]
    if agree(cells, trusted):
        return Agreement(silhouettes, set(faulty), disordered, [sequence])
    found = placements(Cells.of(views.cameras, views.masks(), DISSENT), trusted)
    if len(found) == 1:
        return Agreement(silhouettes, set(faulty), disordered, [sequence])
    cuts = [int(np.flatnonzero(sequence == group[0])[0]) for group in found[1:]]
    groups = np.split(sequence, cuts)  # those at fault stay where they were taken
    faulty, disordered = [], False
    for group in groups:
        chosen = torch.from_numpy(group)
        judged, wrong, unclear = judge(Cells.of(views.cameras.select(chosen), views.masks()[chosen]))
        for view, silhouette in zip(group.tolist(), judged):
            silhouettes[view] = silhouette
        faulty += group[wrong].tolist()
        disordered |= unclear
    return Agreement(silhouettes, set(faulty), disordered, groups)
