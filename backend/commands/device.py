from __future__ import annotations

import torch

from backend.contract import EnvironmentFault, RequestError
from backend.engines.select import KNOWN


def pick_device(name: str) -> torch.device:
    """'auto' (the first GPU, else the CPU), 'cpu', 'cuda' or 'cuda:N' to a device that is there.

    Raises EnvironmentFault when the machine has no such device.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda", 0) if count else torch.device("cpu")
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
    index = device.index or 0
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
