"""The views without the photographs that a check found to hurt."""

from __future__ import annotations

from dataclasses import replace

import torch

from backend.dataset.choosing import in_sequence
from backend.dataset.views import Dataset, Views
from backend.preflight.findings import Preflight


def without_bad(dataset: Dataset, found: Preflight) -> tuple[Dataset, Preflight]:
    """A dataset without the photographs that hurt, and the findings with their names.

    Held-out photographs of another placement than the one that is kept go as well: they show another state of the object. They belong where
    the fitted photographs before and after them in the sequence do; where these differ, it cannot be told, and they go too.

    Args:
        dataset: the views that were checked, and those held out.
        found: what `check_views` says of the first.
    """
    dropped = sorted(set(range(len(dataset.train))) - set(found.kept))
    if not dropped:
        return dataset, found
    names = [dataset.train.names[index] for index in dropped]
    test = dataset.test
    if test is not None:
        judged = _judged(dataset.train, test, found)
        names += [name for index, name in enumerate(test.names) if index not in judged]
        test = test.select(torch.tensor(judged)) if judged else None
    train = dataset.train.select(torch.tensor(found.kept))
    return replace(dataset, train=train, test=test), replace(found, dropped=tuple(names))


def _judged(train: Views, test: Views, found: Preflight) -> list[int]:
    """The held-out views that show what is kept."""
    placement = {view: number for number, group in enumerate(found.placements) for view in group}
    kept = placement.get(found.kept[0])
    count = len(train)
    sequence = in_sequence((*train.names, *test.names))
    before: int | None = None
    waiting: list[int] = []  # held out since the last fitted view
    judged: list[int] = []
    for view in [*sequence, None]:
        if view is not None and view >= count:
            waiting.append(view - count)
            continue
        here = None if view is None else placement.get(view)
        if {before, here} - {None} <= {kept}:
            judged += waiting
        before, waiting = here, []
    return sorted(judged)
