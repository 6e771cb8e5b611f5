from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

FINAL_RATE = 0.1  # what the learning rates have fallen to at the end of a stage


def adam(groups: Sequence[dict[str, Any]], device: torch.device, eps: float) -> torch.optim.Adam:
    """Adam whose step can be recorded as a CUDA graph, where there is one.

    Args:
        groups: each with "params" and "rate", its learning rate at the start; see `set_rates`.
        device: of the parameters.
        eps: Adam's own.
    """
    recordable = device.type != "cpu"
    filled = [
        {**group, "lr": torch.tensor(float(group["rate"]), device=device) if recordable else float(group["rate"])}
        for group in groups
    ]
    return torch.optim.Adam(filled, lr=0.0, betas=(0.9, 0.99), eps=eps, fused=True, capturable=recordable)


def set_rates(optimiser: torch.optim.Optimizer, factor: Tensor) -> None:
    """Give every group its own "rate" times a factor (scalar on the parameters' device). Nothing waits for the device."""
    for group in optimiser.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].copy_(factor * group["rate"])
        else:
            group["lr"] = group["rate"] * float(factor)
