import json

import cv2
import numpy as np
import pytest
from forked_cli import talk

SIZE = 240
FINE = 8  # subpixels along a side: the truth of an edge pixel is the mean over them


def truth(shift=0.0):
    """[SIZE, SIZE] float: how much of each pixel a ring with a knob covers."""
    line = (np.arange(SIZE * FINE) + 0.5) / FINE
    x, y = np.meshgrid(line - 120 - shift, line - 118)
    radius = np.hypot(x, y)
    shape = ((radius < 70) & (radius > 30)) | (np.hypot(x - 80, y + 10) < 22)
    return shape.reshape(SIZE, FINE, SIZE, FINE).mean((1, 3)).astype(np.float32)


def encoded(light):
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


def picture(mask, behind, seed, spill=0.0):
    """uint8 RGB of a mottled orange thing before `behind` ([3] or [H, W, 3] linear), mixed in light, with `spill` of it on the thing."""
    random = np.random.default_rng(seed)
    mottle = cv2.GaussianBlur(random.random((SIZE, SIZE), dtype=np.float32), (0, 0), 4)[..., None]
    front = np.array([0.5, 0.22, 0.05]) * (0.4 + 1.2 * mottle) + spill * np.asarray(behind)
    light = mask[..., None] * front + (1 - mask[..., None]) * behind
    values = 255 * encoded(light.clip(0, 1)) + random.normal(0, 2.0, light.shape)
    return values.clip(0, 255).round().astype(np.uint8)


def overlap(found, true):
    found, true = found > 0.5, true > 0.5
    return (found & true).sum() / (found | true).sum()


def made(folder, name):
    return cv2.imread(str(folder / "masks" / f"{name}.png"), cv2.IMREAD_UNCHANGED).astype(np.float32) / 255


def store(folder, name, values):
    (folder / "images").mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(folder / "images" / f"{name}.png"), values[..., [2, 1, 0, 3][: values.shape[2]]])


def run(tmp_path, *words):
    status, text = talk("masks", *words, output=tmp_path / "told")
    return status, [json.loads(line) for line in text.splitlines()]


def test_an_even_backdrop_is_keyed_with_a_soft_edge_that_spill_does_not_thin(tmp_path):
    folder = tmp_path / "green and grey"
    x = np.linspace(0.6, 1.0, SIZE)[None, :, None]  # lit unevenly
    masks = {"green": truth(), "grey": truth(-6.0), "empty": np.zeros((SIZE, SIZE), np.float32)}
    store(folder, "green", picture(masks["green"], x * [0.03, 0.4, 0.08], 1, spill=0.15))
    store(folder, "grey", picture(masks["grey"], np.full(3, 0.6), 2))
    store(folder, "empty", picture(masks["empty"], np.full(3, 0.6), 3))
    status, events = run(tmp_path, folder, "--method", "chroma", "--threads", 1)
    assert status == 0
    told = next(event for event in events if event["event"] == "masks")
    assert told["suspicious"] == {"empty.png": "empty"}
    for name in ("green", "grey"):
        found, true = made(folder, name), masks[name]
        assert overlap(found, true) > 0.99, name
        edge = (true > 0.05) & (true < 0.95)
        assert np.abs(found - true)[edge].mean() < 0.12, name  # yes or no would be wrong by 0.25
        assert found[true == 1].mean() > 0.995
    status, events = run(tmp_path, folder, "--method", "chroma")
    assert (status, events[-1]["code"]) == (2, "output-not-empty")


def test_grabcut_finds_the_thing_in_its_box_before_a_cluttered_background(tmp_path):
    folder = tmp_path / "clutter"
    random = np.random.default_rng(5)
    clutter = cv2.resize(random.random((12, 12, 3), dtype=np.float32), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    behind = clutter.clip(0, 1) * [0.15, 0.35, 0.6]
    masks = {f"{n:02d}": truth(4.0 * n) for n in range(3)}
    for seed, (name, mask) in enumerate(masks.items()):
        store(folder, name, picture(mask, behind, seed))
    share = [40 / SIZE, 40 / SIZE, 185 / SIZE, 155 / SIZE]
    status, _ = run(tmp_path, folder, "--method", "box", "--box", *share, "--threads", 1)
    assert status == 0
    assert min(overlap(made(folder, name), mask) for name, mask in masks.items()) > 0.97


def test_alpha_is_copied_and_its_lack_told_and_nothing_is_half_written(tmp_path):
    folder = tmp_path / "cut"
    mask = truth()
    values = picture(mask, np.full(3, 0.2), 1)
    store(folder, "a", np.dstack([values, (255 * mask).round().astype(np.uint8)]))
    assert run(tmp_path, folder, "--method", "alpha")[0] == 0
    assert np.abs(made(folder, "a") - mask).max() < 0.01
    store(folder, "b", values)
    status, events = run(tmp_path, folder, "--method", "alpha", "--replace")
    assert (status, events[-1]["code"]) == (2, "alpha-missing")
    assert "b.png" in events[-1]["message"]
    assert [file.name for file in (folder / "masks").iterdir()] == ["a.png"]
    status, events = run(tmp_path, folder, "--method", "box", "--replace")
    assert (status, events[-1]["code"]) == (2, "box-missing")


@pytest.mark.parametrize("words", [("--color", "greenish"), ("--color", "#12")])
def test_an_unknown_colour_is_refused(tmp_path, words):
    store(tmp_path / "a", "a", picture(truth(), np.full(3, 0.2), 1))
    status, events = run(tmp_path, tmp_path / "a", "--method", "chroma", *words)
    assert (status, events[-1]["code"]) == (2, "usage")
