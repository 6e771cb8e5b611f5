"""`convert-config THEIRS.json`: the configuration of another inverse renderer as a request of ours, key by key."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.console import Console
from backend.contract import RequestError, parse, write_json

_MESHES = (".obj", ".glb", ".gltf")


class _RefusedError(Exception):
    """The key has no counterpart; the text says what to do instead."""


class _Conversion:
    """The request as far as it is known, and what there is to say about each key."""

    def __init__(self, theirs: dict[str, Any]) -> None:
        self.theirs = theirs
        self.request: dict[str, Any] = {}
        self.notes: list[str] = []

    def put(self, path: str, value: Any) -> None:
        *sections, name = path.split(".")
        place = self.request
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value

    def from_mesh(self) -> bool:
        return str(self.theirs.get("ref_mesh", "")).lower().endswith(_MESHES)


_Rule = Callable[[_Conversion, str, Any], None]


def _to(*paths: str, kind: Callable[[Any], Any] = lambda value: value) -> _Rule:
    """The value goes to these keys of ours."""

    def rule(conversion: _Conversion, key: str, value: Any) -> None:
        for path in paths:
            conversion.put(path, kind(value))

    return rule


def _needless(why: str) -> _Rule:
    """The key changes nothing that has to be said to us."""

    def rule(conversion: _Conversion, key: str, value: Any) -> None:
        conversion.notes.append(f"{key}: left out, {why}")

    return rule


def _only(allowed: Any, otherwise: str) -> _Rule:
    """One value is what we do anyway; any other is refused."""

    def rule(conversion: _Conversion, key: str, value: Any) -> None:
        if value != allowed:
            raise _RefusedError(otherwise)

    return rule


def _bounds(ours: tuple[tuple[float, float], ...]) -> _Rule:
    """Bounds of a material's channels: ours are fixed. What only trims them is left out, what holds a channel is refused."""

    def rule(conversion: _Conversion, key: str, value: Any) -> None:
        upper = key.endswith("max")
        for given, (lowest, highest) in zip(value, ours, strict=False):
            if (upper and given < highest) or (not upper and given > lowest):
                raise _RefusedError("it holds a channel narrower than we can; our channels have their full range")
        conversion.notes.append(f"{key}: left out, our channels have a fixed range of their own")

    return rule


def _rates(conversion: _Conversion, key: str, value: Any) -> None:
    first, second = (value[0], value[-1]) if isinstance(value, list) else (value, value)
    conversion.put("shape.learning_rate", first)
    conversion.put("refine.learning_rate_textures", second)
    conversion.notes.append(f"{key}: goes to shape and textures; positions and light keep rates of their own")


def _texture(conversion: _Conversion, key: str, value: Any) -> None:
    side = max(value) if isinstance(value, list) else value
    power = 1 << (int(side) - 1).bit_length()
    conversion.put("asset.texture_size", power)
    if value not in (power, [power, power]):
        conversion.notes.append(f"{key}: {value} becomes {power}, since textures are square with a power of two")


def _probe(conversion: _Conversion, key: str, value: Any) -> None:
    conversion.put("light.resolution", min(1 << (int(value) - 1).bit_length(), 512))


def _grid(conversion: _Conversion, key: str, value: Any) -> None:
    conversion.put("shape.cells", value)
    conversion.put("shape.start_cells", min(32, value))


def _isosurface(conversion: _Conversion, key: str, value: Any) -> None:
    methods = {"dmtet": "tetrahedra", "flexicubes": "flexicubes"}
    if value not in methods:
        raise _RefusedError("expected 'dmtet' or 'flexicubes'")
    conversion.put("shape.method", methods[value])


def _environment(conversion: _Conversion, key: str, value: Any) -> None:
    if value is None:
        return
    if conversion.from_mesh():
        conversion.put("views.environment", value)
    if conversion.theirs.get("lock_light") or not conversion.from_mesh():
        conversion.put("light.file", value)


def _lock_light(conversion: _Conversion, key: str, value: Any) -> None:
    if value and not (conversion.theirs.get("envmap") or conversion.theirs.get("envlight")):
        raise _RefusedError("a light can be kept only where light.file names it; give envmap")
    conversion.put("light.lock", bool(value))


