"""The check before a run: which photographs would hurt the result, and where photographs are missing.

The limits lie between what good photographs were measured to have and what planted faults have; docs/preflight.md holds the measurements.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from backend.dataset.views import Views
from backend.preflight.directions import directions_of, holes, neighbours
from backend.preflight.findings import Figures, Finding, Preflight
from backend.preflight.pictures import Look, looks_of
from backend.preflight.silhouettes import Silhouette, judge

FEW = 12  # views; with fewer the hull is a sixth larger than the object
_NEIGHBOURS = 8
_LEAST_COMPARED = 4  # neighbours without which a view is compared with nobody
_BLURRED = 0.65  # of the neighbours' sharpness
_STOPS = 1.0
_CLIPPED, _CLIPPED_MORE = 0.3, 0.2  # part of the object, and so much more than its neighbours
_MOST_DROPPED = 1 / 3  # of the views; more of them are no exception


def check_views(views: Views) -> Preflight:
    """Check the views of a run.

    Args:
        views: those fitted, in the normalised box. Shrunk to what the check needs: any resolution will do.
    """
    began = time.perf_counter()
    directions = directions_of(views.cameras)
    near = neighbours(directions, _NEIGHBOURS)
    looks = looks_of(views)
    silhouettes, faulty, disordered = judge(views.cameras, views.masks())
    figures = [_figures(views.names[i], looks, i, near[i], silhouettes[i]) for i in range(len(views))]
    findings = [
        finding
        for index, one in enumerate(figures)
        for finding in _faults(one, index, looks, near[index], silhouettes[index], index in faulty)
    ]
    return Preflight(
        tuple(figures),
        tuple(findings),
        holes(directions),
        len(views) if len(views) < FEW else 0,
        disordered,
        time.perf_counter() - began,
    )


def without_bad(views: Views, found: Preflight) -> tuple[Views, Preflight]:
    """The views without those that hurt, and the findings with their names; all of them where too many hurt to be exceptions."""
    bad = set(found.hurting)
    if not bad or len(bad) > _MOST_DROPPED * len(views) or len(views) - len(bad) < 2:
        return views, found
    kept = torch.tensor([index for index in range(len(views)) if index not in bad])
    return views.select(kept), replace(found, dropped=tuple(views.names[index] for index in sorted(bad)))


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


def _faults(
    one: Figures, index: int, looks: list[Look], near: np.ndarray, seen: Silhouette, faulty: bool
) -> Iterator[Finding]:
    """Comparisons with a NaN are false: what cannot be told is no fault."""
    if faulty:
        reason = f"{100 * seen.conflict:.1f} % of a mask in conflict with the other views"
        if seen.shift is not None:
            reason += f"; the mask would fit if it lay {_in_words(seen.shift)}: the camera or the mask is out of place"
        elif seen.missing > seen.excess:
            reason += f"; {100 * seen.missing:.0f} % of the mask lies where the others see nothing"
        else:
            reason += f"; the mask leaves out {100 * seen.excess:.0f} % of what the others show"
        yield Finding(one.name, index, "silhouette", seen.conflict, reason)
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
