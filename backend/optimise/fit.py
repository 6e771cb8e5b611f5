from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor


class Fit(Protocol):
    """One stage's optimisation: it takes a step when asked, and can be saved and put back between any two steps.

    Attributes:
        name: the stage, as events call it.
        steps: how many there are.
        step: the next one, 0 at the start.
    """

    name: str
    steps: int
    step: int

    def advance(self) -> Mapping[str, Tensor]:
        """Take one step; returns the loss terms, unweighted and detached."""

    def release(self) -> None:
        """Give back the memory that only further steps would need; they may still come."""

    def state(self) -> dict[str, Any]:
        """Everything `restore` needs to go on bit for bit (on the CPU)."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""


def run(fit: Fit, on_step: Callable[[Fit, Mapping[str, Tensor]], bool]) -> bool:
    """Run a stage to its end, or until `on_step` returns False. Opens no file and reads no global.

    Returns:
        True when the stage reached its end.
    """
    while fit.step < fit.steps:
        terms = fit.advance()
        fit.step += 1
        if not on_step(fit, terms):
            return False
    return True


def weighted(terms: Mapping[str, Tensor], weights: Mapping[str, Tensor | None]) -> Tensor:
    """The sum of the terms times their weights; None leaves a term out, and each term must have one or the other (KeyError)."""
    counted = [weight * term for name, term in terms.items() if (weight := weights[name]) is not None]
    return torch.stack(counted).sum() if counted else next(iter(terms.values())).new_zeros(())
