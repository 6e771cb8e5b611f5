from __future__ import annotations

from collections.abc import Sequence

import torch

from backend.engines.interface import Capacity

_SLACK = 1.2  # room that is given for what was counted
_FULL = 0.93  # how full it may be before there is more
_STEP = 8192  # pixels by which room grows


class Room:
    """How large the buffers of a recorded step are. What it counts changes from step to step; what is recorded cannot.

    Args:
        device: on the CPU nothing is recorded and nothing needs a fixed size.
        surface: whether the surface changes too, and not only the pixels that show it.

    Attributes:
        surface: vertices and faces there is room for; None while unknown, for any number.
        pixels: covered pixels of a step likewise.
    """

    def __init__(self, device: torch.device, surface: bool) -> None:
        self._fixed, self._with_surface = device.type != "cpu", surface
        self.surface: Capacity | None = None
        self.pixels: int | None = None

    @property
    def known(self) -> bool:
        """Whether a step of fixed size can run, which on the CPU none has to."""
        return not self._fixed or self.pixels is not None

    def take(self, counts: Sequence[int]) -> bool:
        """Look at what a step counted (vertices, faces, covered pixels); True when there is other room now than there was."""
        if not self._fixed:
            return False
        before = (self.surface, self.pixels)
        vertices, faces, pixels = counts
        if self.pixels is None or pixels > _FULL * self.pixels:
            self.pixels = -(-int(_SLACK * pixels) // _STEP) * _STEP
        full = self.surface is not None and (
            vertices > _FULL * self.surface.vertices or faces > _FULL * self.surface.faces
        )
        if self._with_surface and (self.surface is None or full):
            self.surface = Capacity.of((vertices, faces), _SLACK)
        return (self.surface, self.pixels) != before

    def clear(self) -> None:
        """What is counted from here on has nothing to do with what was."""
        self.surface = self.pixels = None
