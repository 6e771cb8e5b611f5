import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from backend import contract
from backend.commands.failures import explain

ROOT = Path(__file__).resolve().parents[2]
STUB = [sys.executable, str(Path(__file__).with_name("stub_run.py"))]
REAL = [sys.executable, "-m", "backend"]
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and pseudo-terminals of POSIX")


def environment(**stub):
    return {**os.environ, **{f"STUB_{key.upper()}": str(value) for key, value in stub.items()}}


def run(*words, command=STUB, cwd=ROOT, **stub):
    """A run to its end: exit status, events, standard error. Anything but events on standard output fails."""
    done = subprocess.run(
        [*command, *map(str, words)],
        cwd=cwd,
        env=environment(**stub),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    lines = done.stdout.decode().splitlines()
    events = [contract.parse_event(line) for line in lines]
    assert None not in events, lines
    return done.returncode, events, done.stderr.decode()


def start(*words, **stub):
    """A run that goes on, at its first progress."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        [*STUB, *map(str, words)], env=environment(**stub), stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0
    )
    while not isinstance(contract.parse_event(process.stdout.readline().decode()), contract.Progress):
        assert process.poll() is None, process.stderr.read().decode()
    return process


def last_event(process):
    """Wait for the end; exit status and last event."""
    output, _ = process.communicate(timeout=30)
    return process.returncode, contract.parse_event(output.decode().splitlines()[-1])


def only_error(events):
    """The one error of a run, which is its last event."""
    errors = [event for event in events if isinstance(event, contract.Failed)]
    assert errors == events[-1:]
    assert errors[0].message
    return errors[0]


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images of a chair"
    folder.mkdir()
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "öut"


def test_a_pipe_gets_events_alone_and_the_log_gets_everything(images, out):
    status, events, errors = run("reconstruct", images, "-o", out, "--set", "shape.cells=64", "--preset", "draft")
    assert status == 0
    assert [event.EVENT for event in events] == ["started", *["progress"] * 5, "finished"]
    assert events[-1].metrics == {"psnr": 30.0}
    log = (out / "log.txt").read_text()
    for text in ("a stray print", "a stray write"):
        assert text in errors
        assert text in log
    assert all(event.to_json() in log for event in events)
    request = contract.parse(json.loads((out / "request.json").read_text()))
    assert (request.shape.cells, request.preset, request.source) == (64, "draft", str(images))
    assert contract.read_status(out).state == "finished"
    assert contract.read_result(out).metrics == {"psnr": 30.0}
    assert not list(out.glob(".result*"))


@posix
def test_a_terminal_shows_a_bar_with_stage_time_left_and_quality(images, out):
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen([*STUB, "reconstruct", images, "-o", out], stdout=theirs, stderr=theirs, stdin=theirs)
    os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 65536):
            shown += data
    except OSError:  # the terminal's other end is closed
        pass
    assert process.wait(timeout=30) == 0
    text = shown.decode()
    assert "shape  [########################]  5/5  0:01 left  20.00 dB" in text
    assert "Done in " in text and str(out / "result") in text
    assert "{" not in text and "stray" not in text
    assert "a stray print" in (out / "log.txt").read_text()


def stop_by_interrupt(process, out):
    process.send_signal(signal.SIGINT)


def stop_by_file(process, out):
    (out / "stop").touch()


def stop_by_parents_death(process, out):
    process.stdin.close()
    process.stdin = None


def stop_by_word(process, out):
    process.stdin.write(b"cancel\n")
    process.stdin.flush()


@posix
@pytest.mark.parametrize("stop", [stop_by_interrupt, stop_by_file, stop_by_parents_death, stop_by_word])
def test_cancelled_and_resumed_gives_what_an_uninterrupted_run_gives(stop, images, out, tmp_path):
    process = start("reconstruct", images, "-o", out, "--follow-parent", steps=300)
    stop(process, out)
    status, event = last_event(process)
    assert (status, event.code, event.exit_status) == (130, "cancelled", 130)
    assert "--resume" in event.hint
    assert contract.read_status(out).state == "cancelled"
    assert not (out / "result").exists()
    made = len((out / "state" / "count").read_text().split())
    assert 0 < made < 300

    status, events, _ = run("reconstruct", images, "-o", out, steps=made + 3)
    assert (status, only_error(events).code) == (2, "output-holds-a-run")
    status, events, _ = run("reconstruct", images, "-o", out, "--resume", steps=made + 3)
    assert status == 0
    assert events[0].resumed and events[1].step == made + 1
    run("reconstruct", images, "-o", tmp_path / "whole", steps=made + 3)
    assert (out / "result/mesh.glb").read_text() == (tmp_path / "whole/result/mesh.glb").read_text()


@posix
def test_a_second_interrupt_ends_a_run_that_does_not_listen(images, out):
    process = start("reconstruct", images, "-o", out, do="hang")
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130
    process.communicate()


@posix
def test_a_killed_run_frees_its_folder_and_leaves_no_result(images, out):
    process = start("reconstruct", images, "-o", out, do="hang")
    status, events, _ = run("reconstruct", images, "-o", out)
    assert (status, only_error(events).code) == (2, "job-running")
    assert str(process.pid) in events[-1].message
    process.kill()
    process.communicate()
    (out / ".result-77").mkdir()
    (out / "stop").touch()  # left behind: it must not stop the next run
    status, _, _ = run("reconstruct", images, "-o", out, "--resume")
    assert status == 0
    assert not (out / ".result-77").exists()


@posix
def test_a_run_whose_reader_leaves_stops_with_a_checkpoint(images, out):
    process = start("reconstruct", images, "-o", out, steps=500)
    process.stdout.close()
    assert process.wait(timeout=30) == 130
    assert (out / "state/count").exists()
    process.stderr.close()
    process.stdin.close()


def contents(folder):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_a_folder_that_holds_anything_else_is_refused_and_left_alone(images, out, tmp_path):
    run("reconstruct", images, "-o", out, "--preset", "draft")
    other = tmp_path / "other"
    other.mkdir()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "holiday.txt").write_text("precious")
    before = contents(tmp_path)
    cases = [
        ([images, "-o", out, "--resume"], "output-holds-another-job", "preset is 'draft', not 'standard'"),
        ([other, "-o", out, "--resume", "--preset", "draft"], "output-holds-another-job", "source is"),
        ([images, "-o", out, "--preset", "draft"], "output-holds-a-run", "a finished result"),
        ([images, "-o", mine], "output-not-empty", "holds no job"),
        ([images, "-o", mine / "holiday.txt"], "output-not-a-folder", "is a file"),
        ([tmp_path / "gone", "-o", tmp_path / "new"], "source-missing", "does not exist"),
        ([images, "-o", tmp_path / "new", "--set", "shape.cells=3"], "request-invalid", "shape.cells is 3"),
        ([images, "-o", tmp_path / "new", "--set", "light.file=no.hdr"], "light.file-missing", "does not exist"),
        ([images, "-o", tmp_path / "new", "--preset", "best"], "usage", "invalid choice: 'best'"),
        ([images], "usage", "-o"),
    ]
    for words, code, message in cases:
        status, events, errors = run("reconstruct", *words)
        assert (status, only_error(events).code) == (2, code)
        assert message in events[-1].message
        assert errors == ""
    assert contents(tmp_path) == before
    status, events, _ = run("reconstruct", images, "-o", out, "--preset", "draft", "--resume")
    assert status == 0 and events[-1].metrics == {"psnr": 30.0}


def test_a_job_folder_runs_from_its_request_with_paths_of_its_own(out):
    out.mkdir()
    contract.write_json(out / "request.json", {"preset": "draft", "shape": {"steps": 3}})
    (out / "transforms.json").write_text("{}")
    before = (out / "request.json").read_bytes()
    status, _, _ = run(out / "request.json")
    assert status == 0
    assert (out / "request.json").read_bytes() == before
    assert json.loads((out / "state/request.json").read_text())["source"] == str(out)
    contract.write_json(out / "request.json", {"preset": "draft", "shape": {"steps": 4}})
    status, events, _ = run("run", out, "--resume")
    assert (status, only_error(events).code) == (2, "output-holds-another-job")
    assert "shape.steps is 3, not 4" in events[-1].message
    for text, code in (
        ("{", "request-unreadable"),
        ("[]", "request-invalid"),
        ('{"shape": {"cels": 1}}', "key-unknown"),
    ):
        (out / "request.json").write_text(text)
        status, events, _ = run("run", out)
        assert (status, only_error(events).code) == (2, code)
    (out / "request.json").unlink()
    assert run("run", out)[0] == 2


@pytest.mark.parametrize(
    ("do", "status", "code"),
    [
        ("raise contract.RequestError('no poses', code='poses-missing')", 2, "poses-missing"),
        ("raise OSError(28, 'No space left on device', 'a.png')", 3, "disk-full"),
        ("raise ModuleNotFoundError('', name='warp')", 3, "package-missing"),
        ("raise ValueError('shape [3] and [4]')", 1, "internal"),
        ("fail in export", 3, "disk-full"),
    ],
)
def test_a_failure_is_one_event_a_status_and_no_result(do, status, code, images, out):
    came, events, _ = run("reconstruct", images, "-o", out, do=do)
    error = only_error(events)
    assert (came, error.code, error.exit_status) == (status, code, status)
    assert contract.read_status(out).state == "failed"
    assert contract.read_status(out).event["code"] == code
    assert not (out / "result").exists() and not list(out.glob(".result*"))
    assert ("Traceback" in (out / "log.txt").read_text()) == ("contract." not in do)
    assert (
        run("reconstruct", images, "-o", out)[0] == 0
    )  # nothing begun that could be lost: the same command may try again


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs another user to be refused as")
def test_no_permission_is_the_machines_fault():
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        status, events, _ = run("reconstruct", folder, "-o", f"{folder}/new", user=65534)
    assert (status, only_error(events).code) == (3, "no-permission")
    assert f"{folder}/new" in events[-1].message


def test_memory_and_gpu_failures_say_what_to_do():
    for error, code in (
        (MemoryError(), "out-of-memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "out-of-memory"),
        (RuntimeError("CUDA error: device-side assert triggered"), "gpu-failed"),
        (PermissionError(13, "Permission denied", "/root/x"), "no-permission"),
    ):
        failure = explain(error)
        assert (failure.code, failure.exit_status) == (code, 3)
        assert failure.hint


@pytest.mark.parametrize(
    "words", [["--help"], ["reconstruct", "--help"], ["reconstruct", "gone", "-o", "x"], ["frobnicate"], []]
)
def test_help_and_bad_requests_answer_without_torch(words):
    code = (
        "import sys\nfrom backend.__main__ import main\n"
        f"try: main({words!r})\nexcept SystemExit: pass\n"
        "assert not {'torch', 'numpy', 'warp'} & set(sys.modules), 'slow imports'"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1 or "usage:" in done.stdout
