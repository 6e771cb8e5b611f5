"""Configurations with a name: a request on top of a preset, and what the user needs on disk for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.contract import PRESETS, RequestError

_FOLDER = Path(__file__).resolve().parents[1] / "configs"


@dataclass(frozen=True, kw_only=True)
class Example:
    """A configuration: `request` as `parse` takes it, and three texts that may be empty.

    Attributes:
        request: keys of a request; its relative paths start in the folder the command is called in.
        what: what is reconstructed from what.
        needs: where the data comes from, for whoever has not got it.
        differs: what a user of the published example should know is done otherwise.
    """

    request: dict[str, Any]
    what: str = ""
    needs: str = ""
    differs: str = ""


def names() -> list[str]:
    """The configurations that come with Unrender, presets left out."""
    return sorted(path.stem for path in _FOLDER.glob("*.json") if path.stem not in PRESETS)


def load(name: str) -> Example:
    """The configuration called `name`, or the one in the JSON file `name`; RequestError when there is none."""
    path = Path(name) if name.endswith(".json") else _FOLDER / f"{name}.json"
    if not name.endswith(".json") and name not in names():
        raise RequestError(
            f"--config is {name!r}; expected a .json file or one of {', '.join(names())}", code="config-unknown"
        )
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RequestError(f"--config {path} does not exist", hint="Check the path.", code="config-missing") from None
    except (OSError, ValueError) as error:
        raise RequestError(f"--config {path} cannot be read: {error}", code="config-unreadable") from None
    if not isinstance(data, dict):
        raise RequestError(f"--config {path} is no object with keys", code="config-unreadable")
    about = data.pop("about", {})
    texts = {"what", "needs", "differs"}
    if not isinstance(about, dict) or set(about) - texts or not all(isinstance(text, str) for text in about.values()):
        raise RequestError(f"--config {path}: about is no object of the texts what, needs, differs", code="key-unknown")
    return Example(request=data, **about)
