"""What this computer is, as far as the choice of packages goes, and which build of torch fits it. No bpy."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass

DRIVER_SECONDS = 20.0
TORCH_INDEXES = (  # (least NVIDIA driver, index); the newest build that the driver runs comes first
    (580, "https://download.pytorch.org/whl/cu130"),
    (525, "https://download.pytorch.org/whl/cu126"),
    (0, "https://download.pytorch.org/whl/cpu"),
)
_ARCHITECTURES = {"amd64": "x86_64", "x64": "x86_64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Machine:
    """A computer.

    Attributes:
        system: 'linux', 'windows' or 'macos'.
        architecture: 'x86_64' or 'arm64', or as the system names it.
        driver: version of the NVIDIA driver, such as '580.65.06'; empty where there is none.
    """

    system: str
    architecture: str
    driver: str = ""


def this_machine() -> Machine:
    """The computer we run on. Asks nvidia-smi, which may take seconds: not for the window's thread."""
    system = {"win32": "windows", "darwin": "macos"}.get(sys.platform, "linux")
    architecture = platform.machine().lower()
    driver = "" if system == "macos" else nvidia_driver()
    return Machine(system, _ARCHITECTURES.get(architecture, architecture), driver)


def nvidia_driver() -> str:
    """The version that nvidia-smi tells; empty where there is no NVIDIA GPU, or no driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    try:
        answer = subprocess.run(
            [program, "--query-gpu=driver_version", "--format=csv,noheader"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=DRIVER_SECONDS,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = answer.stdout.split() if answer.returncode == 0 else []
    return lines[0] if lines and re.fullmatch(r"\d+(\.\d+)*", lines[0]) else ""


def torch_index(machine: Machine) -> str:
    """The package index with the build of torch for `machine`; empty where the ordinary one on PyPI is right (macOS)."""
    if machine.system == "macos":
        return ""
    driver = int(machine.driver.partition(".")[0] or 0)
    return next(index for least, index in TORCH_INDEXES if driver >= least)
