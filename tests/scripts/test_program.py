"""What only Blender's own program can show, where UNRENDER_BLENDER_PROGRAM names one; and the measure that compares its renderers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))

import silhouettes

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
PROGRAM = "UNRENDER_BLENDER_PROGRAM"


@pytest.mark.skipif(not os.environ.get(PROGRAM), reason=f"{PROGRAM} is not set; it names Blender's own program")
def test_all_ways_without_a_window_in_blenders_own_program():
    backend = os.environ.get("UNRENDER_BACKEND_PYTHON") or sys.executable
    command = [sys.executable, str(SCRIPTS / "check_program.py"), os.environ[PROGRAM], "--backend", backend]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("shift", "gain", "status"), [(0, 1.0, 0), (1, 1.0, 0), (3, 1.0, 1), (0, 1.05, 1)])
def test_renderers_that_disagree_are_told_apart(tmp_path, monkeypatch, capsys, shift, gain, status):
    exr = pytest.importorskip("OpenEXR")
    for name, move, factor in (("one", 0, 1.0), ("two", shift, gain)):
        rows, columns = np.mgrid[:32, :32]
        alpha = np.clip(10.5 - np.hypot(rows - 16, columns - 16 - move), 0.0, 1.0).astype(np.float32)
        pixels = alpha[..., None] * np.array([1.5 * factor, 0.6, 3.0, 1.0], np.float32)
        (tmp_path / name).mkdir()
        header = {"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}
        with exr.File(header, {"RGBA": pixels}) as file:
            file.write(str(tmp_path / name / "view.exr"))
    monkeypatch.setattr(sys, "argv", ["silhouettes.py", str(tmp_path / "one"), str(tmp_path / "two")])
    assert silhouettes.main() == status
    found = json.loads(capsys.readouterr().out)
    assert found["outline"] == pytest.approx(shift, abs=0.01) and found["value"] == pytest.approx(gain - 1, abs=1e-4)
    assert found["brightest"] == pytest.approx(3.0, rel=1e-5) and found["edge"] < 0.01 + gain - 1
