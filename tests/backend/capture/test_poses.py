import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from walls_of_noise import aligned_errors, photograph, write

from backend import contract
from backend.capture.photographs import find_photographs
from backend.capture.verdict import judge
from backend.dataset.source import find_source

ROOT = Path(__file__).resolve().parents[3]


def ring(count):
    turns = 2 * np.pi * np.arange(count) / count
    poses = []
    for index, turn in enumerate(turns):
        place = 2.2 * np.array([np.cos(turn), np.sin(turn), 0.55 + 0.12 * (index % 2)])
        back = place / np.linalg.norm(place)
        right = np.cross([0, 0, 1.0], back)
        right /= np.linalg.norm(right)
        poses.append(np.eye(4))
        poses[-1][:3] = np.stack([right, np.cross(back, right), back, place], 1)
    return poses


def command(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "backend", *map(str, words)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def events_of(process):
    output, errors = process.communicate(timeout=120)
    return [json.loads(line) for line in output.decode().splitlines()], errors.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_interrupted_poses_leave_nothing_go_on_and_find_the_cameras(tmp_path):
    pytest.importorskip("pycolmap", reason="pycolmap is not installed")
    true = ring(12)
    source, output = tmp_path / "my photographs", tmp_path / "with cameras"
    write(source, true, on_its_side=(3,))
    words = ("poses", source, "-o", output, "--quality", "draft", "--focal-35", 43.267 * 240 / 320)
    words += ("--hold-focal", "--threads", 2)
    process = command(*words)
    for line in process.stdout:
        if json.loads(line).get("stage") == "features":
            process.send_signal(signal.SIGINT)
            break
    events, _ = events_of(process)
    assert process.returncode == 130
    assert events[-1]["code"] == "cancelled"
    assert not output.exists()

    process = command(*words)
    events, errors = events_of(process)
    assert process.returncode == 0, errors
    assert [path for path in tmp_path.iterdir() if path not in (source, output)] == []
    told = json.loads((output / "poses.json").read_text())
    assert told["registered"] == 12, told
    assert told["error"] < 1.0

    read = find_source(output, 0)
    images = {image.image.name: image for image in read.train}
    names = [f"photo {index:02d}.jpg" for index in range(12)]
    degrees, distances, turn = aligned_errors([images[name].camera_to_world for name in names], true)
    assert degrees.max() < 0.5
    assert distances.max() < 0.03  # of a block whose longest side is 1
    assert (turn @ [0, 0, 1])[2] > 0.99  # Z is up
    low, high = read.box
    assert (high - low).max() == pytest.approx(1.1, abs=0.2)  # the longest side of the points' box is made 1
    solved = {image.lens.size for image in read.train}
    assert solved == {(256, 192)}, "the one on its side was turned upright"
    assert {round(image.lens.focal[0], 1) for image in read.train} == {240.0}


def test_a_focal_length_that_is_held_stays_as_it_was_given_though_it_is_wrong(tmp_path):
    pytest.importorskip("pycolmap", reason="pycolmap is not installed")
    source, output = tmp_path / "photographs", tmp_path / "posed"
    write(source, ring(12))
    words = ("poses", source, "-o", output, "--quality", "draft", "--lens", "SIMPLE_PINHOLE", "--threads", 2)
    process = command(*words, "--hold-focal")
    events, _ = events_of(process)
    assert (process.returncode, events[-1]["code"]) == (2, "poses-focal")
    assert "photo 00.jpg" in events[-1]["message"]
    process = command(
        *words, "--hold-focal", "--focal-35", 43.267 * 300 / 320
    )  # truly 240 pixels, which is what is found unheld
    _, errors = events_of(process)
    assert process.returncode == 0, errors
    assert {round(image.lens.focal[0], 1) for image in find_source(output, 0).train} == {300.0}


def test_repeated_and_too_few_photographs(tmp_path):
    write(tmp_path / "a", ring(9)[:3])
    (tmp_path / "a" / "again.jpg").write_bytes((tmp_path / "a" / "photo 01.jpg").read_bytes())
    (tmp_path / "a" / "raw.NEF").touch()
    album = find_photographs(tmp_path / "a")
    assert len(album.photographs) == 3
    assert "again.jpg" in " ".join(album.warnings) or "as again.jpg" in " ".join(album.warnings)
    assert "raw.NEF" in " ".join(album.warnings)
    (tmp_path / "a" / "photo 00.jpg").unlink()
    with pytest.raises(contract.RequestError, match=r"2 photographs that differ \(3 files\)"):
        find_photographs(tmp_path / "a")


def test_a_missing_solver_is_told_before_anything_is_written(tmp_path):
    write(tmp_path / "a", ring(9)[:3])
    code = "import importlib.util as u; f = u.find_spec; u.find_spec = lambda n, *a: None if n == 'pycolmap' else f(n, *a);"
    code += f"from backend.__main__ import main; raise SystemExit(main(['poses', {str(tmp_path / 'a')!r}]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60)
    event = json.loads(done.stdout.decode().splitlines()[-1])
    assert (done.returncode, event["code"]) == (3, "package-missing")
    assert "pip install pycolmap" in event["hint"]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_still_background_and_lost_photographs_make_a_poor_verdict():
    figures = {
        "registered": 2,
        "error": 0.4,
        "points": 100,
        "track": 3.5,
        "angle": 12.0,
        "still": 0.6,
        "models": [2, 2],
        "focal_unknown": ["a.jpg.png"],
        "others": [["e.jpg.png", "f.jpg.png"]],
        "views": {
            "a.jpg.png": {"points": 9, "error": 0.4},
            "b.jpg.png": {"points": 9, "error": 9.0},
        },
        "neighbours": {"a.jpg.png": 3, "b.jpg.png": 3, "c.jpg.png": 3},
    }
    verdict = judge(["a.jpg", "b.jpg", "c.jpg", "d.jpg"], figures)
    assert "focal length of 1 photographs" in verdict.findings[-1] and "--hold-focal" in verdict.findings[-1]
    assert any("left out are 2: e.jpg, f.jpg" in finding for finding in verdict.findings)
    assert verdict.grade == "poor"
    assert verdict.missing == ("c.jpg", "d.jpg")
    assert verdict.doubtful == ("b.jpg",)
    assert any("turntable" in finding for finding in verdict.findings)
    assert any(
        "hardly any" in finding and "d.jpg" in finding and "c.jpg" not in finding for finding in verdict.findings
    )


def test_the_traced_photograph_shows_the_block():
    _, block = photograph(ring(9)[0])
    assert 0.05 < block.mean() < 0.5
