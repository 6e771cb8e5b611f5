from __future__ import annotations

import os

import torch

from backend.contract import EnvironmentFault, RequestError
from backend.engines.select import KNOWN


def pick_device(name: str) -> torch.device:
    """'auto' (the first GPU, else the CPU), 'cpu', 'cuda' or 'cuda:N' to a device that is there.

    A process that torchrun started beside others takes the GPU of its own number (LOCAL_RANK) for 'auto' and 'cuda'.

    Raises EnvironmentFault when the machine has no such device.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    own = int(os.environ.get("LOCAL_RANK", "0"))
    if name == "auto":
        return torch.device("cuda", own % count) if count else torch.device("cpu")
    if name == "cpu":
        return torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise RequestError(f"device is {name!r}; expected 'auto', 'cpu', 'cuda' or 'cuda:N'") from None
    if count == 0:
        raise EnvironmentFault(
            f"device is {name!r}, but PyTorch sees no GPU",
            hint="Use --device cpu, or see `python -m backend doctor` for the driver and PyTorch's build.",
            code="no-gpu",
        )
    index = own if device.index is None else device.index
    if index >= count:
        raise EnvironmentFault(
            f"device is {name!r}, but this machine has {count} GPU{'s' if count > 1 else ''}, numbered from 0",
            hint="`python -m backend doctor` lists them.",
            code="no-gpu",
        )
    return torch.device("cuda", index)


def known_engine(name: str) -> str:
    """`name`, or RequestError when there is no engine of that name."""
    if name not in KNOWN:
        raise RequestError(
            f"engine is {name!r}; expected one of {', '.join(KNOWN)}",
            hint="'auto' takes the fastest that runs here.",
            code="engine-unknown",
        )
    return name
