"""Clips, image sequences and movies as photographs: the folder that Blender wrote, read by the backend's own reader."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.dataset.transforms import read_transforms


def pixels_of(image, points):
    """Where the reader's camera sees world points, in pixels from the top left."""
    local = (np.array(points) - image.camera_to_world[:3, 3]) @ image.camera_to_world[:3, :3]
    x, y = image.lens.distortion.apply(local[:, 0] / -local[:, 2], -local[:, 1] / -local[:, 2])
    (fx, fy), (cx, cy) = image.lens.focal, image.lens.centre
    return np.stack([fx * x + cx, fy * y + cy], axis=-1)


def test_each_frame_of_a_clip_a_sequence_and_a_movie_is_a_view_and_the_scene_stays(blender, tmp_path):
    found = blender("moving.py")
    assert found["error"] < 1e-4  # pixels: Blender's solver takes OpenCV's coefficients for what they were made with
    images, _ = read_transforms(tmp_path / "followed")
    assert len(images) == len(found["wanted"]) == 4  # every second of the seven that were solved
    for image, (name, wanted) in zip(images, found["wanted"].items()):
        assert image.name == f"images/{images.index(image):03}_{name}.png"
        assert image.image.read_bytes() == Path(wanted["file"]).read_bytes()
        marks = np.array(wanted["marks"]) * [1, -1] * [96, 64] + [0, 64]
        assert np.abs(pixels_of(image, wanted["points"]) - marks).max() < 2e-3
    images, _ = read_transforms(tmp_path / "alone")
    assert [Path(image.name).stem[4:] for image in images] == list(found["alone"])
    for image, pose in zip(images, found["alone"].values()):
        assert image.camera_to_world == pytest.approx(np.array(pose), abs=1e-6)

    images, _ = read_transforms(tmp_path / "frames")
    assert [Path(image.name).stem[4:] for image in images] == sorted(found["shown"])
    for image in images:
        shown = found["shown"][Path(image.name).stem[4:]]
        assert np.array_equal(np.array(Image.open(image.image))[..., :3], np.array(Image.open(shown["file"]))[..., :3])
        assert image.camera_to_world == pytest.approx(np.array(shown["pose"]), abs=1e-6)
        assert image.lens.focal[0] == pytest.approx(
            shown["lens"] / 36 * 200 * 64 / 100, rel=1e-6
        )  # as high as the frame
    frames = json.loads((tmp_path / "frames/transforms.json").read_text())["frames"]
    assert {frame["w"] for frame in frames} == {96}

    assert found["size"] > 1000 and found["changed"] == []
    assert [path for path in found["noticed"] if "keyframe_points" in path] and len(found["noticed"]) < 30
    refusals = found["refusals"]
    assert "of the model Division" in refusals["division"] and "solve again" in refusals["division"]
    assert "does not follow its solution" in refusals["bent"] and "Camera Solver" in refusals["bent"]
    assert "no solved frame from 1 to 5" in refusals["range"] and "no movie clip is chosen" in refusals["none"]
    assert not found["left"]
