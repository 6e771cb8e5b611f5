"""Environments are complete or not there, and made once; children end in time with their own children."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))

import environments
import processes


def test_an_environment_is_made_once_and_a_broken_one_anew(tmp_path, capsys):
    folder, calls = tmp_path / "home" / "thing-1", []

    def install():
        calls.append(sorted(path.name for path in folder.iterdir()))
        (folder / "package").write_bytes(b"x" * 1000)
        if len(calls) == 1:
            raise environments.SetupError("no network")

    with pytest.raises(environments.SetupError):
        environments._make(folder, "a thing", install)
    assert not folder.exists()
    folder.mkdir()
    (folder / "left by a crash").touch()
    environments._make(folder, "a thing", install)
    environments._make(folder, "a thing", install)
    assert calls == [[], []]
    assert capsys.readouterr().out.count("Installing a thing") == 2


def test_the_second_maker_waits_for_the_first(tmp_path):
    code = "import sys, time, environments, pathlib; folder = pathlib.Path(sys.argv[1])\n"
    code += "def install():\n    time.sleep(0.5); print('made')\nenvironments._make(folder, 'a thing', install)"
    command = [sys.executable, "-c", code, str(tmp_path / "thing")]
    makers = [
        subprocess.Popen(command, cwd=environments.ROOT / "scripts", stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [maker.communicate(timeout=20)[0] for maker in makers]
    assert [maker.returncode for maker in makers] == [0, 0]
    assert sum("made" in text for text in said) == 1


def test_a_missing_library_is_answered_with_its_packages(tmp_path):
    words = "ImportError: libX11.so.6: cannot open shared object file: No such file or directory"
    command = [sys.executable, "-c", f"raise SystemExit({words!r})"]
    with pytest.raises(environments.SetupError, match=r"libX11\.so\.6 is missing.*apt-get install .*libx11-6"):
        environments._run(command, tmp_path / "log", 30.0, "bpy does not work")


def test_a_late_child_is_ended_with_its_own_children(tmp_path):
    code = "import subprocess, sys, time; subprocess.Popen(['sleep', '60']); a = bytearray(200_000_000); time.sleep(60)"
    began = time.monotonic()
    outcome = processes.run([sys.executable, "-c", code], tmp_path / "log", 2.0)
    assert outcome.status is None and time.monotonic() - began < 10.0
    assert not Path("/proc").exists() or 0.2e9 < outcome.memory < 0.4e9


def test_words_are_passed_on_and_kept(tmp_path):
    heard = []
    code = "import os, sys; print('one', flush=True); print('two', file=sys.stderr); os._exit(7)"
    outcome = processes.run([sys.executable, "-c", code], tmp_path / "log", 20.0, dict(os.environ), None, heard.append)
    assert (outcome.status, heard, outcome.tail()) == (7, ["one", "two"], "one\ntwo")
