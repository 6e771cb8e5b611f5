"""What every benchmark shares: the machine in words, times taken on a device, and the table."""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from backend.contract import EnvironmentFault, Request, assign, parse, version
from backend.engines.interface import Engine
from backend.engines.select import KNOWN, select_engine

Row = dict[str, str | int | float | None]
Tables = dict[str, list[Row]]


def machine(device: torch.device) -> dict[str, Any]:
    """What the figures were measured on."""
    import warp

    names = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    on_gpu = device.type == "cuda"
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory[0] * 1024 / 1e9, 1) if memory else None,
        "gpu": torch.cuda.get_device_name(device) if on_gpu else None,
        "gpus": torch.cuda.device_count() if on_gpu else 0,
        "system": platform.platform(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,  # above 0, figures of a CPU are too slow
        "python": platform.python_version(),
        "torch": torch.__version__,
        "warp": warp.__version__,
        "unrender": version(),
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []


def request_of(options: argparse.Namespace, settings: dict[str, Any]) -> Request:
    """The preset's request with the benchmark's settings ('shape.cells': 64), and over these the `--set` of the command line."""
    data: dict[str, Any] = {"source": str(options.source or "."), "preset": options.preset}
    for assignment in (*(f"{key}={value}" for key, value in settings.items()), *options.set):
        data = assign(data, assignment)
    return parse(data)


def installed_engines(names: list[str] | None, device: torch.device) -> Iterator[tuple[str, Engine]]:
    """Each engine that runs here, made anew; of `names`, or of all that are known. One that was named and does not run is an error."""
    for name in names or [name for name in KNOWN if name != "auto"]:
        try:
            engine = select_engine(name, device)
        except EnvironmentFault:
            if names:
                raise
            continue
        yield name, engine


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def table(title: str, rows: list[Row]) -> str:
    """The rows as text in columns; a column for every key that any row has."""
    if not rows:
        return f"{title}\n  nothing"
    heads = list(dict.fromkeys(head for row in rows for head in row))
    cells = [[_cell(row.get(head)) for head in heads] for row in rows]
    widths = [max(len(line[index]) for line in [heads, *cells]) for index in range(len(heads))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths)) for line in [heads, *cells]]
    return "\n".join([title, *lines])


def _cell(value: str | float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def show(options: argparse.Namespace, device: torch.device, facts: dict[str, Any], tables: Tables) -> None:
    """Print the machine and the tables, and write both as one JSON file."""
    print(json.dumps(facts, indent=2))
    for title, rows in tables.items():
        print(f"\n{table(title, rows)}")
    given = {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()}
    given["source"] = options.source.name if options.source else None
    found = {"verb": options.verb, "machine": facts, "device": str(device), "options": given, **tables}
    options.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
