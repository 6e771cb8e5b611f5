from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.engines.interface import Engine

if TYPE_CHECKING:
    from scipy.sparse.linalg import SuperLU

_TOLERANCE = 0.03  # of an iterated solve


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
    """The inverse of (I + strength L), L = D - A the combinatorial Laplacian of a fixed mesh (Nicolet et al. 2021, section 3).

    On the CPU a sparse factorisation in float64, made once and exact; elsewhere the engine's iteration, to 3 % of the values' size, which
    is plenty for the direction of a step.

    Args:
        vertex_count: V.
        faces: [T, 3] integer corners; their device is where it works.
        strength: lambda, 0 or more; 20 or so smooths over a few rings of neighbours.
        engine: who iterates.
    """

    def __init__(self, vertex_count: int, faces: Tensor, strength: float, engine: Engine) -> None:
        if strength < 0:
            raise ValueError(f"strength is {strength}; expected 0 or more")
        self.strength, self.engine = strength, engine
        self.neighbours = Neighbours.of(faces, vertex_count)
        largest = float(self.neighbours.degree.max()) if vertex_count else 0.0
        # Divided by its diagonal the matrix has eigenvalues in [1 / (1 + strength d), 2], d the largest degree.
        self._least = 1.0 / (1.0 + strength * largest)
        self._iterations = math.ceil(0.5 * math.sqrt(2.0 / self._least) * math.log(2.0 / _TOLERANCE))
        low, high = self.neighbours.edges.unbind(1)
        order = torch.cat((low, high)).argsort(stable=True)
        self._columns = torch.cat((high, low))[order].int()
        self._starts = F.pad(self.neighbours.degree.cumsum(0), (1, 0)).int()
        self._factors = self._factorise() if faces.device.type == "cpu" else None

    def solve(self, values: Tensor) -> Tensor:
        """The [V, 3] x with (I + strength L) x = values. No gradient, and no wait for a GPU."""
        if values.shape[0] != self.neighbours.degree.shape[0]:
            raise ValueError(
                f"values have shape {tuple(values.shape)}; the mesh has {self.neighbours.degree.shape[0]} vertices"
            )
        if self._factors is not None:
            return torch.from_numpy(self._factors.solve(values.detach().double().numpy())).to(values.dtype)
        return self.solve_by_iteration(values)

    def solve_by_iteration(self, values: Tensor) -> Tensor:
        """`solve` by the engine's iteration, on any device: float32."""
        return self.engine.solve_laplacian(
            values, self._starts, self._columns, self.strength, self._least, self._iterations
        )

    def _factorise(self) -> SuperLU:
        from scipy import sparse  # scipy takes a third of a second to import, and the first mesh waits for none of it
        from scipy.sparse.linalg import splu

        starts, columns = self._starts.numpy(), self._columns.numpy()
        count = starts.shape[0] - 1
        joined = sparse.csr_array((np.full(columns.shape[0], -self.strength), columns, starts), (count, count))
        diagonal = sparse.diags_array(1.0 + self.strength * self.neighbours.degree.double().numpy())
        # the matrix is symmetric and diagonally dominant: no pivoting, and an ordering for its own pattern
        options = {"SymmetricMode": True}
        return splu((joined + diagonal).tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
