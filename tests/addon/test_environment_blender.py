"""The backend's environment inside Blender: what inside/environment.py measured, judged here."""

import sys
import zipfile

BACKEND = """
import json, sys, time
import tinything
time.sleep(0.3)
checks = [{"name": name, "state": "ok", "value": "7.5"} for name in ("Python", "torch", "cpu", "proof")]
print(json.dumps({"event": "doctor", "ok": True, "checks": checks}))
"""


def test_every_state_is_drawn_and_no_operator_holds_the_window(blender, tmp_path):
    root, wheels, info = tmp_path / "root", tmp_path / "wheels", "tinything-1.0.dist-info"
    (root / "backend").mkdir(parents=True)
    (root / "backend/__main__.py").write_text(BACKEND)
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "tinything-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tinything.py", "")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinything\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"tinything.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    (tmp_path / "lock.txt").write_text("tinything==1.0\n")
    found = blender(
        "environment.py", root=str(root), wheels=str(wheels), lock=str(tmp_path / "lock.txt"), base=sys.executable
    )
    states = found["states"]
    assert found["unknown"] == []
    assert {name: state["state"] for name, state in states.items()} == {
        "missing": "missing",
        "making": "making",
        "cancelled": "missing",
        "ready": "ready",
        "checked": "ready",
        "broken": "broken",
        "removed": "missing",
        "chosen": "broken",
    }
    said = {name: "\n".join(state["said"]) for name, state in states.items()}
    assert "Make Environment" in said["missing"] and "Allow Online Access" in said["missing"]
    assert "unrender.cancel_environment" in said["making"] and "%" in said["making"]
    assert "unrender.open_environment_log" in said["making"]
    assert "What was downloaded is kept" in said["cancelled"]
    for wanted in ("The backend is ready", "torch: 7.5", "cpu: 7.5", "Size on disk", "unrender.remove_environment"):
        assert wanted in said["ready"], said["ready"]
    assert "lost its Python" in said["broken"] and "Repair" in said["broken"]
    assert "not ready" in said["chosen"] and "tinything" in said["chosen"]
    assert "may not go online" in found["offline"] and "Allow Online Access" in found["offline"]
    assert "is going on" in found["second"]
    assert found["homes"]["False"].startswith(found["own"])  # goes with this version of Blender
    assert "resources" not in found["homes"]["True"] and found["homes"]["True"].endswith("environments")
    assert found["made"] == ["FINISHED"] and "Käthe's home" in found["interpreter"] and found["left"] in ("", "[]")
    assert found["cancel_seconds"] < 1.0
    assert max(found["times"].values()) < 0.1, found["times"]
    assert found["times"]["status"] < 0.01  # a panel asks at each redraw
