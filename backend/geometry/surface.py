from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from backend.geometry.mesh import Mesh


@dataclass(frozen=True)
class Surface:
    """A closed triangle surface as extracted in one step, still joined to the parameters it came from.

    Attributes:
        vertices: [V, 3] positions, differentiable.
        faces: [T, 3] int32 corners, counter-clockwise seen from outside; T is 0 where nothing is inside.
        regularity: scalar, how unevenly the vertices sit among the crossings they were made of, in the positions' unit; 0 for methods
            without that freedom. Differentiable.
    """

    vertices: Tensor
    faces: Tensor
    regularity: Tensor

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to render."""
        return self.faces.shape[0] == 0

    def mesh(self) -> Mesh:
        """The surface as a mesh without texture coordinates."""
        return Mesh(self.vertices, self.faces)
