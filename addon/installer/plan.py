"""The commands that make an environment. Pure functions of what is wished and what was found. No bpy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...backend.contract import EnvironmentFault
from ..job import command
from .machine import Machine, torch_index
from .store import python_in

LEAST_PYTHON = (3, 11)  # of the packages the lock file pins, numpy and scipy need the most
LAST_PYTHON = (3, 13)  # the newest that all of them have wheels for
CPU_BYTES, GPU_BYTES = 2 << 30, 9 << 30  # room for packages, and for downloads while they are unpacked
_CPU_INDEX = "/cpu"

StageName = Literal["environment", "packages", "kernels", "check"]


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the artist chose.

    Attributes:
        online: Blender allows its extensions to go online.
        offline_hint: how to allow it.
        fetch_uv: uv may be downloaded.
        wheels: a folder of wheels; nothing is downloaded when it is named.
        torch_index: a package index to take torch from; empty for the one that fits the GPU.
        package_index: a package index to take all else from, such as a company's mirror; empty for PyPI or what pip and uv are set to.
        base: a Python to build on; empty to look for one.
    """

    online: bool
    offline_hint: str = ""
    fetch_uv: bool = False
    wheels: Path | None = None
    torch_index: str = ""
    package_index: str = ""
    base: str = ""


@dataclass(frozen=True)
class Step:
    """One command.

    Attributes:
        stage: what it is for.
        says: the same in words.
        command: the argument list.
        until: share of the whole that is done after it, 0 to 1.
    """

    stage: StageName
    says: str
    command: tuple[str, ...]
    until: float


def refuse_offline(wish: Wish) -> None:
    """Raises EnvironmentFault where packages would have to be downloaded and must not be, or the wheel folder is none."""
    if wish.wheels is not None:
        if not wish.wheels.is_dir() or not any(wish.wheels.glob("*.whl")):
            raise EnvironmentFault(
                f"{wish.wheels} holds no wheels",
                hint="Name the folder that has the files *.whl, or leave it empty to download them.",
                code="wheels-missing",
            )
    elif not wish.online:
        raise EnvironmentFault(
            "Blender may not go online, so the packages cannot be downloaded",
            hint=f"{wish.offline_hint or 'Allow Online Access in Preferences > System'}, or name a folder of wheels.",
            code="offline",
        )


def steps(
    wish: Wish, machine: Machine, lock: Path, folder: Path, *, uv: Path | None = None, base: Path | None = None
) -> tuple[Step, ...]:
    """The commands that fill `folder`, in order.

    Args:
        wish: what was chosen.
        machine: the computer it is for.
        lock: pip's requirements file.
        folder: where the environment is made.
        uv: the program; None to use `base`'s own venv and pip.
        base: the Python to build on; with uv, None lets uv find or fetch one.
    """
    python = str(python_in(folder))
    if uv is not None:
        wanted = f">={_dotted(LEAST_PYTHON)},<{LAST_PYTHON[0]}.{LAST_PYTHON[1] + 1}"
        make = [str(uv), "venv", "--python", str(base or wanted)]
        if not wish.online:
            make += ["--offline"]
        make += [str(folder)]
        install = [str(uv), "pip", "install", "--python", python, "-r", str(lock)]
    else:
        assert base is not None, "without uv a Python is needed"
        make = [str(base), "-I", "-m", "venv", str(folder)]
        install = [python, "-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        install += ["--progress-bar", "off", "-r", str(lock)]
    install += _sources(wish, machine, uv is not None)
    interpreter = python_in(folder)
    return (
        Step("environment", "Making the environment", tuple(make), 0.05),
        Step("packages", "Installing packages", tuple(install), 0.80),
        Step("kernels", "Compiling kernels", tuple(command(interpreter, ["warm-up", "--json"])), 0.96),
        Step("check", "Checking the backend", tuple(command(interpreter, ["doctor", "--json"])), 1.0),
    )


def room(wish: Wish, machine: Machine) -> int:
    """Bytes that must be free."""
    index = wish.torch_index or torch_index(machine)
    small = wish.wheels is not None or not index or index.rstrip("/").endswith(_CPU_INDEX)
    return CPU_BYTES if small else GPU_BYTES


def _sources(wish: Wish, machine: Machine, is_uv: bool) -> list[str]:
    if wish.wheels is not None:
        return ["--no-index", "--find-links", str(wish.wheels), *(["--offline"] if is_uv else [])]
    sources = ["--index-url", wish.package_index] if wish.package_index else []
    if index := wish.torch_index or torch_index(machine):
        # The build for the GPU has a local version (2.13.0+cu130), which sorts above the plain one: both indexes must be compared.
        sources += ["--extra-index-url", index, *(["--index-strategy", "unsafe-best-match"] if is_uv else [])]
    return sources


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def fault_of(step: Step, status: int, said: str, folder: Path) -> EnvironmentFault:
    """Why a step ended with `status`, in words, from its last lines `said`."""
    last = next((line for line in reversed(said.splitlines()) if line.strip()), f"exit status {status}")
    for pattern, message, hint, code in _CAUSES:
        if re.search(pattern, said, re.IGNORECASE):
            return EnvironmentFault(message.format(folder=folder, last=last), hint=hint, code=code)
    return EnvironmentFault(f"{step.says} failed: {last}", hint="The log says more.", code=f"{step.stage}-failed")


_CAUSES = (
    (
        r"no space left|errno 28|os error 28|os error 112|not enough space|disk quota|errno 122",
        "the disk that holds {folder} is full",
        "Free space (2 GB for the CPU, 9 GB for a GPU), or choose a folder on another disk. What was downloaded is kept.",
        "disk-full",
    ),
    (
        r"permission denied|errno 13|read-only file system|os error 13|access is denied",
        "{folder} cannot be written to",
        "Choose another folder for the environment, or allow writing there.",
        "folder-read-only",
    ),
    (
        r"dns error|name resolution|name or service not known|getaddrinfo|connection (refused|reset|timed out|error)|"
        r"failed to fetch|network is unreachable|proxy|max retries|certificate",
        "the packages cannot be downloaded: {last}",
        "Check the connection and the proxy, or name a folder of wheels. What was downloaded is kept.",
        "network",
    ),
    (
        r"no interpreter found|no python .*found",
        "no Python from 3.11 to 3.13 was found",
        "Install Python 3.12 from python.org, or allow going online: then uv fetches one.",
        "python-missing",
    ),
    (
        r"no matching distribution|no solution found|could not find a version|not found in the (package registry|provided)",
        "a package is not to be had for this Python or system: {last}",
        "Where a folder of wheels is named, it must hold all packages of the list, for this system and Python.",
        "package-missing",
    ),
    (
        r"ensurepip|no module named venv",
        "this Python cannot make environments: {last}",
        "On Debian or Ubuntu: apt-get install python3-venv. Elsewhere install uv, or Python from python.org.",
        "venv-missing",
    ),
)  # fmt: skip
