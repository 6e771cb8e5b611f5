from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from backend.light.environment import EnvironmentLight, PrefilteredLight


class DelayedLight:
    """A light that is prefiltered once for several steps, and fitted with the mean of their gradients.

    The prefilter costs as much as the rest of a step, and the light can do with fewer, larger steps than shape and materials: its learning
    rate is to be multiplied by `every`.

    Args:
        light: what is prefiltered.
        every: steps between two prefilterings, 1 for each step.
        locked: the light has no gradient and is prefiltered once.
    """

    def __init__(self, light: EnvironmentLight, every: int, locked: bool) -> None:
        self.light, self.every, self.locked = light, every, locked
        if locked:
            light.requires_grad_(False)
        self._source: PrefilteredLight | None = None  # joined to the light's parameter
        self._shown: PrefilteredLight | None = None  # what the steps see
        self._carried: list[Tensor] = []

    def prefiltered(self) -> PrefilteredLight:
        """The light as this step sees it."""
        if self._shown is None:
            self._source = self.light.prefiltered()
            leaves = [tensor.detach().requires_grad_(not self.locked) for tensor in _tensors(self._source)]
            for leaf, gradient in zip(leaves, self._carried, strict=False):
                leaf.grad = gradient.clone()
            self._carried = []
            self._shown = PrefilteredLight(leaves[0], tuple(leaves[1:]), self._source.roughness)
        return self._shown

    def due(self, step: int) -> bool:
        """Whether the light moves at the end of this step."""
        return not self.locked and (step + 1) % self.every == 0

    def hand_back(self, step: int) -> None:
        """After a step's backward pass: where the light is due, give its parameter the mean gradient and forget what was prefiltered."""
        if not self.due(step):
            return
        assert self._source is not None
        assert self._shown is not None
        pairs = [
            (a, b.grad / self.every)
            for a, b in zip(_tensors(self._source), _tensors(self._shown))
            if b.grad is not None
        ]
        if pairs:
            torch.autograd.backward([a for a, _ in pairs], [b for _, b in pairs])
        self._source = self._shown = None

    def state(self) -> list[Tensor]:
        """The gradients gathered since the light last moved; the prefiltered light itself follows from the light."""
        if self._shown is None:
            return [gradient.clone() for gradient in self._carried]
        return [torch.zeros_like(t) if t.grad is None else t.grad.clone() for t in _tensors(self._shown)]

    def restore(self, gradients: Sequence[Tensor]) -> None:
        """Take up what `state` gave, after the light itself was restored."""
        self._source = self._shown = None
        self._carried = list(gradients)


def _tensors(light: PrefilteredLight) -> list[Tensor]:
    return [light.diffuse, *light.levels]
