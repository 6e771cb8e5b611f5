"""Build the Blender extension: dist/unrender-<version>.zip. Standard library only.

The same tree gives the same bytes: entries are sorted and carry one date. What Blender's own validator lets pass (unknown keys, an SPDX
name nobody knows, a left-over bl_info, symbolic links, and what extension_checks.py lists) is refused here.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import extension_checks

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("addon", "backend")
SINGLE_FILES = ("blender_manifest.toml", "LICENSE.txt", "requirements/backend.txt")
ENTRY = '''\
"""Unrender: posed views in, a Blender asset out. SPDX-License-Identifier: GPL-3.0-or-later."""
from .addon import api, register, unregister
__all__ = ("api", "register", "unregister")
'''
SUFFIXES = {
    ".py",
    ".json",
    ".toml",
    ".txt",
    ".md",
    ".html",
    ".css",
    ".js",
    ".npz",
    ".glsl",
    ".cu",
    ".h",
    ".svg",
    ".png",
}
DATE = (2026, 1, 1, 0, 0, 0)

REQUIRED_KEYS = {
    "schema_version", "id", "version", "name", "tagline", "maintainer", "type", "blender_version_min", "license",
}  # fmt: skip
KNOWN_KEYS = REQUIRED_KEYS | {
    "blender_version_max", "copyright", "permissions", "platforms", "tags", "website", "wheels",
}  # fmt: skip
LICENSES = {"SPDX:GPL-3.0-or-later"}
PERMISSIONS = {"files", "network", "clipboard", "camera", "microphone"}
PLATFORMS = {"windows-x64", "windows-arm64", "macos-x64", "macos-arm64", "linux-x64"}


class BuildError(Exception):
    """The tree cannot become an extension; the message says what to change."""


def read_manifest(text: str) -> dict[str, Any]:
    """The manifest's keys. Reads the subset of TOML that ours uses, since Python 3.10 has no reader for it.

    Tables become dictionaries; values are strings or lists of strings.
    """
    manifest: dict[str, Any] = {}
    table = manifest
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if header := re.fullmatch(r"\[(\w+)\]", line):
            table = {}
            manifest[header[1]] = table
            continue
        key, equals, value = line.partition("=")
        try:
            table[key.strip()] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):
            equals = ""
        if not equals:
            raise BuildError(
                f'blender_manifest.toml line {number}: cannot read {line!r}; expected key = "text" or a list'
            )
    return manifest


def manifest_faults(manifest: dict[str, Any]) -> list[str]:
    """What is wrong with the manifest, in sentences; empty when nothing is."""
    faults = [f"unknown key {key!r}" for key in manifest if key not in KNOWN_KEYS]
    faults += [f"missing key {key!r}" for key in sorted(REQUIRED_KEYS - manifest.keys())]
    if faults:
        return faults
    patterns = {
        "id": r"[a-z][a-z0-9]*(_[a-z0-9]+)*",
        "version": r"\d+\.\d+\.\d+([-+][0-9A-Za-z.-]+)?",
        "blender_version_min": r"\d+\.\d+\.\d+",
    }
    faults += [
        f"{key} is {manifest[key]!r}; expected {pattern}"
        for key, pattern in patterns.items()
        if not re.fullmatch(pattern, str(manifest[key]))
    ]
    permissions = manifest.get("permissions", {})
    faults += [f"unknown permission {key!r}" for key in permissions if key not in PERMISSIONS]
    for name, text in {"tagline": manifest["tagline"], **permissions}.items():
        if not 0 < len(str(text)) <= 64 or not str(text)[-1].isalnum():
            faults.append(f"{name} {text!r} is longer than 64 characters, empty, or ends in punctuation")
    faults += [
        f"license {name!r} is not {' or '.join(sorted(LICENSES))}"
        for name in manifest["license"]
        if name not in LICENSES
    ]
    faults += [
        f"copyright {text!r} has no leading year" for text in manifest.get("copyright", ()) if not text[:4].isdigit()
    ]
    faults += [f"unknown platform {name!r}" for name in manifest.get("platforms", ()) if name not in PLATFORMS]
    if re.search("blender", str(manifest["name"]), re.IGNORECASE):
        faults.append("name contains 'Blender', which its trademark rules forbid")
    return faults


def sources(root: Path) -> Iterator[tuple[str, bytes]]:
    """(name in the zip, bytes) of every file the extension holds, sorted by name. Raises BuildError for what must not be shipped."""
    files = {name: root / name for name in SINGLE_FILES}
    for folder in FOLDERS:
        for path in (root / folder).rglob("*"):
            if path.is_symlink():
                raise BuildError(f"{path} is a symbolic link, which Blender would leave out; put the file itself there")
            if path.is_file() and "__pycache__" not in path.parts:
                files[path.relative_to(root).as_posix()] = path
    entries = {"__init__.py": ENTRY.encode()}
    for name, path in files.items():
        if path.name.startswith(".") or path.suffix not in SUFFIXES:
            raise BuildError(
                f"{path}: no file of this kind belongs into the extension; remove it or add {path.suffix!r} to SUFFIXES"
            )
        if not path.is_file():
            raise BuildError(f"{path} is missing; the extension cannot be shipped without it")
        entries[name] = path.read_bytes()
        if path.suffix == ".py" and re.search(rb"^bl_info\s*=", entries[name], re.MULTILINE):
            raise BuildError(f"{path} sets bl_info, which extensions do not have; the manifest holds these facts")
    yield from sorted(entries.items())


def build(root: Path, output: Path) -> Path:
    """Write the zip of the tree at `root` into the folder `output`; returns its path."""
    manifest_path = root / "blender_manifest.toml"
    manifest = read_manifest(manifest_path.read_text(encoding="utf-8"))
    if faults := manifest_faults(manifest):
        raise BuildError(f"{manifest_path}: " + "; ".join(faults))
    entries = dict(sources(root))
    changelog = root / "CHANGELOG.md"
    told = changelog.read_text(encoding="utf-8") if changelog.is_file() else ""
    if faults := extension_checks.faults(entries, manifest, told):
        raise BuildError("this is no extension to give away:\n" + "\n".join(faults))
    output.mkdir(parents=True, exist_ok=True)
    target = output / f"{manifest['id']}-{manifest['version']}.zip"
    partial = target.with_suffix(".part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in entries.items():
            entry = zipfile.ZipInfo(name, DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            archive.writestr(entry, data)
    partial.replace(target)
    return target


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository (default: this one)")
    parser.add_argument("--output", type=Path, help="folder of the zip (default: dist/ in the repository)")
    options = parser.parse_args()
    try:
        print(build(options.root, options.output or options.root / "dist"))
    except (BuildError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
