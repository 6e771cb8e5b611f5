"""Random draws that depend on (seed, stage, step) alone: a resumed run draws what an uninterrupted one would have drawn."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def digest(seed: int, stage: str, step: int) -> int:
    """63 bits for one step of one stage."""
    found = hashlib.blake2b(f"{seed}/{stage}/{step}".encode(), digest_size=8).digest()
    return int.from_bytes(found, "little") >> 1


def generator(seed: int, stage: str, step: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device` for one step of one stage."""
    return torch.Generator(device).manual_seed(digest(seed, stage, step))


def batches(count: int, size: int, steps: int, seed: int, stage: str) -> Tensor:
    """Indices of the views of every step: each view comes once an epoch, in a fresh order each epoch.

    Args:
        count: views there are.
        size: views a step, at most `count` are given.
        steps: how many steps.
        seed, stage: what the draw depends on.

    Returns:
        [steps, min(size, count)] int64, on the CPU; the first rows do not depend on how many follow.
    """
    size = min(size, count)
    in_epoch = max(1, count // size)
    epochs = [
        torch.randperm(count, generator=generator(seed, f"{stage}/order", epoch))[: in_epoch * size].view(
            in_epoch, size
        )
        for epoch in range(max(1, -(-steps // in_epoch)))
    ]
    return torch.cat(epochs)[:steps]
