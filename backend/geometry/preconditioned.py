from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from backend.geometry.laplacian import Preconditioner


class ParameterisedPositions(nn.Module):
    """Vertex positions x optimised through u = (I + strength L) x (Nicolet et al. 2021): steps are smooth, no Laplacian weight is tuned.

    Optimise `differential` with `UniformAdam`.

    Args:
        positions: [V, 3] the start.
        preconditioner: of the mesh they belong to.

    Attributes:
        differential: [V, 3] parameter, u.
    """

    def __init__(self, positions: Tensor, preconditioner: Preconditioner) -> None:
        super().__init__()
        self.preconditioner = preconditioner
        self.differential = nn.Parameter(preconditioner.multiply(positions.detach()))

    def forward(self) -> Tensor:
        """[V, 3] positions. Differentiable in `differential`."""
        return self.preconditioner.solve(self.differential)


class UniformAdam(torch.optim.Optimizer):
    """Adam with one step size for all entries of a tensor: the second moment's largest entry (Nicolet et al. 2021, section 4).

    Plain Adam divides each coordinate by its own gradient's size, which undoes the smoothness of a preconditioned gradient.

    Args:
        parameters: what to optimise, or groups of it.
        lr: step length; an entry moves at most about this far a step.
        betas: how much of the first and second moment is kept each step.
    """

    def __init__(
        self,
        parameters: Iterable[Tensor] | Iterable[dict],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            keep_first, keep_second = group["betas"]
            for parameter in group["params"]:
                gradient = parameter.grad
                if gradient is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["step"] = 0
                    state["first"] = torch.zeros_like(parameter)
                    state["second"] = torch.zeros_like(parameter)
                state["step"] += 1
                first = state["first"].lerp_(gradient, 1.0 - keep_first)
                second = state["second"].lerp_(gradient.square(), 1.0 - keep_second)
                unbiased_first = first / (1.0 - keep_first ** state["step"])
                largest = (second.amax() / (1.0 - keep_second ** state["step"])).sqrt()
                parameter.sub_(group["lr"] * unbiased_first / (largest + 1e-12))
