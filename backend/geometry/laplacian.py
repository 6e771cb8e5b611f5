from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import SuperLU, splu
from torch import Tensor


@dataclass(frozen=True)
class Neighbours:
    """Who is joined to whom by a triangle's edge, each pair once.

    Attributes:
        edges: [E, 2] int64, lower vertex first.
        degree: [V] int64 neighbours of each vertex.
    """

    edges: Tensor
    degree: Tensor

    @staticmethod
    def of(faces: Tensor, vertex_count: int) -> Neighbours:
        """The neighbours in a mesh with [T, 3] integer `faces`."""
        corners = faces.long()
        pairs = torch.cat((corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]])).sort(1).values
        key = torch.unique(pairs[:, 0] * vertex_count + pairs[:, 1])
        edges = torch.stack((key // vertex_count, key % vertex_count), 1)
        return Neighbours(edges, torch.bincount(edges.flatten(), minlength=vertex_count))


def uniform_laplacian(values: Tensor, neighbours: Neighbours) -> Tensor:
    """How far each vertex is from the mean of its neighbours, all counted alike.

    Args:
        values: [V, C].
        neighbours: of the mesh.

    Returns:
        [V, C], values minus the neighbours' mean, 0 for a vertex alone. Differentiable in the values.
    """
    low, high = neighbours.edges.unbind(1)
    difference = values.index_select(0, low) - values.index_select(0, high)
    total = torch.zeros_like(values).index_add(0, low, difference).index_add(0, high, -difference)
    return total / neighbours.degree.clamp_min(1).unsqueeze(1)


def laplacian_loss(positions: Tensor, reference: Tensor, neighbours: Neighbours) -> Tensor:
    """How much the surface has bent since `reference`: the mean squared length of the uniform Laplacian of the movement.

    Args:
        positions: [V, 3].
        reference: [V, 3] where they were at the stage's start.
        neighbours: of the mesh.

    Returns:
        Scalar, 0 for any common translation. Differentiable in the positions.
    """
    return uniform_laplacian(positions - reference, neighbours).square().sum(1).mean()


class Preconditioner:
    """(I + strength L) and its inverse, L = D - A the combinatorial Laplacian of a fixed mesh (Nicolet et al. 2021, section 3).

    On the CPU a sparse factorisation in float64, made once; on a GPU conjugate gradients in the tensors' own precision.

    Args:
        vertex_count: V.
        faces: [T, 3] integer corners; their device is where it works.
        strength: lambda, 0 or more; 20 or so smooths over a few rings of neighbours.
    """

    def __init__(self, vertex_count: int, faces: Tensor, strength: float) -> None:
        if strength < 0:
            raise ValueError(f"strength is {strength}; expected 0 or more")
        self.strength = strength
        self.neighbours = Neighbours.of(faces, vertex_count)
        self.diagonal = 1.0 + strength * self.neighbours.degree.unsqueeze(1)
        self._factors = self._factorise() if faces.device.type == "cpu" else None
        self._recorded: RecordedSolve | None = None

    def multiply(self, values: Tensor) -> Tensor:
        """(I + strength L) values, [V, C] to [V, C]. Differentiable."""
        low, high = self.neighbours.edges.unbind(1)
        joined = torch.zeros_like(values).index_add(0, low, values.index_select(0, high))
        joined = joined.index_add(0, high, values.index_select(0, low))
        return self.diagonal.to(values.dtype) * values - self.strength * joined

    def solve(self, values: Tensor) -> Tensor:
        """The [V, C] x with (I + strength L) x = values, to 1e-5 of their size. Differentiable in the values."""
        if values.shape[0] != self.diagonal.shape[0]:
            raise ValueError(f"values have shape {tuple(values.shape)}; the mesh has {self.diagonal.shape[0]} vertices")
        return _Solve.apply(values, self)

    def solve_directly(self, values: Tensor) -> Tensor:
        """`solve` without a gradient."""
        if self._factors is None:
            return conjugate_gradients(self, values, self.enough_iterations())
        return torch.from_numpy(self._factors.solve(values.detach().double().numpy())).to(values.dtype)

    def solve_roughly(self, values: Tensor) -> Tensor:
        """`solve_directly` to a few hundredths of the values' size, which is plenty for the direction of a step; exact on the CPU."""
        if self._factors is not None:
            return self.solve_directly(values)
        if self._recorded is None or not self._recorded.fits(values):
            self._recorded = RecordedSolve(self, values, self.enough_iterations(tolerance=0.03))
        return self._recorded(values)

    def enough_iterations(self, tolerance: float = 1e-5) -> int:
        """Iterations after which conjugate gradients are sure to be within `tolerance`, by the bound on the condition number.

        Scaled by the diagonal the matrix has eigenvalues in [1 / (1 + strength d), 2], d the largest degree.
        """
        condition = 2.0 * float(self.diagonal.max())
        return math.ceil(0.5 * math.sqrt(condition) * math.log(2.0 / tolerance))

    def _factorise(self) -> SuperLU:
        count = self.diagonal.shape[0]
        low, high = self.neighbours.edges.numpy().T
        joined = np.full(2 * low.shape[0], -self.strength)
        matrix = sparse.coo_array((joined, (np.r_[low, high], np.r_[high, low])), (count, count))
        diagonal = sparse.diags_array(self.diagonal[:, 0].double().numpy())
        # the matrix is symmetric and diagonally dominant: no pivoting, and an ordering for its own pattern
        options = {"SymmetricMode": True}
        return splu((matrix + diagonal).tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)


class _Solve(torch.autograd.Function):
    """The inverse is symmetric, so it is its own adjoint."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, values: Tensor, preconditioner: Preconditioner) -> Tensor:
        ctx.preconditioner = preconditioner  # type: ignore[attr-defined]
        return preconditioner.solve_directly(values)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return ctx.preconditioner.solve_directly(gradient), None  # type: ignore[attr-defined]


class RecordedSolve:
    """Conjugate gradients on a GPU as one recorded CUDA graph: hundreds of small kernels are started by a single call.

    Args:
        system: symmetric positive definite, on a GPU.
        like: [V, C] values of the shape and type that will be given.
        iterations: see `conjugate_gradients`.
    """

    def __init__(self, system: Preconditioner, like: Tensor, iterations: int) -> None:
        self._values = like.detach().clone()
        side = torch.cuda.Stream(like.device)
        side.wait_stream(torch.cuda.current_stream(like.device))
        with torch.cuda.stream(side):  # a first run outside the recording, as CUDA graphs want it
            conjugate_gradients(system, self._values, iterations)
        torch.cuda.current_stream(like.device).wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._solution = conjugate_gradients(system, self._values, iterations)

    def fits(self, values: Tensor) -> bool:
        """Whether the recording is of this shape and type."""
        return values.shape == self._values.shape and values.dtype == self._values.dtype

    def __call__(self, values: Tensor) -> Tensor:
        """[V, C] -> [V, C], without a gradient."""
        self._values.copy_(values.detach())
        self._graph.replay()
        return self._solution.clone()


def conjugate_gradients(system: Preconditioner, values: Tensor, iterations: int) -> Tensor:
    """Solve `system.multiply(x) = values` for all columns at once, preconditioned by the diagonal.

    Never looks at the residual, which would make the host wait for a GPU: `Preconditioner.enough_iterations` says how many it takes.
    Further ones do no harm.

    Args:
        system: symmetric positive definite.
        values: [V, C].
        iterations: how many.

    Returns:
        [V, C], without a gradient.
    """
    with torch.no_grad():
        inverse_diagonal = 1.0 / system.diagonal.to(values.dtype)
        tiny = torch.finfo(values.dtype).tiny
        solution = values * inverse_diagonal
        residual = values - system.multiply(solution)
        scaled = residual * inverse_diagonal
        direction = scaled
        energy = (residual * scaled).sum(0)
        for _ in range(iterations):
            image = system.multiply(direction)
            length = energy / (direction * image).sum(0).clamp_min(tiny)
            solution = solution + length * direction
            residual = residual - length * image
            scaled = residual * inverse_diagonal
            next_energy = (residual * scaled).sum(0)
            direction = scaled + next_energy / energy.clamp_min(tiny) * direction
            energy = next_energy
        return solution
