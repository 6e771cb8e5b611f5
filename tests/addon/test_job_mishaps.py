"""What may befall a running job: each ends in words, with nothing orphaned, and the job can be resumed. No Blender needed.

The backend is the real command line around a stand-in for the pipeline, but where a test says otherwise.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STUB = ROOT / "tests/backend/stub_run.py"


@pytest.fixture
def tools(addon_module):
    return addon_module("job"), addon_module("elsewhere")


@pytest.fixture
def extension(tmp_path):
    """A folder that holds `backend`, whose path has a space and an umlaut."""
    root = tmp_path / "extension ü"
    (root / "backend").mkdir(parents=True)
    (root / "backend/__main__.py").write_text(
        f"import runpy, sys\ndel sys.modules['backend']\nrunpy.run_path({str(STUB)!r}, run_name='__main__')\n"
    )
    return root


@pytest.fixture
def folder(tmp_path):
    """A job folder with a request, its path with a space and an umlaut."""
    folder = tmp_path / "a job, schön"
    (folder / "images").mkdir(parents=True)
    (folder / "transforms.json").write_text("{}")
    (folder / "request.json").write_text(json.dumps({"source": str(folder), "preset": "draft"}))
    return folder


@pytest.fixture
def start(tools, extension, folder, monkeypatch):
    job, started = tools[0], []

    def run(do="", steps=5, root=extension, interpreter=sys.executable):
        monkeypatch.setenv("STUB_DO", do)
        monkeypatch.setenv("STUB_STEPS", str(steps))
        arguments = ["run", str(folder / "request.json"), "--json", "--follow-parent", "--resume"]
        started.append(job.Job(Path(interpreter), root, arguments, folder))
        return started[-1]

    yield run
    for each in started:
        each.kill()


def until(condition, job, seconds=8.0):
    events, limit = [], time.monotonic() + seconds
    while not condition(events):
        assert time.monotonic() < limit, f"nothing came; so far {events}\n{job.tail()}"
        events += job.poll()
        time.sleep(0.01)
    return events


def to_end(job):
    return until(lambda _: job.ended(), job) + job.poll()


def steps(events):
    return [event.step for event in events if event.EVENT == "progress"]


def test_paused_and_resumed_it_is_the_same_job(start, tools, folder):
    first = start(steps=400)
    seen = steps(until(steps, first))
    first.pause()
    seen += steps(to_end(first))
    assert first.state == "cancelled" and first.paused and tools[0].standing(folder) == "cancelled"
    second = start(steps=seen[-1] + 5)
    assert steps(to_end(second)) == [seen[-1] + more for more in range(1, 6)]
    assert second.state == "finished"


def test_a_cancel_takes_less_than_a_second_even_from_one_that_hangs(start, tools, folder):
    job = start("hang")
    until(steps, job)
    asked = time.monotonic()
    job.cancel()
    assert job.wait(5.0) and time.monotonic() - asked < 1.0
    job.poll()
    assert job.state == "cancelled" and tools[0].standing(folder) == "interrupted"
    again = start()  # the folder is free, and the same job goes through
    to_end(again)
    assert again.state == "finished"


def test_a_killed_backend_is_told_with_a_hint_and_can_be_resumed(start, tools, folder):
    job = start("hang")
    until(steps, job)
    os.kill(job.process.pid, signal.SIGKILL)
    to_end(job)
    assert job.state == "failed" and "SIGKILL" in job.failure.message and "out of memory" in job.failure.hint
    assert tools[0].standing(folder) == "interrupted"
    again = start()
    to_end(again)
    assert again.state == "finished"


def test_a_killed_blender_leaves_a_job_that_resumes(tools, extension, folder, start):
    """The parent is a process of its own, killed as the system would."""
    parent = f"""
import sys, time, types, importlib
from pathlib import Path
for name, path in (("tree", {str(ROOT)!r}), ("tree.addon", {str(ROOT / "addon")!r})):
    package = types.ModuleType(name); package.__path__ = [path]; sys.modules[name] = package
