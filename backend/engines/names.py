"""The engines' names, and what is known of each before any is loaded. Importing this imports neither torch nor an engine."""

from __future__ import annotations

import os
from dataclasses import dataclass

PERMISSION = "UNRENDER_PERMIT_RESEARCH"
"""Environment variable; set to 1, 'auto' may take engines whose licence allows research and evaluation only."""


@dataclass(frozen=True)
class EngineChoice:
    """One name that `--engine` takes.

    Attributes:
        name: that name.
        research_only: whether a licence restricts its use to research and evaluation.
        step_ratio: how long a whole step of a reconstruction takes, over the built-in engine's in the same run; None while nobody has
            measured it. docs/performance.md says where and how.
    """

    name: str
    research_only: bool
    step_ratio: float | None


CHOICES = (
    EngineChoice("builtin", research_only=False, step_ratio=1.0),
    EngineChoice("nvdiffrast", research_only=True, step_ratio=None),
    EngineChoice("tinycudann", research_only=False, step_ratio=None),
    EngineChoice("nvdiffrast+tinycudann", research_only=True, step_ratio=None),
)
KNOWN = ("auto", *(choice.name for choice in CHOICES))


def research_permitted() -> bool:
    """Whether the user has permitted engines for research and evaluation only; see `PERMISSION`."""
    return os.environ.get(PERMISSION, "") == "1"


def preferred(permitted: bool, choices: tuple[EngineChoice, ...] = CHOICES) -> tuple[str, ...]:
    """What 'auto' tries on a GPU, in this order: every permitted engine that is measured faster than the built-in, then the built-in."""
    faster = [
        c for c in choices if c.step_ratio is not None and c.step_ratio < 1.0 and (permitted or not c.research_only)
    ]
    return (*(c.name for c in sorted(faster, key=lambda c: c.step_ratio or 1.0)), "builtin")


def why_not(choice: EngineChoice, permitted: bool) -> str:
    """Why 'auto' leaves an engine alone; '' where it takes it if it loads."""
    if choice.step_ratio is None:
        return "not measured"
    if choice.step_ratio >= 1.0:
        return f"a step takes {choice.step_ratio:.2f} times as long"
    return f"not permitted: {PERMISSION}=1 permits it" if choice.research_only and not permitted else ""
