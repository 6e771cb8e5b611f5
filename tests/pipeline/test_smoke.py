"""The whole run on a small thing whose pictures are known in closed form, through the command line as a user would call it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
SIZE, FIELD_OF_VIEW, DISTANCE = 64, 0.7, 4.0
AXES = np.array([0.9, 0.6, 0.7])
CENTRE = np.array([1.0, 2.0, -0.5])
SETTINGS = (
    "shape.steps=60", "shape.cells=24", "shape.start_cells=16", "shape.views_per_step=2", "shape.weights.smoothness_ramp=20",
    "refine.steps=40", "refine.views_per_step=2", "asset.triangles=2000", "asset.texture_size=256", "light.resolution=16",
    "views.resolution=64", "threads=1",
)  # fmt: skip


def direction_of(number, count):
    """A point of a Fibonacci sphere, its poles left out."""
    height, turn = 0.9 * (1 - (2 * number + 1) / count), number * np.pi * (3 - np.sqrt(5))
    return np.array([np.cos(turn) * np.sqrt(1 - height**2), np.sin(turn) * np.sqrt(1 - height**2), height])


def photograph(away):
    """(pose, [S, S, 4] straight sRGB values) of a dull ellipsoid, coloured by position, in an all-white surrounding."""
    pose = np.eye(4)
    right = np.cross([0.0, 0.0, 1.0], away)
    right /= np.linalg.norm(right)
    pose[:3, 0], pose[:3, 1], pose[:3, 2] = right, np.cross(away, right), away
    pose[:3, 3] = CENTRE + DISTANCE * away
    fine = 3 * SIZE
    offset = (np.arange(fine) + 0.5) / fine * 2 - 1
    x, y = np.meshgrid(offset, -offset)
    local = np.stack([x, y, np.full_like(x, -1 / np.tan(FIELD_OF_VIEW / 2))], axis=-1)
    ray = local @ pose[:3, :3].T / AXES
    start = (pose[:3, 3] - CENTRE) / AXES
    a, b, c = (ray**2).sum(-1), ray @ start, start @ start - 1
    inside = b**2 - a * c
    hit = inside > 0
    point = start + ray * ((-b - np.sqrt(np.maximum(inside, 0))) / a)[..., None]
    color = 0.45 + 0.3 * np.sin(np.array([4.0, 3.0, 5.0]) * point + np.array([0.0, 1.0, 2.0]))  # linear
    image = np.concatenate([color * hit[..., None], hit[..., None].astype(float)], axis=-1)
    image = image.reshape(SIZE, 3, SIZE, 3, 4).mean(axis=(1, 3))
    straight = image[..., :3] / np.maximum(image[..., 3:], 1e-6)
    encoded = np.where(straight <= 0.0031308, 12.92 * straight, 1.055 * np.maximum(straight, 1e-9) ** (1 / 2.4) - 0.055)
    return pose, np.concatenate([encoded, image[..., 3:]], axis=-1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A NeRF-synthetic folder."""
    path = tmp_path_factory.mktemp("smoke")
    for split, numbers in (("train", [n for n in range(25) if n % 5 != 2]), ("test", range(2, 25, 5))):
        (path / "photos" / split).mkdir(parents=True)
        frames = []
        for number in numbers:
            pose, image = photograph(direction_of(number, 25))
            frames.append({"file_path": f"./{split}/r_{number}", "transform_matrix": pose.tolist()})
            iio.imwrite(path / "photos" / split / f"r_{number}.png", np.rint(image * 255).clip(0, 255).astype(np.uint8))
        meta = {"camera_angle_x": FIELD_OF_VIEW, "frames": frames}
        (path / "photos" / f"transforms_{split}.json").write_text(json.dumps(meta))
    return path


def reconstruct(folder, name, *, resume=False, stop_in=None):
    """Run to the end, or until a step of stage `stop_in` was told; (exit status, last event)."""
    command = [
        sys.executable,
        "-m",
        "backend",
        "reconstruct",
        str(folder / "photos"),
        "-o",
        str(folder / name),
        "--json",
    ]
    command += ["--preset", "draft", "--device", "cpu", *(word for item in SETTINGS for word in ("--set", item))]
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    log = (folder / f"{name}.err").open("w")
    with (
        log,
        subprocess.Popen(
            command + ["--resume"] * resume, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=log, text=True
        ) as child,
    ):
        event = {}
        for line in child.stdout:
            event = json.loads(line)
            if event["event"] == "progress" and event["stage"] == stop_in and event["step"]:
                assert event["step"] < event["steps"], "the stage ended before it could be stopped"
                (folder / name / "stop").touch()
        return child.wait(120), event


@pytest.fixture(scope="module")
def straight(folder):
    """A run from start to end: the job folder and its last event."""
    status, event = reconstruct(folder, "straight")
    assert status == 0, event
    return folder / "straight", event


def test_the_asset_looks_like_the_photographs_and_stands_where_they_say(straight):
    job, event = straight
    result = json.loads((job / "result" / "result.json").read_text())
    assert (
        event["metrics"]["psnr"] == result["metrics"]["psnr"] > 27.0
    )  # held-out views; the hull alone in grey is below 20
    with np.load(job / "result" / result["files"]["arrays"]) as arrays:
        vertices = arrays["vertices"]
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    assert (low + high) / 2 == pytest.approx(CENTRE, abs=0.04)
    assert (high - low) / 2 == pytest.approx(AXES, abs=0.06)


def test_the_first_mesh_is_the_outline_where_the_photographs_say(straight):
    with np.load(straight[0] / "preview" / "views-000000.npz") as arrays:
        vertices = arrays["vertices"]
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    assert (low + high) / 2 == pytest.approx(CENTRE, abs=0.06)
    assert (high - low) / 2 == pytest.approx(AXES, abs=0.15)  # masks of 64 pixels, wider by one


def test_a_result_is_whole(straight):
    result = straight[0] / "result"
    listed = json.loads((result / "result.json").read_text())["files"]
    assert {path.relative_to(result).as_posix() for path in result.rglob("*") if path.is_file()} == {
        "result.json", *listed.values()
    }  # fmt: skip
    for name in (
        "mesh.glb",
        "mesh.obj",
        "environment.exr",
        "environment.hdr",
        "cameras.json",
        "metrics.json",
        "report.html",
    ):
        assert (result / name).stat().st_size > 100
    assert (
        "http://" not in (result / "report.html").read_text() and "https://" not in (result / "report.html").read_text()
    )
    modules = Path(os.environ.get("UNRENDER_NODE_MODULES", "node_modules"))
    if (modules / "gltf-validator").is_dir():
        command = ["node", str(ROOT / "scripts" / "validate_gltf.mjs"), str(result / "mesh.glb")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_run_stopped_by_its_file_and_resumed_gives_the_same_bytes(folder, straight):
    status, event = reconstruct(folder, "stopped", stop_in="shape")
    assert (status, event["code"]) == (130, "cancelled")
    assert not (folder / "stopped" / "result").exists()
    status, event = reconstruct(folder, "stopped", resume=True)
    assert status == 0, event
    whole, resumed = straight[0] / "result", folder / "stopped" / "result"
    names = {
        path.relative_to(whole) for path in whole.rglob("*") if path.suffix in {".glb", ".obj", ".png", ".exr", ".hdr"}
    }
    assert len(names) >= 8
    different = [str(name) for name in sorted(names) if (whole / name).read_bytes() != (resumed / name).read_bytes()]
    assert different == []
