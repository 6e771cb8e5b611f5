"""How much memory there is, and whether an error says that there was too little."""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True)
class Free:
    """Bytes that are free on the device, and in the machine; one and the same where `device` is None."""

    device: int | None
    host: int


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed: PyTorch's, Warp's or Python's, or one that another error came of (a graph that was being recorded)."""
    text = str(error).lower()
    told = any(words in text for words in ("out of memory", "failed to allocate", "can't allocate memory"))
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (isinstance(error, RuntimeError) and told):
        return True
    return isinstance(error, RuntimeError) and error.__context__ is not None and is_out_of_memory(error.__context__)


def release_memory(device: torch.device) -> None:
    """Give back what nothing refers to any more."""
    gc.collect()
    if device.type != "cpu":
        torch.cuda.synchronize(device)
        torch.cuda.empty_cache()


def free_memory(device: torch.device) -> Free:
    """What is free at present on the device and in the machine."""
    host = _free_host()
    if device.type == "cpu":
        return Free(None, host)
    free, _ = torch.cuda.mem_get_info(device)
    held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return Free(free + held, host)


def _free_host() -> int:
    """Bytes of the machine's memory that programs can still have, within what a container may use."""
    if sys.platform == "win32":
        return _free_windows()
    if sys.platform == "darwin":
        pages = subprocess.run(["vm_stat"], capture_output=True, text=True, check=False).stdout
        words = {name.strip(): text for name, _, text in (line.partition(":") for line in pages.splitlines())}
        wanted = ("Pages free", "Pages inactive", "Pages speculative")
        size = 16384 if "16384" in pages else 4096
        return max(size * sum(int(words.get(name, "0").strip().rstrip(".") or 0) for name in wanted), 1 << 30)
    free = 1 << 34
    for line in _text("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            free = 1024 * int(line.split()[1])
    limit, taken = (_text(f"/sys/fs/cgroup/memory.{name}").strip() for name in ("max", "current"))
    if limit.isdigit() and taken.isdigit():  # a container's; what it holds of files can be dropped
        files = [
            int(line.split()[1]) for line in _text("/sys/fs/cgroup/memory.stat").splitlines() if "ve_file " in line
        ]
        free = min(free, max(int(limit) - int(taken) + sum(files), 1 << 28))
    return free


def _free_windows() -> int:
    class Status(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_uint32),
            ("load", ctypes.c_uint32),
            *(
                (name, ctypes.c_uint64)
                for name in ("total", "free", "page", "free_page", "virtual", "free_virtual", "more")
            ),
        )

    status = Status(length=ctypes.sizeof(Status))
    library: Any = ctypes.windll  # type: ignore[attr-defined,unused-ignore]
    return int(status.free) if library.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)) else 1 << 34


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError:
        return ""
