"""What is done with a finished result: measured again from its files alone, and drawn under another light."""

import dataclasses
import json
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from backend import contract

if sys.platform == "win32":
    pytest.skip("processes are forked", allow_module_level=True)

sys.path.append(str(Path(__file__).with_name("dataset")))

import forked_cli
from posed_scene import write_scene

from backend.dataset.image_file import read_image
from backend.export.images import write_exr
from backend.job import Job, read_request
from backend.pipeline import reconstruct


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    source, out = write_scene(folder / "photos"), folder / "out"
    words = ["reconstruct", source, "-o", out, *forked_cli.TINY, "--set", "shape.steps=10"]
    status, _ = forked_cli.run(*words, output=folder / "printed.txt")
    assert status == 0
    return source, out


def test_the_exported_files_measure_as_the_fit_did(finished, tmp_path):
    source, out = finished
    status, text = forked_cli.talk("evaluate", out, source, output=tmp_path / "printed.txt")
    assert status == 0
    table = json.loads((out / "evaluation.json").read_text())
    fitted = contract.read_result(out).metrics
    assert table["mean"]["psnr"] == pytest.approx(fitted["psnr"], abs=0.1)
    assert table["mean"]["psnr_mask"] == pytest.approx(fitted["psnr_mask"], abs=0.1)
    assert table["mean"]["psnr_mask"] < table["mean"]["psnr"] - 1
    assert table["mean"]["psnr_exposed"] is None is fitted["psnr_exposed"] and fitted["held_out_views"] == 2
    assert table["mean"]["ssim"] == pytest.approx(fitted["ssim"], abs=0.005)
    assert [view["name"] for view in table["views"]] == ["images/003.png", "images/007.png"]
    rows = text.splitlines()
    assert rows[1].split() == ["view", "PSNR,", "dB", "PSNR", "in", "the", "mask,", "dB", "SSIM"]
    assert any(row.startswith("mean") and f"{table['mean']['psnr']:.2f}" in row for row in rows)


def test_twice_the_light_renders_twice_as_bright_and_a_used_folder_is_refused(finished, tmp_path):
    source, out = finished
    pictures = {}
    for strength in (1.0, 2.0):
        environment = torch.full((8, 16, 3), strength)
        environment[:, :, 2] *= 0.5
        write_exr(tmp_path / "sky.exr", environment)
        folder = tmp_path / f"lit_{strength:.0f}"
        words = ["render", out, "--light", tmp_path / "sky.exr", "--light-resolution", "16", "-o", folder]
        status, events = forked_cli.run(
            *words, "--views", source, "--resolution", "32", output=tmp_path / "printed.txt"
        )
        assert status == 0 and events[-1] == contract.Finished(result=str(folder), seconds=events[-1].seconds)
        assert len(list((folder / "images").glob("*.png"))) == 8
        pictures[strength] = read_image(folder / "images/000.exr")
    dim, bright = pictures[1.0], pictures[2.0]
    assert dim.shape == (24, 32, 4)
    assert dim[..., 3].max() == 1.0 and dim[0, 0].abs().max() == 0.0
    np.testing.assert_allclose(bright[..., :3], 2.0 * dim[..., :3], rtol=5e-3, atol=1e-3)
    before = (folder / "images/000.exr").stat().st_mtime_ns
    status, events = forked_cli.run(*words, output=tmp_path / "printed.txt")
    assert (status, events[-1].code) == (2, "output-not-empty")
    assert (folder / "images/000.exr").stat().st_mtime_ns == before


class ImpatientJob(Job):
    """A job that is cancelled once it was asked `patience` times, which a fit does after each step."""

    patience = 0

    def cancelled(self):
        self.patience -= 1
        return self.patience < 0


def test_stopped_in_each_fit_and_resumed_gives_the_same_bytes(finished, tmp_path):
    _, out = finished
    request = dataclasses.replace(read_request(out / "request.json"), device="cpu")
    for patience, stage in ((4, "shape"), (6, "refine")):
        with pytest.raises(contract.Cancelled), ImpatientJob(tmp_path, request, resume=True) as job:
            job.patience = patience
            reconstruct(request, job, lambda event: None)
        assert (tmp_path / f"state/{stage}.pt").exists() and not (tmp_path / "result").exists()
    with Job(tmp_path, request, resume=True) as job:
        reconstruct(request, job, lambda event: None)
    exact = ["mesh.glb", "mesh.npz", "mesh.obj", "environment.exr", "cameras.json"]
    exact += [f"textures/{name}.png" for name in ("base_color", "roughness", "metallic", "normal", "orm")]
    for name in exact:
        assert (tmp_path / "result" / name).read_bytes() == (out / "result" / name).read_bytes(), name


@pytest.mark.parametrize("verb", ["evaluate", "render"])
def test_an_unfinished_result_is_refused(verb, tmp_path):
    words = {
        "evaluate": ["evaluate", tmp_path, tmp_path],
        "render": ["render", tmp_path, "--light", tmp_path / "a.hdr"],
    }
    status, events = forked_cli.run(*words[verb], output=tmp_path / "printed.txt")
    assert (status, events[-1].code) == (2, "result-missing")


def test_doctor_proves_the_engine_and_answers_programs(tmp_path):
    status, text = forked_cli.talk("doctor", "--json", output=tmp_path / "printed.txt")
    facts = json.loads(text)
    assert (status == 0) is facts["ok"] is all(check["state"] != "missing" for check in facts["checks"])
    proof = next(check for check in facts["checks"] if check["name"] == "proof")
    assert "drew a triangle" in proof["value"]
    status, text = forked_cli.talk("doctor", output=tmp_path / "printed.txt")
    assert all(check["name"] in text for check in facts["checks"])


def test_warm_up_compiles_every_kernel_module(tmp_path):
    status, events = forked_cli.run("warm-up", "--device", "cpu", output=tmp_path / "printed.txt")
    assert status == 0
    assert [event.step for event in events[:-1]] == list(range(1, events[0].steps + 1))


def test_an_asset_with_layers_measures_as_the_fit_did_and_its_alpha_is_in_the_files(tmp_path):
    """From photographs to a result that is read back: what is seen through the surface is drawn by both."""
    source, out = write_scene(tmp_path / "photos"), tmp_path / "out"
    wish = ["--set", "refine.layers=3", "--set", "asset.alpha=clip", "--set", "shape.steps=10"]
    status, text = forked_cli.talk("reconstruct", source, "-o", out, *forked_cli.TINY, *wish, output=tmp_path / "a.txt")
    assert status == 0, text
    result = contract.read_result(out)
    assert result.alpha == "clip"
    assert iio.imread(result.path("base_color")).shape[2] == 4
    status, text = forked_cli.talk("evaluate", out, source, output=tmp_path / "printed.txt")
    assert status == 0, text
    table = json.loads((out / "evaluation.json").read_text())
    assert table["mean"]["psnr"] == pytest.approx(result.metrics["psnr"], abs=0.1)
