from __future__ import annotations

import torch
from torch import Tensor

from backend.geometry.laplacian import Preconditioner


class PreconditionedAdam:
    """Smooth steps of a mesh's vertex positions, without a Laplacian weight to tune (Nicolet et al. 2021).

    The paper optimises u = (I + strength L) x and reads x back by a solve. The same steps are taken on x itself here: the gradient of u is
    g = (I + strength L)^-1 dx, Adam turns it into a step d of u, and x moves by (I + strength L)^-1 d. Both solves only shape a step, so
    that neither has to be exact, and x never drifts from a solution that is.

    Adam has one step size for all entries, its second moment's largest (the paper's section 4): dividing each coordinate by its own
    gradient's size would undo the smoothness.

    Args:
        positions: [V, 3] leaf tensor that requires a gradient.
        preconditioner: of the mesh they belong to.
        keep_first, keep_second: how much of the moments is kept each step.
    """

    def __init__(
        self, positions: Tensor, preconditioner: Preconditioner, keep_first: float = 0.9, keep_second: float = 0.999
    ) -> None:
        self._positions, self._preconditioner = positions, preconditioner
        self._keep_first, self._keep_second = keep_first, keep_second
        self._steps = torch.zeros((), dtype=torch.float64, device=positions.device)
        self._first, self._second = torch.zeros_like(positions), torch.zeros_like(positions)

    @torch.no_grad()
    def step(self, rate: float | Tensor) -> None:
        """Move the positions, if they have a gradient; a vertex moves at most about `rate`. Recordable away from the CPU."""
        if self._positions.grad is None:
            return
        steps = self._steps.add_(1)
        gradient = self._preconditioner.solve(self._positions.grad)
        first = self._first.lerp_(gradient, 1.0 - self._keep_first)
        second = self._second.lerp_(gradient.square(), 1.0 - self._keep_second)
        # all on the positions' device, so that a recorded step counts on
        size = second.amax() / (1.0 - self._keep_second**steps)
        length = (1.0 / (1.0 - self._keep_first**steps)) / (size.sqrt() + 1e-12)
        movement = self._preconditioner.solve(first * length.to(first.dtype))
        self._positions.sub_(movement * rate)

    def state(self) -> dict[str, Tensor]:
        """Everything `restore` needs."""
        return {"steps": self._steps, "first": self._first, "second": self._second}

    @torch.no_grad()
    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up what `state` gave, in place."""
        for name, own in self.state().items():
            own.copy_(state[name])
