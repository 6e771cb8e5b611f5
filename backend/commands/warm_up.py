"""`warm-up`: compile the kernels ahead of the first run, so that it starts at once."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

from backend.console import Console
from backend.contract import Finished, Progress


def warm_up(arguments: argparse.Namespace, console: Console) -> None:
    """The verb `warm-up`: every kernel of the built-in engine, compiled for one device and kept in the user's cache."""
    import warp as wp

    from backend.commands.device import pick_device
    from backend.commands.doctor import prove_engine

    began = time.monotonic()
    device = pick_device(arguments.device)
    prove_engine(str(device), "builtin")
    names, place = _kernel_modules(), wp.device_from_torch(device)
    with ThreadPoolExecutor(min(len(names), os.cpu_count() or 1), "unrender-compile") as pool:  # compilers hold no lock
        waiting = [pool.submit(wp.load_module, name, device=place, max_workers=0) for name in names]
        for step, loaded in enumerate(as_completed(waiting), 1):
            loaded.result()
            console(Progress(stage="kernels", step=step, steps=len(names)))
    console(Finished(result=str(wp.config.kernel_cache_dir), seconds=time.monotonic() - began))


def _kernel_modules() -> list[str]:
    """Names of the modules that hold kernels: device functions alone are compiled into the modules that call them."""
    import warp as wp

    from backend.engines.builtin import kernels

    names = sorted(module.name for module in pkgutil.iter_modules(kernels.__path__, f"{kernels.__name__}."))
    for name in names:
        importlib.import_module(name)
    return [name for name in names if wp.get_module(name).kernels]
