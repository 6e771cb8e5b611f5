"""The preferences drawn in every state, the operators' times, and an environment made from a folder of wheels, inside Blender."""

import json
import os
import sys
import time
from pathlib import Path

import bpy
from common import FOLDER, GIVEN, PACKAGE, answer, install, module, refusal
from recording import RecordingLayout

os.environ.pop("UNRENDER_BACKEND_PYTHON", None)  # it would take precedence over the environment made here
install()
preferences, work = module("addon.preferences"), module("addon.environment_work")
stored = bpy.context.preferences.addons[PACKAGE].preferences
unrender = bpy.ops.unrender
home = FOLDER / "Käthe's home"
homes = {}
for stored.shared in (True, False):
    homes[str(stored.shared)] = str(preferences.home(stored))
stored.environment_folder = str(home)
stored.base_python = GIVEN["base"]
preferences.LOCK = Path(GIVEN["lock"])
preferences.ROOT_FOLDER = Path(GIVEN["root"])
TIMES = {}
UNKNOWN = []


def timed(name, operator, **arguments):
    began = time.perf_counter()
    try:
        return operator(**arguments)
    finally:
        TIMES[name] = time.perf_counter() - began


def drawn():
    said = []
    began = time.perf_counter()
    status = preferences.environment.status(bpy.context)
    TIMES["status"] = max(TIMES.get("status", 0.0), time.perf_counter() - began)
    stand_in = StandIn(said)
    preferences.UNRENDER_AP_preferences.draw(stand_in, bpy.context)
    return {"state": status.state, "ready": status.ready, "said": said}


class Named(RecordingLayout):
    """Keeps the texts of buttons too."""

    def __getattr__(self, name):
        call = super().__getattr__(name)
        if name != "operator":
            return call
        return lambda *arguments, **settings: (
            self.drawn.append(settings.get("text", "")) or call(*arguments, **settings)
        )

    def _call(self, name, arguments, settings):
        inner = super()._call(name, arguments, settings)
        return Named(self.drawn, self.faults) if type(inner) is RecordingLayout else inner


class StandIn:
    """The preferences with a layout that records."""

    def __init__(self, said):
        self.layout = Named(said, UNKNOWN)

    def __getattr__(self, name):
        function = getattr(preferences.UNRENDER_AP_preferences, name, None)
        return function.__get__(self) if callable(function) else getattr(stored, name)


def until_done():
    while work.busy():
        time.sleep(0.02)
    work.settle()


states = {"missing": drawn()}
offline = refusal(unrender.make_environment)
stored.wheels = GIVEN["wheels"]
timed("make", unrender.make_environment, wait=False)
while work.current().share < 0.05 and work.busy():
    time.sleep(0.02)
states["making"] = drawn()
second = refusal(unrender.make_environment)
timed("cancel", unrender.cancel_environment)
began_wait = time.perf_counter()
until_done()
cancel_seconds = time.perf_counter() - began_wait
states["cancelled"] = drawn()
made = list(unrender.make_environment())  # background: to its end
states["ready"] = drawn()
timed("check", unrender.check_backend, wait=False)
until_done()
states["checked"] = drawn()
interpreter = str(preferences.backend_python(bpy.context))
assert home in Path(interpreter).parents, f"{interpreter} is none that was made here: it stays"
assert Path(interpreter).is_relative_to(home), f"{interpreter} is not of this test's making, so it is not deleted"
Path(interpreter).unlink()
states["broken"] = drawn()
timed("remove", unrender.remove_environment, wait=False)
until_done()
states["removed"] = drawn()
stored.interpreter = sys.executable
wrong = refusal(unrender.check_backend)
states["chosen"] = drawn()
answer(
    states=states,
    offline=offline,
    second=second,
    made=made,
    times=TIMES,
    cancel_seconds=cancel_seconds,
    interpreter=interpreter,
    wrong=wrong,
    homes=homes,
    own=bpy.utils.extension_path_user(PACKAGE),
    unknown=UNKNOWN,
    left=json.dumps(sorted(str(path) for path in home.glob("**/*"))) if home.exists() else "",
)
bpy.ops.preferences.addon_disable(module=PACKAGE)
sys.stdout.flush()
# Blender 4.2 as a module ends this script with a segmentation fault otherwise, over preferences whose drawing was called from here and
# which it frees when they are disabled; what is judged has been written by then, and the program Blender has no such end.
os._exit(0)
