from __future__ import annotations

from dataclasses import dataclass

import torch
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
        counts: [2] int32 on the same device, the vertices and faces there are. V and T themselves unless a capacity was asked for; where
            they are more than that, the surface is not whole.
    """

    vertices: Tensor
    faces: Tensor
    regularity: Tensor
    counts: Tensor

    @staticmethod
    def exact(vertices: Tensor, faces: Tensor, regularity: Tensor) -> Surface:
        """A surface without unused rows."""
        sizes = (vertices.shape[0], faces.shape[0])
        return Surface(vertices, faces, regularity, torch.tensor(sizes, dtype=torch.int32, device=faces.device))

    @property
    def is_empty(self) -> bool:
        """Whether there is no row to render; with a capacity only `counts` knows."""
        return self.faces.shape[0] == 0

    def mesh(self) -> Mesh:
        """The surface as a mesh without texture coordinates; unused rows stay in it."""
        return Mesh(self.vertices, self.faces)
