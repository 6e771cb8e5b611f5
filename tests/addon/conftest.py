"""Blender runs in child processes: `UNRENDER_BLENDER_PYTHON` names a Python that has bpy, and without it these tests are skipped."""

import importlib
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSIDE = Path(__file__).parent / "inside"
VARIABLE = "UNRENDER_BLENDER_PYTHON"


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    """The built extension."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, str(ROOT / "scripts/build_extension.py"), "--output", str(folder)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert built.returncode == 0, built.stderr
    return Path(built.stdout.strip())


@pytest.fixture
def blender(archive, tmp_path):
    """Run a script of inside/ in Blender with the extension installed; returns what it wrote as JSON."""
    python = os.environ.get(VARIABLE)
    if not python:
        pytest.skip(f"{VARIABLE} is not set; it names a Python that has bpy")

    def run(script, **arguments):
        answer = tmp_path / "answer.json"
        given = {"archive": str(archive), "folder": str(tmp_path), "answer": str(answer), **arguments}
        environment = {**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path / "resources"), "OMP_NUM_THREADS": "2"}
        environment.pop("UNRENDER_BACKEND_PYTHON", None)  # a test makes or names its own, so that it may also break it
        (tmp_path / "resources").mkdir(exist_ok=True)
        command = [python, str(INSIDE / script), json.dumps(given)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", timeout=240)
        said = f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        assert done.returncode == 0 and answer.is_file(), said
        assert "Traceback" not in done.stderr, said
        return json.loads(answer.read_text(encoding="utf-8"))

    return run


@pytest.fixture(scope="session")
def addon_module():
    """Import a module of addon/ that needs no bpy, as part of a package, without running addon/__init__.py."""
    for name, folder in (("unrender_tree", ROOT), ("unrender_tree.addon", ROOT / "addon")):
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package

    def load(name):
        return importlib.import_module(f"unrender_tree.addon.{name}")

    return load
