from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

FINAL_RATE = 0.1  # what the learning rates have fallen to at the end of a stage
_KEEP_FIRST, _KEEP_SECOND = 0.9, 0.99  # part of the moments that is kept each step


@dataclass(frozen=True)
class Group:
    """Parameters that share a learning rate, `rate` at the stage's start."""

    parameters: tuple[Tensor, ...]
    rate: float

    @staticmethod
    def of(parameters: Iterable[Tensor], rate: float) -> Group:
        """A group of any iterable."""
        return Group(tuple(parameters), rate)


class Adam:
    """Adam (Kingma and Ba 2015) whose step can be recorded as a CUDA graph, over torch's fused kernels.

    `torch.optim.Adam` does the same, but importing what its class imports takes seconds before the first step.

    Args:
        groups: all parameters on one device.
        eps: Adam's own.
    """

    def __init__(self, groups: Sequence[Group], eps: float) -> None:
        self.groups, self._eps = tuple(groups), eps
        self._first = [[torch.zeros_like(p) for p in group.parameters] for group in self.groups]
        self._second = [[torch.zeros_like(p) for p in group.parameters] for group in self.groups]
        self._steps = [[p.new_zeros(()) for p in group.parameters] for group in self.groups]

    @torch.no_grad()
    def step(self, factor: Tensor) -> None:
        """Move what has a gradient, by the groups' rates times `factor` (scalar on the parameters' device)."""
        on_cpu = factor.device.type == "cpu"
        for group, first, second, steps in zip(self.groups, self._first, self._second, self._steps, strict=True):
            held = [index for index, parameter in enumerate(group.parameters) if parameter.grad is not None]
            if not held:
                continue
            adam(
                [group.parameters[index] for index in held],
                [gradient for index in held if (gradient := group.parameters[index].grad) is not None],
                [first[index] for index in held],
                [second[index] for index in held],
                [],
                [steps[index] for index in held],
                fused=True,
                capturable=not on_cpu,
                amsgrad=False,
                has_complex=False,
                beta1=_KEEP_FIRST,
                beta2=_KEEP_SECOND,
                lr=group.rate * float(factor) if on_cpu else group.rate * factor,
                weight_decay=0.0,
                eps=self._eps,
                maximize=False,
            )

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for group in self.groups:
            for parameter in group.parameters:
                parameter.grad = None

    def state(self) -> dict[str, Any]:
        """Everything `restore` needs."""
        return {"first": self._first, "second": self._second, "steps": self._steps}

    @torch.no_grad()
    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave, in place."""
        for name, own in self.state().items():
            for mine, theirs in zip(own, state[name], strict=True):
                for target, value in zip(mine, theirs, strict=True):
                    target.copy_(value)
