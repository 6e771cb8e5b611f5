"""docs/headless.md: its examples run, with the real backend, and end as it says."""

import os
import sys
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs/headless.md"


def test_the_documents_examples_run_and_ctrl_c_keeps_the_checkpoint(blender):
    backend = os.environ.get("UNRENDER_BACKEND_PYTHON") or sys.executable
    found = blender("headless.py", document=str(DOCUMENT), backend=backend)
    statuses = {name: status for name, (status, _out, _err) in found["statuses"].items()}
    said = found["statuses"]
    assert statuses == {
        "early": 2, "exported": 0, "cancelled": 130, "changed": 2, "done": 0, "imported": 0, "usage": 2, "range": 2, "help": 0, "lost": 3,
    }, said  # fmt: skip
    assert "no views yet" in said["early"][2]
    assert "View 3 of 7" in said["exported"][1]
    assert {"started", "progress", "error"} <= set(found["events"]) and found["events"].count("error") == 1
    assert not found["alive"] and found["kept"]
    assert "other settings (shape)" in said["changed"][1]
    assert "Shape, step" in said["done"][1] and "Asset written to" in said["done"][1]
    assert "Cup Found" in found["saved"] and "expected 2 to 1000" in said["range"][2]
    assert "--start-over" in said["help"][1] and "does not exist" in said["lost"][2]
    assert found["names"][0] == "Cup Found" and len(found["names"]) == 9  # the asset and its eight cameras
    assert found["done"]["state"] == "finished" and found["psnr"] > 5
    assert found["kept_settings"] and found["registered"]
    assert "unknown setting 'sample'" in found["unknown"][0] and found["unknown"][1] == 2
    assert "Cup Found" in found["operators"] and found["saved_by_operators"]
    assert "holds a reconstruction" in found["refused"]
    assert found["other"] == [
        ["blender", "cup.blend", "--background", "--python-exit-code", "1", "--python", "reconstruct.py"]
    ]
