"""Where the backend's own Python is, and whether it is ready. No bpy. Blender's Python is never used: it has no torch and must get none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..backend.contract import EnvironmentFault
from .job import clean_environment, command

VARIABLE = "UNRENDER_BACKEND_PYTHON"
CHECK_SECONDS = 120.0  # a first import of torch from a cold disk may take most of a minute


@dataclass(frozen=True)
class Readiness:
    """What `python -m backend doctor --json` said.

    Attributes:
        ready: the backend can run.
        message: one sentence for the artist; where it is not ready, what is missing and how to get it.
        facts: the doctor's report as it came; empty where there was none.
    """

    ready: bool
    message: str
    facts: dict[str, Any] = field(default_factory=dict)


def python_in(folder: Path) -> Path:
    """The interpreter of a virtual environment."""
    return folder / "Scripts" / "python.exe" if sys.platform == "win32" else folder / "bin" / "python"


def find(chosen: str, managed: Path | None) -> Path:
    """The backend's Python: the one chosen in the preferences, else the variable UNRENDER_BACKEND_PYTHON, else the managed folder's.

    Args:
        chosen: an interpreter or the folder of an environment; empty when none is chosen.
        managed: the folder of the environment that Unrender keeps, if it has one.

    Raises:
        EnvironmentFault: nothing is set up, or what was named does not exist.
    """
    for source, value in (
        ("the preferences name", chosen),
        (f"the variable {VARIABLE} names", os.environ.get(VARIABLE, "")),
    ):
        if value:
            path = Path(value).expanduser()
            path = python_in(path) if path.is_dir() else path
            if path.is_file():
                return path
            raise EnvironmentFault(
                f"{source} {value} as the backend's Python, which does not exist",
                hint="Choose an interpreter that has the backend's packages.",
                code="interpreter",
            )
    if managed is not None and python_in(managed).is_file():
        return python_in(managed)
    raise EnvironmentFault(
        "the backend's Python environment is not set up",
        hint="Name its interpreter in Preferences > Add-ons > Unrender, or in the variable " + VARIABLE + ".",
        code="environment-missing",
    )


def check(interpreter: Path, root: Path, seconds: float = CHECK_SECONDS) -> Readiness:
    """Ask the backend in `root` whether `interpreter` can run it; never raises."""
    try:
        done = subprocess.run(
            command(interpreter, ["doctor", "--json"]),
            cwd=root,
            env=clean_environment(dict(os.environ)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Readiness(False, f"The backend's Python cannot be asked: {error}")
    facts = _last_object(done.stdout)
    if done.returncode == 0:
        return Readiness(True, "The backend is ready.", facts)
    missing = [check for check in facts.get("checks", ()) if check.get("state") == "missing"]
    said = "; ".join(f"{check['name']}: {check['value']}" for check in missing) or str(facts.get("message") or "")
    hint = next((check["hint"] for check in missing if check.get("hint")), str(facts.get("hint") or ""))
    if not said:
        said = next(
            (line for line in reversed(done.stderr.splitlines()) if line.strip()), f"exit status {done.returncode}"
        )
    return Readiness(False, f"The backend is not ready. {said}" + (f". {hint}" if hint else ""), facts)


def _last_object(output: str) -> dict[str, Any]:
    """The last JSON object in the output: on a line of its own, or the whole output."""
    for text in (output, *reversed(output.splitlines())):
        try:
            data = json.loads(text)
        except ValueError:
            continue
        if isinstance(data, dict):
            return data
    return {}
