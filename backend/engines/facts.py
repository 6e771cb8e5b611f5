"""What of the engines is on this machine. Importing this imports neither torch nor an engine; asking never fails."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

NVDIFFRAST = ("nvdiffrast", "diffrp-nvdiffrast")  # distributions that bring it; the second is an older one on PyPI


@dataclass(frozen=True)
class EngineFact:
    """One engine, or one library that can stand in for a part of it.

    Attributes:
        name: what the reports call it.
        available: whether it loads here.
        version: the installed package's version, or None.
        licence: under which terms its package may be used.
        reason: where it runs, or why it does not load.
    """

    name: str
    available: bool
    version: str | None
    licence: str
    reason: str


def engine_facts() -> list[EngineFact]:
    """The built-in engine first, then the optional ones. Loads what is installed, which may take a second."""
    return [
        _fact("builtin", "warp", ("warp-lang",), "Apache-2.0", _builtin_devices),
        _fact("nvdiffrast", "nvdiffrast.torch", NVDIFFRAST, "research and evaluation only", _cuda_only),
        _fact("tinycudann", "tinycudann", ("tinycudann",), "BSD-3-Clause", _cuda_only),
    ]


def _fact(name: str, module: str, packages: tuple[str, ...], licence: str, devices: Callable[[], str]) -> EngineFact:
    """Load a module and ask where it runs; anything it raises becomes the reason why it is not available."""
    version = None
    try:
        if importlib.util.find_spec(module.partition(".")[0]) is None:
            return EngineFact(name, False, None, licence, f"{packages[0]} is not installed")
        version = next(filter(None, map(_version, packages)), None)
        importlib.import_module(module)
        return EngineFact(name, True, version, licence, devices())
    except Exception as error:  # foreign packages raise what they like where a driver or a GPU is missing
        first_line = next(iter(str(error).splitlines()), "")
        return EngineFact(name, False, version, licence, f"{type(error).__name__}: {first_line}")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _builtin_devices() -> str:
    """Start Warp as the engine does and name its devices."""
    import torch
    import warp

    from backend.engines.builtin.launch import Launcher

    Launcher(torch.device("cpu"), threads=1)
    if not torch.cuda.is_available():
        return "runs on the CPU; torch sees no CUDA device"
    if not warp.is_cuda_available():
        return "runs on the CPU; torch sees a CUDA device but Warp does not: its wheel may need a newer driver"
    return f"runs on the CPU and on {torch.cuda.get_device_name()}"


def _cuda_only() -> str:
    import torch

    if not torch.cuda.is_available():
        raise RuntimeError("needs a CUDA device, and torch sees none")
    return f"runs on {torch.cuda.get_device_name()}"
