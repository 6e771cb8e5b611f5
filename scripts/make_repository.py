"""A folder that any web server can offer as an extension repository: the built zip, index.json and index.html.

    python3 scripts/make_repository.py                    builds the extension and lists it in dist/repository
    python3 scripts/make_repository.py --blender PATH     with that Blender, or that Python which has bpy

Blender's own `extension server-generate` writes the lists, so that they are what Blender reads. Users add the address of index.json
under Preferences > Get Extensions > Repositories > Add Remote Repository; Blender tells them of updates. Zips of earlier versions go
into the folder older/, which is not listed: Blender offers one version of an extension. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import build_extension
import environments

LIMIT = 120.0  # seconds
_FIND = (  # the extension commands of a bpy module, as a script that runs without it
    "import importlib.util, pathlib; place = pathlib.Path(importlib.util.find_spec('bpy').origin).parent; "
    "print(next(place.glob('*/scripts/addons_core/bl_pkg/cli/blender_ext.py')))"
)


class RepositoryError(Exception):
    """The repository cannot be made; the message says why."""


def make(folder: Path, program: Path, archive: Path | None = None) -> Path:
    """Put the extension into `folder` and list it there; returns index.json.

    Args:
        folder: the repository; made when it is not there.
        program: Blender, or a Python that has the module bpy.
        archive: the built zip; None builds it.

    Raises:
        RepositoryError: Blender refused, or listed something else.
        build_extension.BuildError: the tree cannot become an extension.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as built:
        new = archive or build_extension.build(build_extension.ROOT, Path(built))
        for old in folder.glob("*.zip"):
            (folder / "older").mkdir(exist_ok=True)
            old.replace(folder / "older" / old.name)
        (folder / new.name).write_bytes(new.read_bytes())
    _run([*_command(program), "server-generate", "--repo-dir", str(folder), "--html"])
    index = folder / "index.json"
    listed = [
        f"{entry['id']}-{entry['version']}.zip" for entry in json.loads(index.read_text(encoding="utf-8"))["data"]
    ]
    if listed != [new.name]:
        raise RepositoryError(f"{index} lists {listed}; expected {new.name} alone")
    return index


def _command(program: Path) -> list[str]:
    """How `program` is told one of Blender's extension commands."""
    if not program.is_file():
        raise RepositoryError(f"{program} does not exist; name Blender, or a Python that has bpy")
    if program.name.startswith("python"):
        return [str(program), _run([str(program), "-I", "-c", _FIND]).strip()]
    return [str(program), "--factory-startup", "--command", "extension"]


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired as error:
        raise RepositoryError(f"{' '.join(command)} was not done after {LIMIT:.0f} s") from error
    if done.returncode != 0:
        raise RepositoryError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=environments.ROOT / "dist" / "repository", metavar="FOLDER")
    parser.add_argument("--blender", type=Path, metavar="PATH", help="Blender, or a Python that has bpy")
    parser.add_argument("--archive", type=Path, metavar="ZIP", help="a built extension (default: build it)")
    options = parser.parse_args()
    try:
        print(make(options.output, options.blender or environments.blender_python(), options.archive))
    except (RepositoryError, build_extension.BuildError, environments.SetupError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
