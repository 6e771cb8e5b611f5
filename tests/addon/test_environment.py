"""Making, checking and removing the backend's environment, with pip and uv as they are and with stand-ins. No Blender needed."""

import hashlib
import io
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

BACKEND = """
import json, os, sys
if sys.argv[1] == "warm-up":
    import tinything
    print(json.dumps({"event": "progress", "stage": "kernels", "step": 2, "steps": 4}))
else:
    import tinything
    foreign = sorted(name for name in os.environ if name in ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "VIRTUAL_ENV"))
    found = {"Python": "3 (/partial)", "torch": tinything.WORD, "proof": "builtin " + str(foreign)}
    checks = [{"name": name, "state": "ok", "value": value} for name, value in found.items()]
    print(json.dumps({"event": "doctor", "ok": True, "checks": checks}))
"""
posix = pytest.mark.skipif(os.name != "posix", reason="the stand-ins are scripts with a #! line")


@pytest.fixture
def env(addon_module):
    return addon_module("environment")


@pytest.fixture
def part(addon_module):
    return lambda name: addon_module(f"installer.{name}")


@pytest.fixture
def ground(tmp_path, monkeypatch, env):
    """A folder with a space and an umlaut: a wheel, a lock file that asks for it, and a backend that needs it."""
    monkeypatch.delenv(env.VARIABLE, raising=False)
    ground = tmp_path / "Käthe's files"
    (ground / "root/backend").mkdir(parents=True)
    (ground / "root/backend/__main__.py").write_text(BACKEND)
    (ground / "lock.txt").write_text("# what it needs\ntinything==1.0\n")
    (ground / "wheels").mkdir()
    info = "tinything-1.0.dist-info"
    with zipfile.ZipFile(ground / "wheels/tinything-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tinything.py", "WORD = 'tiny 1.0'\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinything\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"tinything.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return ground


@pytest.fixture
def make(ground, env, part, monkeypatch):
    """Begin a making in `ground` with `program` for uv (None: pip)."""

    def make(program=None, **wishes):
        monkeypatch.setattr(part("uv"), "find", lambda _tools: program)
        wish = part("plan").Wish(**{"online": False, "wheels": ground / "wheels", "base": sys.executable, **wishes})
        lock = ground / "lock.txt"
        return part("making").Making(wish, env.place(ground / "home", lock), lock, ground / "root")

    return make


def look(env, ground):
    return env.look("", ground / "home", ground / "lock.txt", {})


def stand_in(path, body):
    path.write_text(f"#!{sys.executable}\nimport os, subprocess, sys, time\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("system", "driver", "index"),
    [
        ("linux", "580.65.06", "https://download.pytorch.org/whl/cu130"),
        ("windows", "531.14", "https://download.pytorch.org/whl/cu126"),
        ("linux", "470.1", "https://download.pytorch.org/whl/cpu"),
        ("windows", "", "https://download.pytorch.org/whl/cpu"),
        ("macos", "", ""),
    ],
)
def test_the_build_of_torch_follows_the_gpu_and_may_be_overridden(part, system, driver, index):
    plan, folder = part("plan"), Path("env")
    machine = part("machine").Machine(system, "x86_64", driver)

    def install(uv, **wishes):
        wish = plan.Wish(**{"online": True, **wishes})
        return plan.steps(wish, machine, Path("lock.txt"), folder, uv=uv, base=Path("python3"))[1].command

    for uv in (Path("uv"), None):
        command = install(uv)
        named = command[command.index("--extra-index-url") + 1] if "--extra-index-url" in command else ""
        assert named == index
        assert ("unsafe-best-match" in command) == bool(uv and index)
        assert "https://mine" in install(uv, torch_index="https://mine") and "--index-url" not in command
        offline = install(uv, wheels=Path("w"), torch_index="https://mine")
        assert offline[offline.index("--no-index") :][:3] == ("--no-index", "--find-links", "w")
        assert not any("://" in word for word in offline)


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_an_environment_is_made_from_wheels_proved_lost_and_removed(ground, make, env, part, monkeypatch, tool):
    program = shutil.which("uv")
    if tool == "uv" and not program:
        pytest.skip("uv is not installed")
    for name in ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, str(ground / "foreign"))
    left = ground / "home" / f"{env.place(ground / 'home', ground / 'lock.txt').key}.part-dead"
    (left / "bin").mkdir(parents=True)  # of a making that was interrupted
    (left / "bin/python").touch()
    assert look(env, ground).state == "missing" and "not set up" in look(env, ground).reason

    making = make(Path(program) if tool == "uv" else None)
    assert making.wait(120)
    assert making.state == "finished", making.failure
    now = look(env, ground)
    assert now.ready and now.state == "ready" and now.bytes > 1000
    assert now.details == ("Python: 3", "torch: tiny 1.0", "Check: builtin []")  # nothing foreign reached the children
    assert now.interpreter == env.interpreter("", ground / "home", ground / "lock.txt")
    store = env.place(ground / "home", ground / "lock.txt")
    assert {path.name for path in store.home.iterdir()} == {store.key, f"{store.key}.log", f"{store.key}.lock"}
    assert "tinything" in store.log.read_text(encoding="utf-8")

    (ground / "lock.txt").write_text("tinything==2.0\n")  # an upgrade of Unrender asks for other packages
    assert "other packages" in look(env, ground).reason
    (ground / "lock.txt").write_text("tinything==1.0\n")
    now.interpreter.unlink()
    assert look(env, ground).state == "broken" and "lost its Python" in look(env, ground).reason
    removing = part("checking").Removing(store)
    assert removing.wait(10) and removing.state == "finished" and not store.home.exists()
    assert look(env, ground).state == "missing"


