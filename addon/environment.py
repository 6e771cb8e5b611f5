"""Where the backend's own Python is, and whether it is ready. No bpy. Blender's Python is never used: it has no torch and must get none."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..backend.contract import EnvironmentFault
from .installer.report import lines
from .installer.store import Store, key_of, python_in

VARIABLE = "UNRENDER_BACKEND_PYTHON"
_PREFERENCES = "Preferences > Add-ons > Unrender"
_APP = "unrender"


@dataclass(frozen=True)
class EnvironmentStatus:
    """Where the backend's environment stands, from a look at a few files; cheap enough for a draw function.

    Attributes:
        ready: a job can be started. A chosen interpreter counts as ready until a check has found that it is not.
        reason: one sentence for the artist.
        interpreter: the backend's Python; None where there is none.
        state: what the preferences draw; 'making' while any work on the environment goes on.
        details: versions, device and engine, one a line; empty unless known.
        bytes: size on disk of a managed environment; 0 unless known.
        managed: it is the environment that Unrender keeps, not an interpreter that was chosen.
    """

    ready: bool
    reason: str
    interpreter: Path | None
    state: Literal["missing", "making", "ready", "broken"] = "missing"
    details: tuple[str, ...] = ()
    bytes: int = 0
    managed: bool = True


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
        hint=f"Make it in {_PREFERENCES}, or name an interpreter there or in the variable {VARIABLE}.",
        code="environment-missing",
    )


def place(home: Path, lock: Path) -> Store:
    """The managed environment below `home` that holds what the file `lock` asks for."""
    try:
        text = lock.read_text(encoding="utf-8")
    except OSError as error:
        raise EnvironmentFault(
            f"{lock}, the list of the backend's packages, cannot be read: {error.strerror or error}",
            hint="Install the extension again.",
            code="installation-damaged",
        ) from error
    return Store(home, key_of(text))


def interpreter(chosen: str, home: Path, lock: Path) -> Path:
    """The backend's Python, as `find` does, the managed environment being taken only when it was made to its end."""
    store = place(home, lock)
    return find(chosen, store.environment if store.facts() is not None else None)


def look(chosen: str, home: Path, lock: Path, checked: dict[Path, tuple[str, dict[str, Any]]]) -> EnvironmentStatus:
    """Where the environment stands on disk.

    Args:
        chosen: as for `find`.
        home: the folder of managed environments.
        lock: pip's requirements file.
        checked: what checks in this session found of an interpreter: (what is wrong or '', the doctor's report).
    """
    managed = not (chosen or os.environ.get(VARIABLE))
    try:
        store = place(home, lock)
        facts = store.facts()
        path = find(chosen, store.environment if facts is not None else None)
    except EnvironmentFault as fault:
        reason = f"{fault.message[0].upper()}{fault.message[1:]}. {fault.hint}"
        if fault.code != "environment-missing":
            return EnvironmentStatus(False, reason, None, "broken", managed=managed)
        if facts is not None:
            reason = f"The environment in {store.environment} has lost its Python. Make it anew."
            return EnvironmentStatus(False, reason, None, "broken")
        if _others(store):
            reason = "Another version of Unrender left an environment; this one needs other packages. Make it anew."
        return EnvironmentStatus(False, reason, None)
    wrong, report = checked.get(path, ("", {}))
    facts = facts or {}
    if wrong:
        return EnvironmentStatus(False, wrong, path, "broken", managed=managed)
    shown = tuple(lines(report or (facts.get("report", {}) if managed else {})))
    reason = "The backend is ready." if shown else "An interpreter is chosen; it was not checked yet."
    return EnvironmentStatus(True, reason, path, "ready", shown, int(facts.get("bytes", 0)) if managed else 0, managed)


def status(context_or_preferences: Any) -> EnvironmentStatus:
    """Where the environment stands, for panels: from Blender's context or the add-on's preferences."""
    from . import preferences  # it imports this module

    return preferences.environment_status(context_or_preferences)


def shared_home() -> Path:
    """The user's folder for data of programs: the same for all versions of Blender, and left alone by an uninstall."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    return base / _APP / "environments"


def _others(store: Store) -> bool:
    return any(path.is_file() for path in store.home.glob("*/unrender.json")) if store.home.is_dir() else False
