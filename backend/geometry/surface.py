from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.geometry.mesh import Mesh


@dataclass(frozen=True)
class Surface:
    """A closed triangle surface as extracted in one step, still joined to the parameters it came from.

    Attributes:
        vertices: [V, 3] positions, differentiable; zeros in rows beyond those there are.
        faces: [T, 3] int32 corners, counter-clockwise seen from outside; (0, 0, 0) in rows beyond those there are.
        regularity: scalar, how unevenly the vertices sit among the crossings they were made of, in the positions' unit; 0 for methods
            without that freedom. Differentiable.
        sign_changes: scalar, see `sign_changes`. Differentiable in the distances.
        counts: [2] int32 on the same device, the vertices and faces there are. V and T themselves unless a capacity was asked for; where
            they are more than that, the surface is not whole.
    """

    vertices: Tensor
    faces: Tensor
    regularity: Tensor
    sign_changes: Tensor
    counts: Tensor

    @staticmethod
    def exact(vertices: Tensor, faces: Tensor, regularity: Tensor, sign_changes: Tensor) -> Surface:
        """A surface without unused rows."""
        sizes = (vertices.shape[0], faces.shape[0])
        counts = torch.tensor(sizes, dtype=torch.int32, device=faces.device)
        return Surface(vertices, faces, regularity, sign_changes, counts)

    @property
    def is_empty(self) -> bool:
        """Whether there is no row to render; with a capacity only `counts` knows."""
        return self.faces.shape[0] == 0

    def mesh(self) -> Mesh:
        """The surface as a mesh without texture coordinates; unused rows stay in it."""
        return Mesh(self.vertices, self.faces)


def sign_changes(ends: Tensor) -> Tensor:
    """Binary cross-entropy of each end of the sign-changing edges against the other's sign (Munkberg et al. 2022, equation 2).

    Args:
        ends: [E, 2] distances in cells at both ends of the edges, of opposite signs.

    Returns:
        Scalar, the mean over the edges of the two ends' sum; 0 when there are none. Its gradient moves the signs together.
    """
    # each end's target is the sign it does not have: -log sigmoid(-|s|)
    return F.softplus(ends.abs()).sum() / max(1, ends.shape[0])
