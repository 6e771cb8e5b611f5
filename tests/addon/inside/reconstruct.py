"""The reconstruct operator in background mode, over a stand-in interpreter that plays the backend as told."""

import json
import os
import sys

import bpy
from common import FOLDER, answer, install, module, refusal

install()
watch, job = module("addon.watch"), module("addon.job")
contract = module("backend.contract")
settings = bpy.context.scene.unrender
settings.folder, settings.preset = str(FOLDER / "a job ü"), "draft"
names = contract.JobFolder(settings.job_folder())
names.path.mkdir()
names.transforms.write_text("{}")
PLAY = """#!{python}
import json, sys, os, pathlib
folder = pathlib.Path(sys.argv[sys.argv.index("run") + 1]).parent
pathlib.Path({log!r}).write_text(json.dumps({{"argv": sys.argv[1:], "cwd": os.getcwd()}}))
mode = {mode!r}
print("chatter", flush=True)
print(json.dumps(dict(event="progress", stage="shape", step=1, steps=2, eta=5.0)), flush=True)
if mode == "good":
    (folder / "state").mkdir(exist_ok=True)
    print(json.dumps(dict(event="finished", result=str(folder / "result"), seconds=1.0)), flush=True)
else:
    print(json.dumps(dict(event="error", code="x", message="three views are black", hint="Light them.", exit_status=2)), flush=True)
    sys.exit(2)
"""


def play(mode):
    stand_in = FOLDER / f"python-{mode}"
    stand_in.write_text(PLAY.format(python=sys.executable, log=str(FOLDER / "seen.json"), mode=mode))
    stand_in.chmod(0o755)
    os.environ["UNRENDER_BACKEND_PYTHON"] = str(stand_in)


os.environ.pop("UNRENDER_BACKEND_PYTHON", None)
unready = refusal(bpy.ops.unrender.reconstruct)
os.environ["UNRENDER_BACKEND_PYTHON"] = "/no/such/python"
lost = refusal(bpy.ops.unrender.reconstruct)
play("bad")
bad = refusal(bpy.ops.unrender.reconstruct)
play("good")
good = list(bpy.ops.unrender.reconstruct())
seen = json.loads((FOLDER / "seen.json").read_text())
request = json.loads(names.request.read_text())
headline = watch.current().headline()
settings.triangles = 4321
changed = refusal(bpy.ops.unrender.reconstruct)
bpy.ops.unrender.reconstruct(restart=True)
resumed = {}
for number, damage in enumerate(('{"format": 1, "files"', '{"format": 1, "files": {}, "warnings": 5}', "[]")):
    names.result.mkdir()
    (names.result / "result.json").write_text(damage)
    resumed[damage] = list(bpy.ops.unrender.resume())
    aside = sorted(names.path.glob("result-unreadable-*"))[-1]
    resumed[damage].append((aside / "result.json").read_text() == damage and not names.result.exists())
    aside.rename(names.path / f"seen-{number}")
answer(
    resumed=resumed,
    unready=unready,
    lost=lost,
    bad=bad,
    good=good,
    seen=seen,
    request=[request["source"], request["preset"]],
    folder=str(names.path),
    headline=headline,
    changed=changed,
    triangles=json.loads(names.request.read_text())["asset"]["triangles"],
)
