"""The whole run by two processes, as torchrun starts them."""

import json
import os
import subprocess
import sys
from pathlib import Path

from test_smoke import SETTINGS, folder  # noqa: F401 - the fixture

ROOT = Path(__file__).resolve().parents[2]
SHORT = ("shape.steps=16", "refine.steps=10", "shape.weights.smoothness_ramp=5")


def test_two_processes_make_one_asset_and_one_of_them_speaks(folder, tmp_path):  # noqa: F811
    job = tmp_path / "job"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "backend"]
    command += ["reconstruct", str(folder / "photos"), "-o", str(job), "--json", "--preset", "draft", "--device", "cpu"]
    command += [word for item in (*SETTINGS, *SHORT) for word in ("--set", item)]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    events = [json.loads(line) for line in done.stdout.splitlines()]
    told = [event["event"] for event in events]
    assert told.count("started") == told.count("finished") == 1
    assert events[-1]["metrics"]["psnr"] > 15.0
    steps = [event["step"] for event in events if event["event"] == "progress" and event["stage"] == "refine"]
    assert steps == sorted(steps) and steps[-1] == 10
    assert (job / "result" / "mesh.glb").stat().st_size > 1000
    assert not list(tmp_path.glob("unrender-*"))  # the second process left nothing behind
