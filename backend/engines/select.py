"""The engines by name."""

from __future__ import annotations

import torch

from backend.contract import EnvironmentFault
from backend.engines.builtin.engine import BuiltinEngine
from backend.engines.interface import Engine
from backend.engines.names import KNOWN, preferred, research_permitted


def select_engine(name: str, device: torch.device, threads: int | None = None) -> Engine:
    """The engine of that name on a device.

    Args:
        name: one of `KNOWN`. 'auto' takes the fastest in a whole step, as measured, of those that load here and are permitted: see
            `names.preferred`. On the CPU that is the built-in one.
        device: where its tensors lie; all but the built-in one need CUDA.
        threads: CPU threads, torch's own number when None; results do not depend on it.

    Raises:
        ValueError: no engine of that name is known.
        EnvironmentFault: an optional engine is not installed, or does not run on the device.
    """
    if name not in KNOWN:
        raise ValueError(f"engine is {name!r}; known engines: {', '.join(KNOWN)}")
    if name == "builtin" or (name == "auto" and device.type == "cpu"):
        return BuiltinEngine(device, threads)
    if name == "auto":
        return _first_that_loads(preferred(research_permitted()), device, threads)
    hint = "Use --engine builtin; `python -m backend doctor` lists what is installed."
    if device.type == "cpu":
        raise EnvironmentFault(
            f"engine is {name!r} on device 'cpu'; expected a CUDA device", hint=hint, code="engine-unavailable"
        )
    try:
        return _optional(name, device, threads)
    except (ImportError, OSError, RuntimeError) as error:  # not installed, or built for another driver or GPU
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise EnvironmentFault(
            f"engine is {name!r}, but it does not load here: {reason}; expected its package installed for this Python and GPU",
            hint=hint,
            code="engine-unavailable",
        ) from error


def _first_that_loads(names: tuple[str, ...], device: torch.device, threads: int | None) -> Engine:
    """The last name is the built-in's, which needs no package."""
    for name in names[:-1]:
        try:
            return select_engine(name, device, threads)
        except EnvironmentFault:  # not installed; 'auto' asks for nothing that is not there
            continue
    return BuiltinEngine(device, threads)


def _optional(name: str, device: torch.device, threads: int | None) -> Engine:
    from backend.engines.nvdiffrast.engine import NvdiffrastEngine
    from backend.engines.tinycudann.engine import TinycudannEngine

    class CombinedEngine(NvdiffrastEngine, TinycudannEngine):
        """Each library for what it makes."""

    CombinedEngine.name = "nvdiffrast+tinycudann"
    made = {"nvdiffrast": NvdiffrastEngine, "tinycudann": TinycudannEngine}
    return made.get(name, CombinedEngine)(device, threads)
