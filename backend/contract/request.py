"""A whole run as it is asked for, and how a dictionary and the command line become one."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .checked import Checked, build, from_text, hints_of, join, mapping, setting, typed, unknown_key
from .errors import RequestError
from .sections import AssetStage, LightSettings, RefineStage, ShapeStage, ViewSettings

PRESETS = ("draft", "standard", "high")


@dataclass(frozen=True, kw_only=True)
class Request(Checked):
    """A whole run. `parse` makes one from a dictionary, its preset's values under the keys that are given."""

    source: str = setting(
        dataclasses.MISSING, "folder of posed images, a transforms.json, or a reference mesh (.obj, .glb, .gltf)"
    )
    preset: Literal["draft", "standard", "high"] = setting("standard", "the set of values this request started from")
    device: str = setting("auto", "'auto', 'cpu', 'cuda' or 'cuda:N'")
    engine: str = setting("auto", "maker of the rendering primitives: 'auto' or a name that `doctor` lists")
    seed: int = setting(0, "start of every random choice", 0, 2**31 - 1)
    threads: int = setting(0, "processor threads used; 0 takes all", 0, 1024)
    views: ViewSettings = field(default_factory=ViewSettings)
    shape: ShapeStage = field(default_factory=ShapeStage)
    asset: AssetStage = field(default_factory=AssetStage)
    refine: RefineStage = field(default_factory=RefineStage)
    light: LightSettings = field(default_factory=LightSettings)
    keep_mesh: str | None = setting(
        None, "mesh with texture coordinates to keep: the shape and asset stages are left out"
    )
    lock_positions: bool = setting(False, "leave the vertices where they are in the refine stage")

    def check(self) -> None:
        """Names that are no choice of a fixed list."""
        if not self.source:
            raise RequestError("source is empty; expected a folder of posed images, a transforms.json or a mesh file")
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise RequestError(f"device is {self.device!r}; expected 'auto', 'cpu', 'cuda' or 'cuda:N'")
        if not self.engine:
            raise RequestError("engine is empty; expected 'auto' or a name that `python -m backend doctor` lists")


def parse(data: Mapping[str, Any]) -> Request:
    """A dictionary, as read from JSON, to a Request: the preset's values, overlaid by the keys that `data` has.

    Raises RequestError for an unknown key, a wrong type or a value out of range, each with its path.
    """
    return build(Request, apply_preset(mapping("request", data)), "")


def to_dict(request: Request) -> dict[str, Any]:
    """All of a request as JSON can hold it; `parse` of it gives the same request."""
    return json.loads(json.dumps(dataclasses.asdict(request)))


def apply_preset(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` laid over the values of the preset it names ('standard' when it names none)."""
    name = data.get("preset", "standard")
    if name not in PRESETS:
        raise RequestError(f"preset is {name!r}; expected one of {', '.join(PRESETS)}", code="preset-unknown")
    values = json.loads((Path(__file__).parents[1] / "configs" / f"{name}.json").read_text(encoding="utf-8"))
    return _overlay(values, data)


def assign(data: Mapping[str, Any], assignment: str) -> dict[str, Any]:
    """`data` with one more key, given as text: 'shape.cells=64', 'light.file=null', 'views.box=-1,-1,0,1,1,2'."""
    path, equals, text = assignment.partition("=")
    path = path.strip()
    if not equals or not path:
        raise RequestError(f"--set {assignment!r}: expected key=value, such as shape.cells=64")
    section, names = Request, path.split(".")
    for depth, name in enumerate(names):
        hints = hints_of(section)
        here = ".".join(names[:depth])
        if name not in hints:
            raise unknown_key(here, name, section)
        section = hints[name]
        if dataclasses.is_dataclass(section) == (depth == len(names) - 1):
            keys = f"; its keys: {', '.join(hints_of(section))}" if dataclasses.is_dataclass(section) else ""
            raise RequestError(
                f"--set {assignment!r}: {join(here, name)} {'is a section' if keys else 'has no keys'}{keys}"
            )
    value: Any = typed(path, section, from_text(section, text.strip()))
    for name in reversed(names):
        value = {name: value}
    return _overlay(data, value)


def _overlay(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _overlay(merged[key], value) if both else value
    return merged
