"""The second Blender, with a stand-in for the program."""

import os
import sys
import time

import pytest

WRITES = """#!{python}
import pathlib, sys, time
assert pathlib.Path(sys.argv[1]).read_text() == "scene" and "{folder}" in sys.argv[-1]
out = pathlib.Path(r"{folder}") / "images"
out.mkdir(parents=True, exist_ok=True)
(out / "000_a.exr").write_text("1")
if {hang}:
    time.sleep(60)
print("Error: no camera")
{last}
"""


def start(second, tmp_path, hang, last):
    folder = tmp_path / "job ü"
    program = tmp_path / "program.py"
    program.write_text(WRITES.format(python=sys.executable, folder=folder, hang=hang, last=last), encoding="utf-8")
    return second.SecondBlender([sys.executable, str(program)], folder, 3, lambda path: path.write_text("scene"))


def until(condition):
    limit = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_second_blender_is_followed_cancelled_and_leaves_nothing(addon_module, tmp_path):
    second = addon_module("exporter.second")
    job = start(second, tmp_path, True, "")
    until(lambda: job.poll() == 1)
    began = time.monotonic()
    job.cancel()
    assert time.monotonic() - began < 0.1 and job.state == "cancelled"
    until(lambda: not job._child.place.exists())  # in a thread: the memory of a large scene is not given back at once
    with pytest.raises(OSError):
        os.kill(job._child._process.pid, 0)

    job = start(second, tmp_path, False, "sys.exit(1)")
    until(job._child.ended)
    with pytest.raises(Exception, match="no camera"):
        job.poll()
    assert job.state == "failed" and not job._child.place.exists()

    job = start(second, tmp_path, False, "(out.parent / 'transforms.json').write_text('{{}}')".replace("{{}}", "{}"))
    until(job._child.ended)
    assert job.poll() == 3 and job.state == "finished"
