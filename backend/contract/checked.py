"""Sections of a request that check themselves: types, ranges and the words for what is wrong."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import field
from typing import Any, ClassVar, Literal, TypeVar

from .errors import RequestError

_Section = TypeVar("_Section")


def setting(
    default: Any, meaning: str, low: float | None = None, high: float | None = None, power_of_two: bool = False
) -> Any:
    """A field of a request: its default, its meaning with the unit, and the range (both ends allowed) it must be in.

    The add-on reads the same three from the field's metadata to make its properties.
    """
    bounds = {"meaning": meaning, "low": low, "high": high, "power_of_two": power_of_two}
    return field(default=default, metadata=bounds)


class Checked:
    """Gives a frozen dataclass the check of each field's type and range when it is made."""

    PATH: ClassVar[str] = ""  # where the section stands in the request: '' for the request itself, 'shape.weights'

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for item in dataclasses.fields(self):  # type: ignore[arg-type]
            name = join(self.PATH, item.name)
            value = typed(name, hints[item.name], getattr(self, item.name))
            _in_range(name, value, item.metadata)
            object.__setattr__(self, item.name, value)
        self.check()

    def check(self) -> None:
        """What holds between several fields; raises RequestError."""


def build(kind: type[_Section], data: Mapping[str, Any], path: str) -> _Section:
    """A section, and those inside it, from a mapping; `path` is where it stands. RequestError says where what is wrong."""
    hints = hints_of(kind)
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key not in hints:
            raise unknown_key(path, key, kind)
        here = join(path, key)
        nested = dataclasses.is_dataclass(hints[key])
        values[key] = build(hints[key], mapping(here, value), here) if nested else typed(here, hints[key], value)
    for item in dataclasses.fields(kind):  # type: ignore[arg-type]
        absent = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        if absent and item.name not in values:
            raise RequestError(f"{path or 'request'}: {item.name} is missing; expected the {item.metadata['meaning']}")
    return kind(**values)


def typed(path: str, kind: Any, value: Any) -> Any:
    """`value` as `kind` wants it (a list becomes a tuple, an int a float), or RequestError."""
    origin, choices = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for choice in choices:
            with contextlib.suppress(RequestError):
                return typed(path, choice, value)
    elif origin is Literal:
        if value in choices:
            return value
    elif origin is tuple:
        if isinstance(value, (list, tuple)):
            return tuple(typed(f"{path}[{index}]", choices[0], item) for index, item in enumerate(value))
    elif kind is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300:  # nan fails this too
            return float(value)
    elif isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise RequestError(f"{path} is {_shown(value)}; expected {_wanted(kind)}")


def _in_range(path: str, value: Any, bounds: Mapping[str, Any]) -> None:
    low, high = bounds.get("low"), bounds.get("high")
    if low is None or high is None:
        return
    power = bounds["power_of_two"]
    if not low <= value <= high or (power and value & (value - 1)):
        kind = "a power of two from " if power else ""
        raise RequestError(f"{path} is {value}; expected {kind}{low:g} to {high:g} ({bounds['meaning']})")


def from_text(kind: Any, text: str) -> Any:
    """What somebody typed, as near to `kind` as it can be read; `typed` judges it afterwards."""
    choices = typing.get_args(kind)
    if type(None) in choices and text.lower() in ("null", "none", ""):
        return None
    if kind is str or str in choices or text in choices:
        return text
    if kind is bool and text.lower() in ("true", "yes", "on", "1", "false", "no", "off", "0"):
        return text.lower() in ("true", "yes", "on", "1")
    listed = any(typing.get_origin(choice) is tuple for choice in (kind, *choices))
    try:
        return json.loads(f"[{text}]" if listed and not text.startswith("[") else text)
    except ValueError:
        return text


def _wanted(kind: Any) -> str:
    origin, choices = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_wanted(choice) for choice in choices)
    if origin is Literal:
        return ", ".join(repr(choice) for choice in choices)
    if origin is tuple:
        return "a list of numbers"
    words = {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}
    return words.get(kind, f"a {getattr(kind, '__name__', kind)}")


def _shown(value: Any) -> str:
    if value is None or isinstance(value, (bool, int, float, str)):
        return "null" if value is None else json.dumps(value, ensure_ascii=False)
    return f"a {'list' if isinstance(value, (list, tuple)) else type(value).__name__}"


def hints_of(kind: Any) -> dict[str, Any]:
    """The types of a section's settings, by name."""
    hints = typing.get_type_hints(kind)
    return {item.name: hints[item.name] for item in dataclasses.fields(kind)}


def mapping(path: str, value: Any) -> Mapping[str, Any]:
    """`value`, or RequestError where it is no mapping."""
    if not isinstance(value, Mapping):
        raise RequestError(f"{path} is {_shown(value)}; expected an object with keys")
    return value


def unknown_key(path: str, key: str, kind: Any) -> RequestError:
    """What to raise for a key that a section does not have."""
    where = "request" + (f".{path}" if path else "")
    return RequestError(f"{where}: unknown key {key!r}; known keys: {', '.join(hints_of(kind))}", code="key-unknown")


def join(path: str, name: str) -> str:
    """Path of a setting inside a section."""
    return f"{path}.{name}" if path else name
