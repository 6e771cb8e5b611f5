"""The job runner against a stand-in backend that behaves and misbehaves on demand. No Blender needed."""

import os
import sys
import time
from pathlib import Path

import pytest

BACKEND = """
import json, os, signal, sys, threading, time
from pathlib import Path

def say(**event):
    print(json.dumps(event), flush=True)

mode, folder = sys.argv[1], Path(sys.argv[2])
if mode == "finish":
    print("Warp 1.0 initialised: not for you")
    print('{"event": "progress", "stage": "shape"}')          # fields missing
    print('{"event": "of the future", "x": 1}')
    print("[1, 2, 3]")
    sys.stdout.buffer.write(b"\\xff\\xfe broken bytes\\n")
    say(event="started", folder=str(folder), pid=os.getpid(), version="0", device="cpu", engine="x", preset="draft", later=True)
    for step in range(1, 4):
        say(event="progress", stage="shape", step=step, steps=3, eta=3.0 - step, psnr=20.0 + step)
    print("a line without an end", end="")
    say(event="swallowed by the line before")
    say(event="finished", result=str(folder / "result"), seconds=1.0, metrics={"psnr": 23.0})
elif mode == "run":
    def stop(*_):
        say(event="error", code="cancelled", message="The run was cancelled.", exit_status=130)
        os._exit(130)
    signal.signal(signal.SIGINT, stop)
    threading.Thread(target=lambda: (sys.stdin.read(), (folder / "orphan").touch(), os._exit(130)), daemon=True).start()
    say(event="progress", stage="shape", step=1, steps=1000)
    time.sleep(60)
elif mode == "deaf":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    say(event="progress", stage="shape", step=1, steps=1000)
    time.sleep(60)
elif mode == "crash":
    say(event="progress", stage="shape", step=1, steps=3)
    print("last words on stderr", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
elif mode == "late crash":
    say(event="finished", result=str(folder / "result"), seconds=1.0)
    os.kill(os.getpid(), signal.SIGABRT)
elif mode == "orphan":
    import subprocess
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    say(event="progress", stage="shape", step=child.pid, steps=1)
    os._exit(1)
elif mode == "refuse":
    say(event="error", code="image-missing", message="no images/a.png", hint="Put it back.", exit_status=2)
    sys.exit(2)
elif mode == "environment":
    say(event="progress", stage=os.environ.get("PYTHONPATH", "clean"), step=len(sys.path[0]), steps=sys.flags.utf8_mode)
"""


@pytest.fixture
def start(tmp_path, addon_module):
    job = addon_module("job")
    root = tmp_path / "extension ü"  # a space and an umlaut
    (root / "backend").mkdir(parents=True)
    (root / "backend" / "__main__.py").write_text(BACKEND, encoding="utf-8")
    started = []

    def run(mode):
        started.append(job.Job(Path(sys.executable), root, [mode, str(tmp_path)], tmp_path))
        return started[-1]

    yield run
    for each in started:
        each.kill()


def names(events):
    return [event.EVENT for event in events]


def until(condition, job, seconds=20.0):
    """Poll until the condition holds for the events so far; returns them."""
    events, limit = [], time.monotonic() + seconds
    while not condition(events):
        assert time.monotonic() < limit, f"nothing came; so far {names(events)}"
        events += job.poll()
        time.sleep(0.01)
    return events


def to_end(job):
    return until(lambda _: job.ended(), job) + job.poll()


def test_events_come_in_order_and_garbage_goes_to_the_tail(start):
    job = start("finish")
    events = to_end(job)
    assert names(events) == ["started", "progress", "progress", "progress", "finished"]
    assert [event.step for event in events[1:4]] == [1, 2, 3]
    assert job.state == "finished" and job.failure is None
    assert "not for you" in job.tail() and "broken bytes" in job.tail()


def test_cancel_ends_it_at_once(start):
    job = start("run")
    until(names, job)
    assert job.state == "running"
    asked = time.monotonic()
    job.cancel()
    assert job.wait(10.0)
    assert time.monotonic() - asked < 5.0
    job.poll()
    assert job.state == "cancelled" and job.failure.exit_status == 130


def test_one_that_does_not_listen_is_killed(start):
    job = start("deaf")
    until(names, job)
    job.stop(patience=0.3)
    job.poll()
    assert job.ended() and job.state == "cancelled"


def test_a_crash_is_told_with_its_last_words(start):
    job = start("crash")
    events = to_end(job)
    assert names(events) == ["progress", "error"] and job.state == "failed"
    assert "SIGKILL" in events[-1].message and "last words on stderr" in events[-1].message


def test_a_crash_after_the_result_spoils_nothing(start):
    job = start("late crash")
    assert names(to_end(job)) == ["finished"] and job.state == "finished"


def test_what_a_dead_backend_had_started_is_ended_with_it(start):
    events = to_end(start("orphan"))
    assert names(events) == ["progress", "error"]
    with pytest.raises(ProcessLookupError):
        for _ in range(200):
            os.kill(events[0].step, 0)
            time.sleep(0.02)


def test_the_backends_own_error_is_kept(start):
    job = start("refuse")
    assert names(to_end(job)) == ["error"]  # and none is made up beside it
    assert job.state == "failed" and (job.failure.code, job.failure.hint) == ("image-missing", "Put it back.")


def test_the_child_is_kept_clean_of_foreign_python_settings(start, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere/else")
    (event,) = to_end(start("environment"))
    assert (event.stage, event.steps) == ("clean", 1)


def test_it_notices_the_death_of_blender(start, tmp_path):
    job = start("run")
    until(names, job)
    job.process.stdin.close()  # what the system does when this process dies
    assert job.wait(10.0) and (tmp_path / "orphan").exists()


def test_a_missing_interpreter_is_an_environment_fault(tmp_path, addon_module):
    job = addon_module("job")
    with pytest.raises(job.contract.EnvironmentFault, match="could not be started"):
        job.Job(tmp_path / "no-python", tmp_path, [], tmp_path)


def test_where_a_job_stands_is_read_from_its_folder(tmp_path, addon_module):
    job = addon_module("job")

    def store(pid, state):
        job.contract.write_json(
            tmp_path / "status.json", {"pid": pid, "state": state, "updated": time.time(), "event": {}}
        )
        return job.standing(tmp_path)

    assert job.standing(tmp_path) == "none"
    assert store(os.getpid(), "running") == "running"
    assert store(2**22 + 1, "running") == "interrupted"  # beyond the largest process number
    assert store(2**22 + 1, "finished") == "finished"
    (tmp_path / "status.json").write_text("{")
    assert job.standing(tmp_path) == "none"


def test_the_interpreter_is_found_in_order(tmp_path, addon_module, monkeypatch):
    environment = addon_module("environment")
    monkeypatch.delenv(environment.VARIABLE, raising=False)
    with pytest.raises(environment.EnvironmentFault, match="not set up"):
        environment.find("", None)
    for name in ("chosen", "managed"):
        python = environment.python_in(tmp_path / name)
        python.parent.mkdir(parents=True)
        python.touch()
    managed, chosen = tmp_path / "managed", tmp_path / "chosen"
    assert environment.find("", managed) == environment.python_in(managed)
    monkeypatch.setenv(environment.VARIABLE, sys.executable)
    assert environment.find("", managed) == Path(sys.executable)
    assert environment.find(str(chosen), managed) == environment.python_in(chosen)  # the folder of an environment
    with pytest.raises(environment.EnvironmentFault, match="nowhere"):
        environment.find(str(tmp_path / "nowhere"), managed)
