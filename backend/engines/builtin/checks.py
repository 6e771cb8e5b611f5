"""What the mesh primitives refuse: indices that a kernel would read out of bounds, counts it cannot hold."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.engines.checks import require

INDEX_LIMIT = 2**31 - 1  # kernels count in int32
FACE_LIMIT = 2**28  # an edge's code holds 3 faces + corner and a flag in int32


def check_faces(where: str, faces: Tensor, vertices: int, device: torch.device) -> None:
    """Refuse faces that are not [T, 3] int32, or that name vertices which do not exist.

    The indices themselves are looked at on the CPU alone: on a CUDA device that would wait for it.
    """
    require(f"{where}: faces", faces, (None, 3), device, torch.int32)
    if faces.shape[0] >= FACE_LIMIT:
        raise ValueError(f"{where}: {faces.shape[0]} faces; expected fewer than {FACE_LIMIT}")
    check_indices(where, "faces", faces, 0, vertices)


def check_indices(where: str, name: str, indices: Tensor, least: int, end: int) -> None:
    """Refuse indices outside [least, end); looked at on the CPU alone."""
    if indices.device.type != "cpu" or indices.numel() == 0:
        return
    low, high = (int(bound) for bound in torch.aminmax(indices))
    if low < least or high >= end:
        raise ValueError(f"{where}: {name} holds indices {low} to {high}; expected {least} to {end - 1}")


def check_count(where: str, what: str, count: int) -> None:
    """Refuse more items than a kernel can count."""
    if count > INDEX_LIMIT:
        raise ValueError(f"{where}: {count} {what}; expected at most {INDEX_LIMIT}")
