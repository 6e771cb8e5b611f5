"""`warm-up`: compile the kernels ahead of the first run, so that it starts at once."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import time

from backend.console import Console
from backend.contract import Finished, Progress


def warm_up(arguments: argparse.Namespace, console: Console) -> None:
    """The verb `warm-up`: every kernel of the built-in engine, compiled for one device and kept in the user's cache."""
    import warp as wp

    from backend.commands.device import pick_device
    from backend.commands.doctor import prove_engine
    from backend.engines.builtin import kernels

    began = time.monotonic()
    device = pick_device(arguments.device)
    prove_engine(str(device), "builtin")
    names = sorted(module.name for module in pkgutil.iter_modules(kernels.__path__, f"{kernels.__name__}."))
    for step, name in enumerate(names, 1):
        importlib.import_module(name)
        wp.load_module(name, device=wp.device_from_torch(device))
        console(Progress(stage="kernels", step=step, steps=len(names)))
    console(Finished(result=str(wp.config.kernel_cache_dir), seconds=time.monotonic() - began))
