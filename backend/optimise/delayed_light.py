from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from backend.light.environment import EnvironmentLight, PrefilteredLight
from backend.loss.regularisers import light_whiteness
from backend.optimise.adam import Adam, Group
from backend.optimise.recorded import Recorded
from backend.optimise.team import Team


class DelayedLight:
    """A light that is prefiltered once for several steps, and fitted with the mean of their gradients.

    The prefilter costs as much as the rest of a step, and the light can do with fewer, larger steps than shape and materials: it takes one
    step for `every` of theirs, with a learning rate as many times larger.

    Args:
        light: what is fitted.
        every: steps between two prefilterings, 1 for each step.
        locked: the light has no gradient and is prefiltered once.
        rate: Adam's step in one step of the fit.
        whiteness: weight of `light_whiteness` in the light's own loss.
        team: whose gradients are averaged.

    Attributes:
        shown: the prefiltered light as the steps see it: tensors that stay where they are, leaves that gather the gradients.
        whiteness: the term as it was when the light last moved.
    """

    def __init__(
        self, light: EnvironmentLight, every: int, locked: bool, rate: float, whiteness: float, team: Team
    ) -> None:
        self.light, self.every, self.locked, self._team = light, every, locked, team
        self._weight = whiteness
        device = light.log_texels.device
        if locked:
            light.requires_grad_(False)
        with torch.no_grad():
            first = light.prefiltered()
            self.whiteness = light_whiteness(light.texels())
        leaves = [tensor.detach().clone().requires_grad_(not locked) for tensor in _tensors(first)]
        if not locked:
            for leaf in leaves:
                leaf.grad = torch.zeros_like(leaf)
        self.shown = PrefilteredLight(leaves[0], tuple(leaves[1:]), first.roughness, first.camera_axes)
        self._factor = torch.ones((), device=device)
        self._optimiser = Adam([Group((light.log_texels,), rate * every)], eps=1e-15)
        self._move = Recorded(self._moved, device)

    def after_step(self, step: int, factor: Tensor) -> None:
        """Move the light if it is due after this step; `factor` is what the learning rates have fallen to."""
        if not self.locked and (step + 1) % self.every == 0:
            self._factor.copy_(factor)
            self._move()

    def _moved(self) -> dict[str, Tensor]:
        """One step of the light, and what it looks like prefiltered; recordable."""
        leaves = _tensors(self.shown)
        gathered = [leaf.grad for leaf in leaves if leaf.grad is not None]
        self._team.average_(gathered)
        diffuse, *levels = (gradient / self.every for gradient in gathered)
        self._optimiser.zero_grad()
        whiteness = light_whiteness(self.light.texels())
        (self._weight * whiteness).backward()
        texels = self.light.log_texels
        assert texels.grad is not None
        texels.grad += self.light.gradient_from(diffuse, levels)
        self._optimiser.step(self._factor)
        with torch.no_grad():
            self.whiteness.copy_(whiteness)
            for leaf, fresh in zip(leaves, _tensors(self.light.prefiltered()), strict=True):
                leaf.copy_(fresh)
                assert leaf.grad is not None
                leaf.grad.zero_()
        return {}

    def release(self) -> None:
        """Give back the memory of what was recorded; another step records it again."""
        self._move.forget()

    def state(self) -> dict[str, object]:
        """The optimiser's, and the gradients gathered since the light last moved; the prefiltered light itself follows from the light."""
        gathered = [leaf.grad.clone() for leaf in _tensors(self.shown) if leaf.grad is not None]
        return {"gathered": gathered, "optimiser": self._optimiser.state(), "whiteness": self.whiteness.clone()}

    def restore(self, state: dict[str, object]) -> None:
        """Take up what `state` gave, after the light itself was restored."""
        gathered = state["gathered"]
        assert isinstance(gathered, Sequence)
        self._optimiser.restore(state["optimiser"])  # type: ignore[arg-type]
        self._move.forget()
        with torch.no_grad():
            self.whiteness.copy_(state["whiteness"])  # type: ignore[arg-type]
            for leaf, fresh in zip(_tensors(self.shown), _tensors(self.light.prefiltered()), strict=True):
                leaf.copy_(fresh)
            for leaf, gradient in zip(_tensors(self.shown), gathered, strict=False):
                assert leaf.grad is not None
                leaf.grad.copy_(gradient)


def _tensors(light: PrefilteredLight) -> list[Tensor]:
    return [light.diffuse, *light.levels]