@posix
def test_a_cancel_ends_all_that_was_started_within_a_second(ground, make, env):
    started = ground / "started"
    hang = "child = subprocess.Popen(['sleep', '60'])\n"
    hang += f"open({str(started)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\nos.makedirs(sys.argv[-1])\ntime.sleep(60)"
    making = make(stand_in(ground / "uv", hang))
    until = time.monotonic() + 20
    while not (started.is_file() and len(started.read_text().split()) == 2) and time.monotonic() < until:
        time.sleep(0.02)
    processes = [int(word) for word in started.read_text().split()]
    began = time.monotonic()
    making.cancel()
    assert time.monotonic() - began < 0.1
    assert making.wait(5) and time.monotonic() - began < 1.0
    assert making.state == "cancelled" and not any(map(alive, processes))
    assert not list((ground / "home").glob("*.part-*")) and look(env, ground).state == "missing"


def alive(process):
    until = time.monotonic() + 1.0
    while time.monotonic() < until:  # a killed grandchild waits for its new parent to take note
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return False
            os.kill(process, 0)
        except (ProcessLookupError, FileNotFoundError):
            return False
        time.sleep(0.02)
    return True


@posix
@pytest.mark.parametrize(
    ("says", "code", "hint"),
    [
        ("error: failed to write: No space left on device (os error 28)", "disk-full", "another disk"),
        ("ERROR: Could not install: [Errno 13] Permission denied: '/x'", "folder-read-only", "another folder"),
        ("error: Request failed: dns error: Name or service not known", "network", "folder of wheels"),
        ("ERROR: No matching distribution found for torch==2.13.0", "package-missing", "for this system"),
        ("something nobody foresaw", "packages-failed", "log says more"),
    ],
)
def test_a_failing_tool_is_explained_and_leaves_nothing(ground, make, env, says, code, hint):
    body = f"if sys.argv[1] == 'venv': os.makedirs(sys.argv[-1]); sys.exit()\nprint({says!r}, file=sys.stderr); sys.exit(2)"
    making = make(stand_in(ground / "uv", body))
    assert making.wait(20) and making.state == "failed"
    assert making.failure.code == code and hint in making.failure.hint
    assert not look(env, ground).ready and not list((ground / "home").glob("*.part-*"))
    assert says in env.place(ground / "home", ground / "lock.txt").log.read_text()


