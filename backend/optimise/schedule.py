from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


def ramp(step: int, start: int, length: int) -> float:
    """0 before `start`, rising linearly to 1 over `length` steps."""
    return min(1.0, max(0.0, (step - start) / max(1, length)))


def falling(first: float, last: float, fraction: float) -> float:
    """From `first` at fraction 0 linearly to `last` at fraction 1, constant outside."""
    return first + (last - first) * min(1.0, max(0.0, fraction))


def exponential(fraction: float, end: float) -> float:
    """A learning rate's factor: 1 at fraction 0, `end` at fraction 1, geometric between."""
    return float(end ** min(1.0, max(0.0, fraction)))


class Timetable:
    """The numbers that change with the step, worked out beforehand and kept on the device, where a recorded step looks them up.

    Args:
        columns: name -> value at a step.
        steps: how many there are.
        device: where.

    """

    def __init__(self, columns: Mapping[str, Callable[[int], float]], steps: int, device: torch.device) -> None:
        rows = torch.tensor([[value(step) for value in columns.values()] for step in range(max(1, steps))])
        self._used = dict(zip(columns, rows.any(0).tolist(), strict=True))
        self._rows = rows.to(device)

    def at(self, clock: Tensor) -> dict[str, Tensor | None]:
        """The row of the step in `clock` ([1] int64 on the device): scalars by name, None for what is zero at every step."""
        row = self._rows.index_select(0, clock)[0].unbind()
        return {name: value if used else None for (name, used), value in zip(self._used.items(), row, strict=True)}
