"""The engines by name."""

from __future__ import annotations

import torch

from backend.engines.builtin.engine import BuiltinEngine
from backend.engines.interface import Engine

KNOWN = ("auto", "builtin")


def select_engine(name: str, device: torch.device, threads: int | None = None) -> Engine:
    """The engine of that name on a device.

    Args:
        name: 'builtin', or 'auto' for the best one that runs here.
        device: where its tensors lie.
        threads: CPU threads, torch's own number when None; results do not depend on it.

    Raises:
        ValueError: no engine of that name is known.
    """
    if name not in KNOWN:
        raise ValueError(f"engine is {name!r}; known engines: {', '.join(KNOWN)}")
    return BuiltinEngine(device, threads)
