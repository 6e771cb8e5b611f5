"""Operators as a window calls them, without one: they are told that there is a window, and each call that would hold it is timed."""

import contextlib
import stat
import sys
import time
import types
from pathlib import Path

import bpy

LIMIT = 0.1  # seconds
PROGRAM = '''#!{python}
"""What a Blender program does with the arguments that the extension gives it, done by Blender as a module."""
import os, sys, traceback, bpy
given = sys.argv[1:]
assert given[0] == "--background" and given[-4:-2] == ["--python-exit-code", "1"] and given[-2] == "--python-expr"
try:
    if len(given) > 5:
        bpy.ops.wm.open_mainfile(filepath=given[1])
    exec(compile(given[-1], "expression", "exec"), {{"__name__": "__main__"}})
except BaseException:
    traceback.print_exc()
    sys.stderr.flush()
    os._exit(1)
sys.stdout.flush()
os._exit(0)  # the program ends well with a thread of ours; 4.2 as a module does not
'''


def second_blender(folder):
    """Make bpy.app.binary_path a program: a second real Blender."""
    path = folder / "blender"
    path.write_text(PROGRAM.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    bpy.app.binary_path = str(path)
    return path


class _App:
    background = False

    def __getattr__(self, name):
        return getattr(bpy.app, name)


class _Bpy:
    app = _App()

    def __getattr__(self, name):
        return getattr(bpy, name)


@contextlib.contextmanager
def window(*modules):
    """Inside the block these modules take this process for one with a window."""
    for each in modules:
        each.bpy = _Bpy()
    try:
        yield
    finally:
        for each in modules:
            each.bpy = bpy


class _Anything:
    """Takes the calls that need a real window."""

    windows = ()

    def __getattr__(self, name):
        return lambda *_, **__: None


class _Context:
    window, workspace, window_manager = None, _Anything(), _Anything()

    def __getattr__(self, name):
        return getattr(bpy.context, name)


def waited():
    """Seconds that this thread has waited for a processor that others had; 0 where the system does not tell."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) * 1e-9
    except OSError:
        return 0.0


def timed(times, label, call):
    """Call it; the longest time of each label is kept, in seconds.

    It is the wall's time, so that sleeping, reading and waiting for a process count, less the time in which the thread could have gone on
    but other processes had the processor: that is the machine's load, and no operator's doing.
    """
    began, idle = time.perf_counter(), waited()
    try:
        return call()
    finally:
        took = time.perf_counter() - began - (waited() - idle)
        times[label] = max(times.get(label, 0.0), took)


def pressed(kind, times, interrupt=None, **properties):
    """Press the button of an operator class and let the window go on until it is done; returns how it ended and what was reported.

    Args:
        interrupt: called after each look with its number; what it returns true for is cancelled, as Esc does.
    """
    ours = [base for base in kind.__mro__ if base is not object and not base.__module__.startswith("bpy")]
    own = {name: value for base in reversed(ours) for name, value in vars(base).items() if name[:2] != "__"}
    own.pop("bl_rna", None)
    given = {item.identifier: item.default for item in kind.bl_rna.properties if hasattr(item, "default")}
    button = type(f"{kind.__name__}Button", (), own)()
    for name, value in {**given, **properties}.items():
        with contextlib.suppress(AttributeError):
            setattr(button, name, value)
    said = []
    button.report = lambda _, words: said.append(words)
    context, label = _Context(), kind.bl_idname
    assert not hasattr(kind, "poll") or kind.poll(bpy.context), f"{label} is greyed"
    start = getattr(button, "invoke", None)
    event = types.SimpleNamespace(type="LEFTMOUSE", value="PRESS")
    outcome = timed(times, label, (lambda: start(context, event)) if start else (lambda: button.execute(context)))
    if outcome is None:  # a dialog, which is answered as it stands
        outcome = timed(times, label, lambda: button.execute(context))
    look = 0
    while outcome & {"RUNNING_MODAL", "PASS_THROUGH"}:
        stop = interrupt is not None and interrupt(look)
        event = types.SimpleNamespace(type="ESC" if stop else "TIMER", value="PRESS")
        outcome = timed(times, label, lambda event=event: button.modal(context, event))
        look += 1
        time.sleep(0.005)
    return outcome, said
