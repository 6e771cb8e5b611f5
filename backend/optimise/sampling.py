"""Random draws that depend on (seed, stage, step) alone: a resumed run draws what an uninterrupted one would have drawn."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def generator(seed: int, stage: str, step: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device` for one step of one stage."""
    digest = hashlib.blake2b(f"{seed}/{stage}/{step}".encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "little") >> 1)


def batch(count: int, size: int, step: int, seed: int, stage: str) -> Tensor:
    """Indices of the views of one step: every view comes once an epoch, in a fresh order each epoch.

    Args:
        count: views there are.
        size: views a step, at most `count` are given.
        step, seed, stage: what the draw depends on.

    Returns:
        [min(size, count)] int64, on the CPU.
    """
    size = min(size, count)
    steps_an_epoch = max(1, count // size)
    epoch, place = divmod(step, steps_an_epoch)
    order = torch.randperm(count, generator=generator(seed, f"{stage}/order", epoch))
    return order[place * size : (place + 1) * size]