job = importlib.import_module("tree.addon.job")
folder = {str(folder)!r}
arguments = ["run", folder + "/request.json", "--json", "--follow-parent", "--resume"]
running = job.Job(Path(sys.executable), Path({str(extension)!r}), arguments, Path(folder))
print(running.process.pid, flush=True)
while not any(event.EVENT == "progress" for event in running.poll()): time.sleep(0.01)
print("running", flush=True)
time.sleep(60)
"""
    environment = {**os.environ, "STUB_STEPS": "2000", "STUB_DO": ""}
    blender = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, env=environment)
    pid = int(blender.stdout.readline())
    assert blender.stdout.readline().strip() == "running"
    assert tools[0].standing(folder) == "running"  # as a Blender started meanwhile would find it
    blender.kill()
    blender.wait()
    limit = time.monotonic() + 10
    while tools[0].standing(folder) == "running" and time.monotonic() < limit:
        time.sleep(0.05)
    assert tools[0].standing(folder) == "cancelled"  # it noticed, and said so in the folder
    with pytest.raises(ProcessLookupError):
        for _ in range(100):
            os.kill(pid, 0)
            time.sleep(0.05)
    done = len((folder / "state/count").read_text().split())
    assert done > 0
    again = start(steps=done + 2)
    assert steps(to_end(again)) == [done + 1, done + 2] and again.state == "finished"


def test_a_job_of_another_process_is_followed_and_stopped_through_its_folder(start, tools, folder):
    job, elsewhere = tools
    owner = start(steps=2000)
    until(steps, owner)
    onlooker = elsewhere.Elsewhere(folder)
    seen = steps(until(steps, onlooker))
    assert seen and onlooker.state == "running"
    onlooker.stop()  # a Blender that merely looked on ends nothing
    assert steps(until(steps, onlooker))[0] == seen[-1] + 1  # nothing is lost between two looks
    onlooker.cancel()
    until(lambda _: onlooker.ended(), onlooker)
    owner.wait(5.0)
    assert onlooker.state == "cancelled" and job.standing(folder) == "cancelled"


def test_a_followed_job_that_is_killed_is_told_with_the_logs_last_lines(start, tools, folder):
    owner = start("hang")
    until(steps, owner)
    onlooker = tools[1].Elsewhere(folder)
    owner.kill()
    owner.wait(5.0)
    events = until(lambda events: any(event.EVENT == "error" for event in events), onlooker)
    assert onlooker.state == "failed" and "a stray print" in events[-1].message and "Resume" in events[-1].hint


def test_a_process_number_that_changed_hands_is_not_taken_for_the_job(tools, folder):
    job = tools[0]
    status = {"pid": os.getpid(), "state": "running", "updated": time.time(), "event": {}}
    job.contract.write_json(folder / "status.json", status)
    assert job.standing(folder) == "running"
    job.contract.write_json(folder / "status.json", {**status, "updated": 1e9})  # long before this process began
    assert job.standing(folder) == "interrupted"


@pytest.mark.parametrize(
    ("do", "message", "hint"),
    [
        ("fail in export", "disk is full", "room"),
        ("raise RuntimeError('CUDA error: an illegal memory access was encountered')", "CUDA", ""),
    ],
)
def test_a_full_disk_and_a_lost_gpu_are_told_and_leave_no_half_result(start, folder, do, message, hint):
    job = start(do)
    to_end(job)
    assert job.state == "failed"
    assert message in job.failure.message and hint in job.failure.hint
    assert not (folder / "result").exists() and not list(folder.glob(".result-*"))
    again = start()
    to_end(again)
    assert again.state == "finished"


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("torch.AcceleratorError: CUDA error: unspecified launch failure", "GPU was lost"),
        ("ModuleNotFoundError: No module named 'torch'", "set it up again"),
        ("torch.OutOfMemoryError: CUDA out of memory", "Memory ran out"),
        ("nothing anybody knows", "Open the log"),
    ],
)
def test_last_words_are_turned_into_advice(tools, said, hint):
    found = tools[0].hint_of(said, 1)
    assert hint in found and "Resume" in found


def test_a_removed_environment_is_told_before_anything_is_touched(start, folder, tools, tmp_path):
    before = sorted(folder.rglob("*"))
    with pytest.raises(tools[0].contract.EnvironmentFault, match="could not be started") as raised:
        start(interpreter=tmp_path / "environment/bin/python")
    assert "preferences" in raised.value.hint and sorted(folder.rglob("*")) == before


def test_a_hidden_gpu_is_told_and_the_job_goes_through_on_another_device(start, folder, monkeypatch):
    """The real backend: it refuses before it reads a view."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (folder / "request.json").write_text(json.dumps({"source": str(folder), "preset": "draft", "device": "cuda"}))
    job = start(root=ROOT)
    until(lambda _: job.ended(), job, 60.0)
    job.poll()
    assert job.state == "failed" and job.failure.exit_status in (2, 3)
    assert "cuda" in job.failure.message.lower() and "cpu" in (job.failure.hint + job.failure.message).lower()
    (folder / "request.json").write_text(json.dumps({"source": str(folder), "preset": "draft", "device": "cpu"}))
    again = start()
    to_end(again)
    assert again.state == "finished"


def test_a_read_only_job_folder_is_told(start, folder):
    """As root nothing is read-only, so the backend runs as another user there."""
    user = {} if os.geteuid() else {"STUB_USER": "65534"}
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for parent in list(folder.parents)[:3]:
        if user and parent.stat().st_uid == 0 and parent != Path("/"):
            parent.chmod(0o755)
    os.environ.update(user)
    try:
        job = start()
        to_end(job)
    finally:
        for name in user:
            del os.environ[name]
        folder.chmod(0o755)
    assert job.state == "failed" and job.failure.exit_status in (2, 3)
    assert "permission" in job.failure.message.lower() or "writ" in job.failure.message.lower()
    assert not (folder / "state").exists()
