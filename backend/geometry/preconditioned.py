from __future__ import annotations

import torch
from torch import Tensor

from backend.geometry.laplacian import Preconditioner


class PreconditionedAdam(torch.optim.Optimizer):
    """Smooth steps of a mesh's vertex positions, without a Laplacian weight to tune (Nicolet et al. 2021).

    The paper optimises u = (I + strength L) x and reads x back by a solve. The same steps are taken on x itself here: the gradient of u is
    g = (I + strength L)^-1 dx, Adam turns it into a step d of u, and x moves by (I + strength L)^-1 d. Both solves only shape a step, so
    that neither has to be exact, and x never drifts from a solution that is.

    Adam has one step size for all entries, its second moment's largest (the paper's section 4): dividing each coordinate by its own
    gradient's size would undo the smoothness.

    Args:
        positions: [V, 3] leaf tensor that requires a gradient.
        preconditioner: of the mesh they belong to.
        lr: step length of u, a number or a scalar tensor; a vertex moves at most about this far a step.
        betas: how much of the first and second moment is kept each step.
    """

    def __init__(
        self,
        positions: Tensor,
        preconditioner: Preconditioner,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        super().__init__([positions], {"lr": lr, "betas": betas})
        self._preconditioner = preconditioner

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move the positions, if they have a gradient."""
        group = self.param_groups[0]
        positions, (keep_first, keep_second) = group["params"][0], group["betas"]
        if positions.grad is None:
            return
        state = self.state[positions]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float64, device=positions.device)
            state["first"] = torch.zeros_like(positions)
            state["second"] = torch.zeros_like(positions)
        step = state["step"].add_(1)
        gradient = self._preconditioner.solve(positions.grad)
        first = state["first"].lerp_(gradient, 1.0 - keep_first)
        second = state["second"].lerp_(gradient.square(), 1.0 - keep_second)
        # all on the positions' device, so that a recorded step counts on
        size = second.amax() / (1.0 - keep_second**step)
        length = (1.0 / (1.0 - keep_first**step)) / (size.sqrt() + 1e-12)
        movement = self._preconditioner.solve(first * length.to(first.dtype))
        positions.sub_(movement * group["lr"])
