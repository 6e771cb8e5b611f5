"""Who may import whom. Each rule is checked on the syntax tree of every file, so an import inside a function counts too."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ORDER = [
    {"dataset", "engines"},
    {"preflight", "capture"},
    {"geometry", "material", "light"},
    {"render"},
    {"loss"},
    {"optimise"},
    {"bake"},
    {"export"},
]
ABOVE_ALL = {"live", "pipeline", "commands", "__main__", "console", "job", "scene", "watch", "plan", "memory", "run"}


def imports(path: Path) -> list[tuple[int, str]]:
    """(level of relativity, dotted module) of every import in a file; `from a import b` counts as a.b."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.level, f"{node.module or ''}.{alias.name}".strip(".")) for alias in node.names]
    return found


def rank(room: str) -> int:
    return next(i for i, rooms in enumerate(ORDER) if room in rooms)


def violations(path: Path) -> list[str]:
    """The rules a file breaks, in words."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    bad = []
    for level, module in imports(path):
        root = module.split(".")[0]
        if parts[0] == "addon":
            if level == 0 and root in {"torch", "warp", "backend", "addon"}:
                bad.append(f"the add-on imports {module} absolutely")
            beyond = level - (len(parts) - 1)  # a relative import that leaves addon/ may only reach the contract
            if beyond >= 1 and not re.match(r"backend\.contract(\.|$)", module) and module != "backend":
                bad.append(f"the add-on reaches {module}")
        if parts[0] == "backend":
            if root in {"bpy", "mathutils", "addon", "bmesh"}:
                bad.append(f"the backend imports {module}")
            if (
                parts[1] == "contract"
            ):  # it also stands under the extension's name, so it can name itself relatively alone
                if level > 1 or (not level and root not in sys.stdlib_module_names):
                    bad.append(f"the contract imports {module}, which is neither its own nor in the standard library")
            elif level:
                bad.append(f"relative import of {module}; imports inside the backend are absolute")
            here, target = parts[1], module.split(".")[1] if root == "backend" and "." in module else ""
            if any(here in rooms for rooms in ORDER) and target and target != here and target != "contract":
                if target in ABOVE_ALL:
                    bad.append(f"{here} imports {target}, which is above it")
                elif any(target in rooms for rooms in ORDER) and rank(target) >= rank(here):
                    bad.append(f"{here} imports {target}, which does not come before it")
    return bad


FILES = sorted([*ROOT.glob("addon/**/*.py"), *ROOT.glob("backend/**/*.py")])


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_keeps_to_its_side_of_the_walls(path):
    assert not violations(path)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("addon/panel.py", "import torch"),
        ("addon/panel.py", "from ..backend.dataset import views"),
        ("addon/operators/x.py", "from backend import contract"),
        ("backend/light/x.py", "import bpy"),
        ("backend/light/x.py", "from backend.render.shade import shade"),
        ("backend/dataset/x.py", "def f():\n    from backend.pipeline import reconstruct"),
        ("backend/contract/x.py", "import numpy"),
        ("backend/contract/x.py", "from backend.contract.errors import RequestError"),
        ("backend/contract/x.py", "from ..scene import read_scene"),
        ("backend/material/x.py", "from ..geometry.mesh import Mesh"),
    ],
)
def test_each_wall_fails_when_broken(tmp_path, monkeypatch, name, source):
    broken = tmp_path / name
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.write_text(source)
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert violations(broken)


def test_device_names_stay_at_the_edges():
    allowed = {"__main__.py", "doctor.py", "device.py", "select.py", "launch.py"}
    for path in ROOT.glob("backend/**/*.py"):
        if path.name not in allowed:
            strings = {
                n.value
                for n in ast.walk(ast.parse(path.read_text()))
                if isinstance(n, ast.Constant) and isinstance(n.value, str)
            }
            assert "cuda" not in strings, f"{path.relative_to(ROOT)} names a device"
