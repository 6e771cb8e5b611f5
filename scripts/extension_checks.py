"""What Blender's validator lets pass and we don't: each rule with its reason. Standard library only; used by build_extension.py.

names       no two that differ in case alone (Windows, macOS), none longer than 120 characters (Windows' limit is 260 with its folder)
top level   only what belongs into the zip
licence     the text is there, and is the one that the manifest names
changelog   its first entry is of this version
size        what is unpacked stays below 8 MB
imports     the add-on imports itself relatively (its package's name differs between users), never torch or what comes with it, and
            leaves sys.path alone; extensions that do otherwise are refused
tooltips    every operator has a description, without a full stop, which Blender adds
network     the permission is asked for if and only if the add-on looks whether it may go online
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

LONGEST_NAME = 120
LARGEST = 8_000_000  # bytes
TOP_LEVEL = {"__init__.py", "blender_manifest.toml", "LICENSE.txt", "addon", "backend", "requirements"}
FOREIGN = {"addon", "backend", "bl_ext", "torch", "torchvision", "warp", "scipy", "cv2", "PIL", "imageio"}


def faults(entries: Mapping[str, bytes], manifest: Mapping[str, Any], changelog: str) -> list[str]:
    """What is wrong with an extension, in sentences; empty when nothing is.

    Args:
        entries: name in the zip -> content.
        manifest: as build_extension.read_manifest gives it.
        changelog: the text of CHANGELOG.md.
    """
    return [*_names(entries), *_texts(entries, manifest, changelog), *_code(entries, manifest)]


def _names(entries: Mapping[str, bytes]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for name in entries:
        if (other := seen.setdefault(name.lower(), name)) != name:
            yield f"{other} and {name} are one file where case does not count"
        if len(name) > LONGEST_NAME:
            yield f"{name} is longer than {LONGEST_NAME} characters"
        if name.split("/")[0] not in TOP_LEVEL:
            yield f"{name} does not belong into the extension"
        if "__pycache__" in name:
            yield f"{name} is a compiled file"
    if (size := sum(map(len, entries.values()))) > LARGEST:
        yield f"the extension is {size / 1e6:.1f} MB unpacked; expected less than {LARGEST / 1e6:.0f} MB"


def _texts(entries: Mapping[str, bytes], manifest: Mapping[str, Any], changelog: str) -> Iterator[str]:
    text = entries.get("LICENSE.txt", b"").decode(errors="replace")
    if "GNU GENERAL PUBLIC LICENSE" not in text or "Version 3" not in text:
        yield "LICENSE.txt is not the text of the GNU General Public License, version 3"
    newest = next((line[3:].split()[0] for line in changelog.splitlines() if line.startswith("## ")), "none")
    if newest != manifest["version"]:
        yield f"the newest entry of CHANGELOG.md is {newest}; the manifest's version is {manifest['version']}"


def _code(entries: Mapping[str, bytes], manifest: Mapping[str, Any]) -> Iterator[str]:
    asks = False
    for name, data in entries.items():
        if not name.endswith(".py"):
            continue
        try:
            tree = ast.parse(data)
        except SyntaxError as error:
            yield f"{name} line {error.lineno} is no Python: {error.msg}"
            continue
        if name.startswith("addon/"):
            asks |= b"online_access" in data
            for node in ast.walk(tree):
                yield from (f"{name} line {node.lineno} {words}" for words in _import_faults(node))
                yield from (f"{name} line {node.lineno} {words}" for words in _operator_faults(node))
    if "network" in manifest.get("permissions", {}) and not asks:
        yield "the manifest asks for the network, but the add-on never looks at bpy.app.online_access"
    if asks and "network" not in manifest.get("permissions", {}):
        yield "the add-on goes online, but the manifest does not ask for the network"


def _import_faults(node: ast.AST) -> Iterator[str]:
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        names = [node.module or ""]
    yield from (f"imports {name}" for name in names if name.split(".")[0] in FOREIGN)
    if (
        isinstance(node, ast.Attribute)
        and node.attr == "path"
        and isinstance(node.value, ast.Name)
        and node.value.id == "sys"
    ):
        yield "uses sys.path"


def _operator_faults(node: ast.AST) -> Iterator[str]:
    if not isinstance(node, ast.ClassDef) or "_OT_" not in node.name:
        return
    told = ast.get_docstring(node) or ""
    for line in node.body:
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "bl_description":
            told = str(ast.literal_eval(line.value))
    if not told:
        yield f"gives {node.name} no description"
    elif told.rstrip().endswith("."):
        yield f"ends the description of {node.name} with a full stop"