_DIFFUSE, _SPECULAR = ((0.03, 0.8),) * 3, ((1.0, 0.0), (0.25, 1.0), (0.25, 1.0))
RULES: dict[str, _Rule] = {
    "ref_mesh": _to("source"),
    "base_mesh": _to("keep_mesh"),
    "iter": _to("shape.steps", "refine.steps"),
    "texture_res": _texture,
    "train_res": _to("views.resolution", kind=lambda value: max(value) if isinstance(value, list) else value),
    "batch": _to("shape.views_per_step", "refine.views_per_step"),
    "learning_rate": _rates,
    "dmtet_grid": _grid,
    "isosurface": _isosurface,
    "probe_res": _probe,
    "envmap": _environment,
    "envlight": _environment,
    "lock_light": _lock_light,
    "lock_pos": _to("lock_positions"),
    "sdf_regularizer": _to("shape.weights.sdf_sign_start"),
    "kd_min": _bounds(_DIFFUSE),
    "kd_max": _bounds(_DIFFUSE),
    "ks_min": _bounds(_SPECULAR),
    "ks_max": _bounds(_SPECULAR),
    "random_textures": _only(True, "textures are always fitted from scratch; set it to true"),
    "camera_space_light": _to("light.space", kind=lambda value: "camera" if value else "world"),
    "layers": _to("refine.layers"),
    "spp": _only(1, "raise views.resolution instead"),
    "env_scale": _to("light.strength"),
    "laplace": _only("relative", "the Laplacian is relative to the stage's first mesh; see refine.weights.laplacian"),
    "loss": _only("logl1", "colour is compared by L1 of the encoded log; see shape.weights.color"),
    "mtl_override": _only(None, "name the material library in the mesh's own mtllib line"),
    "custom_mip": _only(False, "the texture filter cannot be chosen"),
    "laplace_scale": _needless("vertex steps are preconditioned; refine.weights.laplacian adds such a term"),
    "mesh_scale": _needless("the box is found from the views; views.box sets one in scene units"),
    "cam_near_far": _needless("near and far follow the box"),
    "background": _needless("what is behind the object is random in each step, which the masks allow"),
    "display": _needless("previews show photograph, render and difference"),
    "save_interval": _needless("previews and checkpoints follow the clock"),
    "out_dir": _needless("give the folder with -o"),
    "pre_load": _needless("images are kept where memory allows"),
    "validate": _needless("held-out views are measured at the end; see the verb evaluate"),
}


def convert(theirs: dict[str, Any], partial: bool = False) -> tuple[dict[str, Any], list[str]]:
    """Their keys -> our request, checked, and a sentence for each key that was left out or changed.

    Raises RequestError that lists every key that has no counterpart, with what to do, and every unknown one; with
    `partial` these become sentences.
    """
    conversion, refused = _Conversion(theirs), []
    for key, value in theirs.items():
        try:
            if key not in RULES:
                raise _RefusedError("unknown key")
            RULES[key](conversion, key, value)
        except _RefusedError as error:
            refused.append(f"{key} = {json.dumps(value)}: {error}")
        except (TypeError, ValueError, IndexError):
            refused.append(f"{key} = {json.dumps(value)}: a value of another type than expected")
    if refused and not partial:
        raise RequestError(
            "keys that cannot be converted:\n  " + "\n  ".join(refused),
            hint="Change them, or leave them out with --partial.",
            code="config-unconvertible",
        )
    parse(conversion.request)
    return conversion.request, conversion.notes + [f"left out, {line}" for line in refused]


def convert_config(arguments: argparse.Namespace, console: Console) -> None:
    """The verb `convert-config`."""
    path = Path(arguments.config)
    try:
        theirs = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RequestError(f"{path} does not exist", hint="Check the path.", code="config-missing") from None
    except (OSError, ValueError) as error:
        raise RequestError(f"{path} cannot be read: {error}", code="config-unreadable") from None
    if not isinstance(theirs, dict):
        raise RequestError(f"{path} is no object with keys", code="config-unreadable")
    request, notes = convert(theirs, arguments.partial)
    for note in notes:
        console.note(note + "\n")
    if arguments.output:
        write_json(Path(arguments.output), request)
    else:
        console.text(json.dumps(request, indent=2))
