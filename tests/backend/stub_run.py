"""The real command line around a stand-in for the pipeline: what the process does is tested without torch and in a moment."""

import importlib
import os
import sys
import time
import types
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from backend import contract
from backend.__main__ import main


def reconstruct(request, job, emit, team=None, ahead=None):
    """Count to STUB_STEPS, adding to a sum that a resumed run takes up; do what STUB_DO says on the way."""
    do, steps = os.environ.get("STUB_DO", ""), int(os.environ.get("STUB_STEPS", "5"))
    print("a stray print")
    os.write(1, b"a stray write\n")
    checkpoint = job.state / "count"
    done = [int(word) for word in checkpoint.read_text().split()] if job.resumed else []
    for step in range(len(done), steps):
        if job.cancelled():
            checkpoint.write_text(" ".join(map(str, done)))
            job.raise_if_cancelled()
        done.append(step * step)
        emit(contract.Progress(stage="shape", step=step + 1, steps=steps, eta=1.0, losses={"color": 0.5}, psnr=20.0))
        time.sleep(0.01)
        if do == "hang":
            time.sleep(60)
        if do.startswith("raise "):
            raise eval(do[6:], {"contract": contract})
    with job.staging_result() as folder:
        (folder / "mesh.glb").write_text(" ".join(map(str, done)))
        if do == "fail in export":
            raise OSError(28, "No space left on device", str(folder / "textures.png"))
        contract.write_result(folder, contract.Result(files={"mesh": "mesh.glb"}, metrics={"psnr": 30.0}))
    return contract.read_result(job.result)


if __name__ == "__main__":
    pipeline = types.ModuleType("backend.pipeline")
    pipeline.reconstruct = reconstruct
    device = types.ModuleType("backend.commands.device")
    device.pick_device = lambda name: "cpu"
    device.known_engine = lambda name: name
    sys.modules.update({"backend.pipeline": pipeline, "backend.commands.device": device})
    if "STUB_USER" in os.environ:
        for late in (
            "backend.commands.reconstruct",
            "backend.dataset.source",
            "locale",
        ):  # another user may not reach Python's own folder
            importlib.import_module(late)
        os.seteuid(int(os.environ["STUB_USER"]))
    sys.exit(main(sys.argv[1:]))
