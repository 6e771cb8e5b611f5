"""Which of a capture's photographs take part, by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from backend.contract import RequestError
from backend.dataset.posed import listed


def in_sequence(names: Sequence[str]) -> list[int]:
    """Places of the names in the order that they count up: 9 before 10."""
    keys = [[int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)] for name in names]
    return sorted(range(len(names)), key=keys.__getitem__)


def chosen(names: Sequence[str], only: str) -> set[int]:
    """Places of the names that a choice means.

    Args:
        names: of all photographs, such as images/IMG_9669.jpg.
        only: names, patterns (images/IMG_96*) and spans in counting order, both ends included (IMG_9669.jpg..IMG_9709.jpg), with commas
            between them. A name without its folder or without its ending will do.

    Raises:
        RequestError: a part of the choice that means none.
    """
    found: set[int] = set()
    for part in filter(None, (part.strip() for part in only.split(","))):
        first, span, last = (word.strip() for word in part.partition(".."))
        if span:
            order = in_sequence(names)
            ends = [[place for place, n in enumerate(order) if _means(end, names[n])] for end in (first, last)]
            meant = order[ends[0][0] : ends[1][-1] + 1] if all(ends) else []
        else:
            meant = [n for n, name in enumerate(names) if _means(part, name)]
        if not meant:
            raise RequestError(
                f"views.only: {part!r} means none of the {len(names)} photographs ({listed(names)})",
                hint="names, patterns with * or ?, or first..last in counting order; commas between them",
                code="views-only",
            )
        found |= set(meant)
    return found


def _means(pattern: str, name: str) -> bool:
    path = PurePosixPath(name)
    return any(fnmatchcase(word, pattern) for word in (name, path.name, path.stem, str(path.with_suffix(""))))