def test_refusals_before_anything_is_made(ground, make, part, env, monkeypatch):
    def fault(making):
        assert making.wait(20) and making.state == "failed"
        return f"{making.failure} {making.failure.hint}"

    offline = fault(make(wheels=None, offline_hint="Allow it there"))
    assert "may not go online" in offline and "Allow it there" in offline and not (ground / "home").exists()
    (ground / "empty").mkdir()
    assert "holds no wheels" in fault(make(wheels=ground / "empty"))
    assert "cannot make environments" in fault(make(base=str(ground / "no python")))
    monkeypatch.setattr(part("pythons"), "candidates", list)
    assert "neither uv nor a Python" in fault(make(base=""))
    with env.place(ground / "home", ground / "lock.txt").locked():  # another Blender
        assert "another Blender" in fault(make())
    monkeypatch.setattr(part("making").shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10, 9, 1))
    assert "is full" in fault(make())
    shutil.rmtree(ground / "home")
    (ground / "home").touch()  # a file where the folder should be
    assert "cannot be used" in fault(make())
    assert "cannot be written" in str(part("store").fault_of(PermissionError(13, "denied"), ground))


@posix
def test_a_python_of_the_wrong_version_is_named(ground, make):
    making = make(base=str(stand_in(ground / "old", "print('3 9')")))
    assert making.wait(20) and "is Python 3.9; expected Python 3.11 to 3.13" in str(making.failure)


@posix
def test_a_check_names_what_is_missing_and_gives_up_on_silence(ground, part):
    report = '{"checks": [{"name": "torch", "state": "missing", "value": "not installed", "hint": "Install it"}]}'
    checking = part("checking").Checking(stand_in(ground / "a", f"print({report!r}); sys.exit(3)"), ground / "root")
    assert checking.wait(20) and "torch: not installed. Install it" in str(checking.failure)
    silent = part("checking").Checking(stand_in(ground / "b", "time.sleep(60)"), ground / "root", seconds=0.5)
    assert silent.wait(5) and "did not answer" in str(silent.failure)
    none = part("checking").Checking(ground / "nothing here", ground / "root")
    assert none.wait(5) and "cannot be started" in str(none.failure)


def test_a_fetched_uv_is_used_only_with_the_right_checksum(tmp_path, part):
    uv, whole = part("uv"), io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr(f"uv-1.data/scripts/{uv._NAME}", b"program")
    data = whole.getvalue()
    with pytest.raises(Exception, match="has the checksum"):
        uv.unpack(data + b" ", hashlib.sha256(data).hexdigest(), tmp_path)
    assert not list(tmp_path.iterdir())
    program = uv.unpack(data, hashlib.sha256(data).hexdigest(), tmp_path)
    assert program.read_bytes() == b"program" and uv.find(tmp_path) == program
    machine = part("machine").Machine
    assert {(s, a) for s in ("linux", "windows", "macos") for a in ("x86_64", "arm64")} == set(uv.WHEELS)
    assert "amd64" in uv.wheel_for(machine("windows", "x86_64")).address and uv.wheel_for(machine("bsd", "x")) is None


def test_progress_is_told_in_words_and_never_falls(part):
    step = part("plan").Step("packages", "Installing packages", (), 0.8)
    for lines, words in (
        (
            ["Resolved 18 packages in 2s", "Downloading torch (180.0MiB)", " Downloaded torch"],
            "Downloading torch, 180.0MiB",
        ),
        (["Collecting torch==2.13.0", "  Downloading torch-2.13.0-cp311-x.whl (180 MB)"], "Downloading torch, 180 MB"),
    ):
        teller, shares = part("telling").Teller(step, 0.05, 18), [0.05]
        for line in lines:
            teller.hear(line)
            shares.append(teller.share)
        assert teller.says == words and shares == sorted(shares) and 0.05 < shares[-1] < 0.2
    kernels = part("telling").Teller(part("plan").Step("kernels", "Compiling kernels", (), 1.0), 0.8, 1)
    kernels.hear('{"event": "progress", "stage": "kernels", "step": 3, "steps": 6}')
    assert kernels.says == "Compiling kernels, 3 of 6" and kernels.share == pytest.approx(0.9)


@posix
def test_a_killed_blender_leaves_no_lock_and_nothing_that_counts_as_ready(ground, env, part):
    hold = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'a+'); fcntl.flock(f, 2); print(1, flush=True); time.sleep(60)"
    )
    store = env.place(ground / "home", ground / "lock.txt")
    store.home.mkdir()
    lock = store.home / f"{store.key}.lock"
    other = subprocess.Popen([sys.executable, "-c", hold, str(lock)], stdout=subprocess.PIPE)
    other.stdout.readline()
    with pytest.raises(Exception, match="another Blender"), store.locked():
        pass
    other.kill()
    other.wait()
    other.stdout.close()
    with store.locked():
        pass
