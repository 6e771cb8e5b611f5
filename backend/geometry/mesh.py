from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh, positions welded; texture coordinates have an index of their own so that a seam splits no surface.

    Attributes:
        vertices: [V, 3] float32 positions.
        faces: [T, 3] int32 corners, counter-clockwise seen from outside.
        uvs: [U, 2] float32, or None: origin at the texture's top left, u right, v down (glTF's).
        uv_faces: [T, 3] int32 into `uvs`, or None.
    """

    vertices: Tensor
    faces: Tensor
    uvs: Tensor | None = None
    uv_faces: Tensor | None = None

    def to(self, device: torch.device | str) -> Mesh:
        """The same mesh on another device."""
        move = {name: value.to(device) for name, value in vars(self).items() if value is not None}
        return replace(self, **move)
