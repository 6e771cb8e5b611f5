"""A Python on this computer that an environment can be built on. No bpy; runs programs, so not for the window's thread."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from ...backend.contract import EnvironmentFault
from .plan import LAST_PYTHON, LEAST_PYTHON

_ASK = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
_SECONDS = 20.0


def candidates() -> list[str]:
    """Pythons by name, best first: never Blender's own, which goes away with its version of Blender."""
    names = ["python3.12", "python3.13", "python3.11", "python3", "python"]
    found = [path for name in names if (path := shutil.which(name))]
    found += [str(path) for path in sorted(Path.home().glob(".pyenv/versions/3.1[123]*/bin/python3"), reverse=True)]
    own = Path(sys.prefix).resolve()
    return [path for path in dict.fromkeys(found) if own not in Path(path).resolve().parents]


def find(chosen: str, environment: Mapping[str, str], among: Iterable[str] | None = None) -> Path:
    """A Python that fits: `chosen` if it is named, else the first of `among`. Raises EnvironmentFault with what to do."""
    for path in [chosen] if chosen else (candidates() if among is None else among):
        version = _version(path, environment)
        if version is not None and LEAST_PYTHON <= version <= LAST_PYTHON:
            return Path(path)
        if chosen:
            what = "is Python {}.{}".format(*version) if version else "cannot make environments"
            raise EnvironmentFault(
                f"{chosen} {what}; expected Python 3.11 to 3.13 with venv and pip",
                hint="Choose another one.",
                code="python-version",
            )
    raise EnvironmentFault(
        "neither uv nor a Python from 3.11 to 3.13 was found on this computer",
        hint="Allow fetching uv (Blender must be allowed to go online), or install uv or Python 3.12 yourself.",
        code="python-missing",
    )


def _version(path: str, environment: Mapping[str, str]) -> tuple[int, int] | None:
    try:
        done = subprocess.run(
            [path, "-I", "-c", _ASK],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_SECONDS,
            env=dict(environment),
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        major, minor = done.stdout.split()
        return int(major), int(minor)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
