"""Which Blenders the tests run with, what happens where a Python is missing, and lanes that run side by side."""

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))

import check_addon_types
import environments

SCRIPTS = environments.ROOT / "scripts"
SPEC = importlib.util.spec_from_file_location("run_tests", SCRIPTS / "test.py")
run_tests = importlib.util.module_from_spec(SPEC)
sys.modules["run_tests"] = run_tests
SPEC.loader.exec_module(run_tests)


def test_the_oldest_and_the_newest_unless_others_are_named(monkeypatch):
    monkeypatch.delenv("UNRENDER_BPY", raising=False)
    assert environments.blender_versions() == ("4.2", "5.2")
    monkeypatch.setenv("UNRENDER_BPY", "4.5, 5.0.1")
    assert environments.blender_versions() == ("4.5", "5.0.1")
    assert (environments.python_of("5.0.1"), environments.python_of("5.2")) == ("3.11", "3.13")
    with pytest.raises(environments.SetupError, match=r"Blender 3\.6 is not known; there are 4\.2, "):
        environments.python_of("3.6")


def test_a_missing_python_leaves_a_blender_out_aloud_or_stops(monkeypatch, capsys):
    def find(version):
        if version == "3.13":
            raise environments.PythonMissingError("No Python 3.13 was found.")

    monkeypatch.setattr(environments, "find_python", find)
    assert run_tests.usable(["4.2", "5.2"], insist=False) == ["4.2"]
    assert "WARNING: Blender 5.2 is left out" in capsys.readouterr().out
    with pytest.raises(environments.PythonMissingError):
        run_tests.usable(["4.2", "5.2"], insist=True)


def test_lanes_run_side_by_side_and_say_what_failed(capsys):
    def part(name, code, limit=20.0):
        return run_tests.Part(name, (sys.executable, "-c", code), dict(os.environ), limit)

    slow = "import time; time.sleep(1.0); print('slow words')"
    lanes = [
        run_tests.Lane([part("one", slow), part("bad", "raise SystemExit(7)")]),
        run_tests.Lane([part("two", slow), part("late", "import time; time.sleep(60)", 0.5)]),
    ]
    began = time.monotonic()
    seconds = run_tests.run(lanes)
    assert time.monotonic() - began < 20.0
    assert {name for name, took in seconds.items() if took < 0} == {"bad", "late"}
    said = capsys.readouterr().out
    assert said.index("== two:") < said.index("\nslow words")  # begun before the first had ended
    assert "bad: FAILED with exit status 7" in said and "late: FAILED: not done after" in said


def test_declarations_become_types_line_by_line():
    source = "class A:\n    n: bpy.props.IntProperty(\n        name='ü')\n    o: bpy.props.PointerProperty(type=bpy.types.Object)\n"
    assert check_addon_types.plain(source).splitlines() == [
        "class A:",
        "    n: int = bpy.props.IntProperty(",
        "        name='ü')",
        "    o: bpy.types.Object | None = bpy.props.PointerProperty(type=bpy.types.Object)",
    ]


def test_no_window_is_said_and_is_no_failure():
    command = [sys.executable, str(SCRIPTS / "screen.py"), "/no/such/blender"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and "SKIPPED: no window can be seen here: there is no /no/such/blender" in done.stdout
