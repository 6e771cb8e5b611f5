"""Types of addon/ against fake-bpy-module, the published stubs of Blender's Python API, with mypy under pyproject's rules.

    PYTHON scripts/check_addon_types.py          PYTHON has requirements/test.txt

mypy cannot read Blender's declarations (`name: bpy.props.IntProperty(...)` calls a function where a type should be), and the stubs know
nothing of an add-on's own properties. So a copy of addon/ is checked, the same line by line but for those declarations, which become
`name: int = bpy.props.IntProperty(...)`, beside a copy of the stubs with the few changes of `STUB_CHANGES`. No error is ignored.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / ".mypy_cache" / "addon"
PACKAGE = "unrender"  # a package around addon/ and backend/, as in an installed extension
TYPES = {
    "BoolProperty": "bool",
    "IntProperty": "int",
    "FloatProperty": "float",
    "StringProperty": "str",
    "EnumProperty": "str",
}
_TYPES, _ENUMS = "bpy/types/__init__.pyi", "bpy/stub_internal/rna_enums/__init__.pyi"
_ANYTHING = r"""\g<0>
    def __getattr__(self, name: str) -> typing.Any: ...
    def __setattr__(self, name: str, value: typing.Any) -> None: ..."""
STUB_CHANGES = (  # (file, pattern, replacement); a pattern that is found nowhere is an error
    # The stubs call every pointer optional, a context's scene and a panel's layout too. Our own optional values stay checked.
    (_TYPES, r"(def \w+\(self\) -> [\w.\[\]]+) \| None:", r"\1:"),
    (_TYPES, r"(?m)^(    \w+: [\w.]+) \| None$", r"\1"),
    # What register() adds.
    (_TYPES, r"(?m)^import typing$", f"import typing\nimport {PACKAGE}.addon.properties"),
    (_TYPES, r"(?m)^class Scene\(.*$", rf"\g<0>\n    unrender: {PACKAGE}.addon.properties.UNRENDER_PG_settings"),
    # A declaration gives a property of the class.
    ("bpy/props/__init__.pyi", r"(?m)^\) -> None:", ") -> typing.Any:"),
    # Which class it is depends on another value: an object's type, a node's or an attribute's.
    (_TYPES, r"(?m)^    data: \(\n(?:        .*\n)+?    \)", "    data: typing.Any"),
    (
        _TYPES,
        r"(?m)^class (?:Node|Attribute|Modifier)\(.*$",
        _ANYTHING,
    ),
    (_TYPES, r"(def get\(self, key: str \| None, default=None\)) -> None", r"\1 -> typing.Any"),
    # Wrong in the stubs: more than one number, more than one engine, and rows that can be gone through.
    (_TYPES, r"(?m)^    (pixels|image_pixels_float): float$", r"    \1: typing.Any"),
    (_TYPES, r'(?m)^    engine: typing.Literal\["BLENDER_EEVEE_NEXT"\]', "    engine: str"),
    (
        "mathutils/__init__.pyi",
        r"(?m)^class (?:Matrix|Vector)\b.*:$",
        r"\g<0>\n    def __iter__(self) -> typing.Iterator[typing.Any]: ...",
    ),
    # The names of colour spaces are not in the program but in its configuration; a packed file's data are bytes.
    (_TYPES, r"(?m)^    name: bpy\.stub_internal\.rna_enums\.ColorSpaceConvertDefaultItems", "    name: str"),
    (
        _TYPES,
        r'(?m)^    def data\(self\) -> str:\n        """Raw data',
        '    def data(self) -> bytes:\n        """Raw data',
    ),
    # What Blender's own Python gives to menus and operators is made to be mixed in, which its stubs do not allow.
    (_TYPES, r"def draw_preset\(self, _context\)", "def draw_preset(self, context: Context)"),
    ("bl_operators/presets/__init__.pyi", r"(?ms)^class AddPresetBase:.*?(?=^class )", "AddPresetBase: typing.Any\n\n"),
    # An operator returns {"FINISHED"} as set[str]; a set of literals is another type, which Blender itself does not export.
    (_ENUMS, r"(?m)^type OperatorReturnItems = typing.Literal\[[^\]]*\]", "type OperatorReturnItems = str"),
)


def plain(source: str) -> str:
    """`source` with Blender's property declarations as annotated assignments; every line keeps its number."""
    lines = source.splitlines(keepends=True)
    calls = [
        node.annotation
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.AnnAssign) and node.value is None and isinstance(node.annotation, ast.Call)
    ]
    for call in calls:
        kind = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        typed = TYPES.get(kind, "")
        if kind == "PointerProperty":
            typed = next(ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg == "type") + " | None"
        if kind == "CollectionProperty":
            element = next(ast.unparse(keyword.value) for keyword in call.keywords if keyword.arg == "type")
            typed = f"bpy.types.bpy_prop_collection[{element}]"
        if not typed:
            raise SystemExit(f"line {call.lineno}: no type is known for {ast.unparse(call.func)}; add it to TYPES")
        text = lines[call.lineno - 1].encode()
        lines[call.lineno - 1] = (text[: call.col_offset] + f"{typed} = ".encode() + text[call.col_offset :]).decode()
    return "".join(lines)


def copy_sources() -> None:
    """The package to check: addon/ made plain, and what it may import of backend/."""
    package = WORK / PACKAGE
    shutil.rmtree(package, ignore_errors=True)
    for path in sorted(ROOT.glob("addon/**/*.py")):
        target = package / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(plain(path.read_text(encoding="utf-8")), encoding="utf-8")
    (package / "backend").mkdir()
    for name in ("__init__.py", "backend/__init__.py"):
        (package / name).touch()
    shutil.copytree(ROOT / "backend" / "contract", package / "backend" / "contract")


def copy_stubs() -> None:
    """Blender's stubs with our changes; SystemExit where a change finds nothing to change."""
    found = importlib.util.find_spec("bpy-stubs")
    if found is None or not found.submodule_search_locations:
        raise SystemExit("fake-bpy-module is not installed: pip install -r requirements/test.txt")
    site = Path(next(iter(found.submodule_search_locations))).parent
    for name in ("bl_operators", "bpy", "mathutils"):
        shutil.rmtree(WORK / name, ignore_errors=True)
        shutil.copytree(site / f"{name}-stubs", WORK / name)
    for name, pattern, replacement in STUB_CHANGES:
        path = WORK / name
        text, count = re.subn(pattern, replacement, path.read_text(encoding="utf-8"))
        if count == 0:
            raise SystemExit(f"{name} of fake-bpy-module has changed: {pattern} is not there")
        path.write_text(text, encoding="utf-8")


def main() -> int:
    """Check; the exit status is mypy's."""
    copy_sources()
    copy_stubs()
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "-p", f"{PACKAGE}.addon"]
    done = subprocess.run(
        [*command, "--cache-dir", str(WORK / "cache"), "--no-pretty"],
        cwd=WORK,
        env={**os.environ, "MYPYPATH": str(WORK)},
        capture_output=True,
        text=True,
        check=False,
    )
    print(re.sub(rf"(?m)^{PACKAGE}/", "", done.stdout) + done.stderr, end="")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
