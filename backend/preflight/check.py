"""The check before a run: which photographs would hurt the result, and where photographs are missing.

The limits lie between what good photographs were measured to have and what planted faults have; docs/preflight.md holds the measurements.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import numpy as np
import torch

from backend.dataset.views import Views
from backend.preflight.agreement import Agreement, agreement_of
from backend.preflight.directions import directions_of, holes, neighbours
from backend.preflight.findings import Figures, Finding, Preflight
from backend.preflight.outlines import jutting
from backend.preflight.pictures import Look, looks_of
from backend.preflight.silhouettes import Silhouette

FEW = 12  # views; with fewer the hull is a sixth larger than the object
_NEIGHBOURS = 8
_LEAST_COMPARED = 4  # neighbours without which a view is compared with nobody
_BLURRED = 0.65  # of the neighbours' sharpness
_STOPS = 1.0
_CLIPPED, _CLIPPED_MORE = 0.3, 0.2  # part of the object, and so much more than its neighbours
_BESIDE, _NEAR = 4, 45.0  # neighbours that see the same hollows, as far as they look from within so many degrees
_MANY = 24  # views in a placement; the hull of fewer stays open where one looks into a hollow
_HOLED, _HOLED_MORE = 0.066, 3.0  # of the hull in one piece, and so many times what the neighbours' masks leave out


def check_views(views: Views) -> Preflight:
    """Check the views of a run.

    Args:
        views: those fitted, in the normalised box. Shrunk to what the check needs: any resolution will do.
    """
    began = time.perf_counter()
    directions = directions_of(views.cameras)
    near = neighbours(directions, _NEIGHBOURS)
    looks = looks_of(views)
    agreed = agreement_of(views)
    beside = _beside(directions, agreed.placements)
    figures = [_figures(views.names[i], looks, i, near[i], agreed.silhouettes[i]) for i in range(len(views))]
    findings = [
        finding
        for index, one in enumerate(figures)
        for finding in (
            *_faulty(one, index, agreed, beside[index]),
            *_faults(one, index, looks, near[index]),
        )
    ]
    return Preflight(
        tuple(figures),
        tuple(findings),
        holes(directions),
        len(views) if len(views) < FEW else 0,
        agreed.disordered,
        tuple(tuple(group.tolist()) for group in agreed.placements),
        _jutting(views, agreed),
        time.perf_counter() - began,
    )


def _jutting(views: Views, agreed: Agreement) -> float:
    """How exactly the outlines of the largest placement agree, those at fault left out."""
    largest = max(agreed.placements, key=len)
    sound = torch.tensor([view for view in largest.tolist() if view not in agreed.faulty])
    return jutting(views.cameras.select(sound), views.masks()[sound]) if len(sound) > 2 else float("nan")


def _beside(directions: np.ndarray, groups: list[np.ndarray]) -> list[np.ndarray]:
    """The views of the same placement that look from nearly the same side, of each view; none where they are few or far."""
    beside = [np.empty(0, np.int64)] * len(directions)
    for group in (group for group in groups if len(group) >= _MANY):
        own = directions[group]
        for view, direction, others in zip(group.tolist(), own, neighbours(own, _BESIDE)):
            if (own[others] @ direction).min() > math.cos(math.radians(_NEAR)):
                beside[view] = group[others]
    return beside


def _figures(name: str, looks: list[Look], index: int, near: np.ndarray, seen: Silhouette) -> Figures:
    look = looks[index]
    usual = _median([looks[n].sharpness for n in near])
    return Figures(
        name=name,
        sharpness=look.sharpness / usual if usual > 0 else float("nan"),
        stops=look.brightness - _median([looks[n].brightness for n in near]),
        clipped=look.clipped,
        missing=seen.missing,
        excess=seen.excess,
        conflict=seen.conflict,
    )


def _faulty(one: Figures, index: int, agreed: Agreement, beside: np.ndarray) -> Iterator[Finding]:
    """What the silhouettes have against a view. Comparisons with a NaN are false: what cannot be told is no fault."""
    seen = agreed.silhouettes[index]
    usual = _median([agreed.silhouettes[n].hole for n in beside])
    if index in agreed.faulty:
        reason = f"{100 * seen.conflict:.1f} % of a mask in conflict with the other views"
        if seen.shift is not None:
            reason += f"; the mask would fit if it lay {_in_words(seen.shift)}: the camera or the mask is out of place"
        elif seen.missing > seen.excess:
            reason += f"; {100 * seen.missing:.0f} % of the mask lies where the others see nothing"
        else:
            reason += f"; the mask leaves out {100 * seen.excess:.0f} % of what the others show"
        yield Finding(one.name, index, "silhouette", seen.conflict, reason)
    elif not agreed.disordered and seen.hole > max(_HOLED, _HOLED_MORE * usual):
        reason = f"the mask leaves out {100 * seen.hole:.0f} % of what the others show, in one piece"
        yield Finding(one.name, index, "holed", seen.hole, reason)


def _faults(one: Figures, index: int, looks: list[Look], near: np.ndarray) -> Iterator[Finding]:
    """What a photograph's own pixels have against it; see `_faulty` for NaN."""
    if one.sharpness < _BLURRED:
        reason = f"fine detail has {one.sharpness:.2f} of its neighbours' contrast"
        yield Finding(one.name, index, "blurred", one.sharpness, reason)
    if abs(one.stops) > _STOPS:
        reason = f"{abs(one.stops):.1f} stops {'brighter' if one.stops > 0 else 'darker'} than its neighbours"
        yield Finding(one.name, index, "exposure", one.stops, reason)
    usual = _median([looks[n].clipped for n in near])
    if one.clipped > _CLIPPED and one.clipped > usual + _CLIPPED_MORE:
        reason = f"{100 * one.clipped:.0f} % of the object is blown out; {100 * usual:.0f} % in its neighbours"
        yield Finding(one.name, index, "clipped", one.clipped, reason)


def _in_words(shift: tuple[float, float]) -> str:
    right, down = shift
    parts = [
        f"{100 * abs(part):.0f} % of the image further {words[part < 0]}"
        for part, words in ((right, ("right", "left")), (down, ("down", "up")))
        if abs(part) > 0.005
    ]
    return " and ".join(parts) or "where it is"


def _median(values: list[float]) -> float:
    known = [value for value in values if value == value]
    return float(np.median(known)) if len(known) >= _LEAST_COMPARED else float("nan")
