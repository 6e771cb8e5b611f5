"""What docs/headless.md shows, run as it stands there on a scene with tiny settings; and Ctrl-C in the middle of a run."""

import contextlib
import io
import json
import os
import re
import shlex
import signal
import threading
import time
from pathlib import Path

import bpy
from common import FOLDER, GIVEN, answer, install, module, nodes_of, refusal

install()
os.environ["UNRENDER_BACKEND_PYTHON"] = GIVEN["backend"]
os.chdir(FOLDER)
command_line, api, job = module("addon.command_line"), module("addon.api"), module("addon.job")
contract = module("backend.contract")
text = Path(GIVEN["document"]).read_text(encoding="utf-8")
blocks = re.findall(r"```(sh|python)\n(.*?)```", text, re.DOTALL)
shell = [shlex.split(line) for kind, block in blocks if kind == "sh" for line in block.splitlines()]
commands = [words for words in shell if "--command" in words]
api_block, operator_block = (block for kind, block in blocks if kind == "python")

bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=2)
bpy.context.object.name = "Cup"
bpy.context.scene.world = bpy.data.worlds.new("World")
background = next(node for node in nodes_of(bpy.context.scene.world).nodes if node.type == "BACKGROUND")
background.inputs["Color"].default_value = (0.8, 0.8, 0.8, 1.0)
settings = bpy.context.scene.unrender
settings.count, settings.held_out, settings.resolution, settings.samples = 6, 1, 64, 2
settings.advanced, settings.view_resolution, settings.grid_cells = True, 64, 32
settings.shape_steps, settings.refine_steps, settings.light_resolution = 6, 3, "32"
settings.threads, settings.triangles, settings.texture_size = 1, 500, "512"
bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / "cup.blend"))


def run(words):
    """(status, standard output, standard error) of a command line of the document, in this process: the wheel has no program."""
    at = words.index("--command")
    assert words[0] == "blender" and words[at + 1] == "unrender"
    if at > 1:
        bpy.ops.wm.open_mainfile(filepath=str(FOLDER / words[1]))
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = command_line.main(words[at + 2 :])
    return status, out.getvalue(), err.getvalue()


def interrupt(folder):
    """Press Ctrl-C once the fit is on its way."""
    while True:
        status = contract.read_status(folder)
        if status is not None and status.event.get("event") == "progress" and status.event.get("stage") == "shape":
            os.kill(os.getpid(), signal.SIGINT)
            return
        time.sleep(0.01)


export, reconstruct, imported = commands
early = run(reconstruct)
exported = run(export)
long_run = [*reconstruct, "--json", "--set", "shape.steps=100000"]
threading.Thread(target=interrupt, args=(Path("cup_job"),), daemon=True).start()
cancelled = run(long_run)
pid = contract.read_status("cup_job").pid
alive = Path(f"/proc/{pid}/stat").is_file()
kept = sorted(file.name for file in contract.JobFolder(Path("cup_job")).state.rglob("*") if file.is_file())
changed = run([*reconstruct, "--json"])
statuses = {"early": early, "exported": exported, "cancelled": cancelled, "changed": changed}
statuses["done"] = run([*reconstruct, "--start-over"])
statuses["imported"] = run(imported)
saved = sorted(thing.name for thing in bpy.data.objects)
statuses["usage"] = run(["blender", "--command", "unrender", "export", "x", "--views", "many"])
statuses["range"] = run(["blender", "--command", "unrender", "export", "x", "--views", "1"])
statuses["help"] = run(["blender", "--command", "unrender", "reconstruct", "--help"])
os.environ["UNRENDER_BACKEND_PYTHON"] = "/no/such/python"
statuses["lost"] = run([*reconstruct, "--start-over"])
os.environ["UNRENDER_BACKEND_PYTHON"] = GIVEN["backend"]

bpy.ops.wm.open_mainfile(filepath=str(FOLDER / "cup.blend"))
before = {key: getattr(bpy.context.scene.unrender, key) for key in ("folder", "samples", "held_out", "preset")}
space = {"__name__": "__main__"}
exec(compile(api_block, "headless.md", "exec"), space)
after = {key: getattr(bpy.context.scene.unrender, key) for key in before}
try:
    api.export_views("nowhere", sample=4)
except api.UnrenderError as error:
    unknown = [error.message, error.exit_status]

bpy.ops.wm.open_mainfile(filepath=str(FOLDER / "cup.blend"))
exec(compile(operator_block, "headless.md", "exec"), {})
answer(
    statuses=statuses,
    alive=alive,
    standing=job.standing(Path("cup_job")),
    kept=kept,
    saved=saved,
    names=space["names"],
    done={key: str(value) for key, value in space["done"].items()},
    psnr=space["done"]["metrics"]["psnr"],
    kept_settings=before == after,
    unknown=unknown,
    operators=[thing.name for thing in bpy.data.objects],
    saved_by_operators=Path("cup_operators.blend").is_file(),
    refused=refusal(bpy.ops.unrender.export_views),
    other=[words for words in shell if "--command" not in words],
    registered=command_line._Handle.command is not None,
    events=[json.loads(line)["event"] for line in cancelled[1].splitlines() if line.startswith("{")],
)
