"""What a plan takes away where memory is short, what it leaves alone, and a run whose steps really run out of it."""

import json

import imageio.v3 as iio
import numpy as np
import pytest
import torch

from backend import contract
from backend.contract import EnvironmentFault, MeshUpdate, Planned, Warned, parse
from backend.job import Job
from backend.memory import Free, free_memory, is_out_of_memory
from backend.optimise.refine import RefineFit
from backend.optimise.shape import ShapeFit
from backend.pipeline import reconstruct
from backend.plan import Images, device_bytes, plan_run

GB = 10**9
PHOTOGRAPHS = Images(train=100, test=14, height=4000, width=6000)


def request(**data):
    return parse({"source": ".", "device": "cpu", **data})


def test_large_photographs_fit_any_device_and_a_smaller_one_gets_no_more():
    before = None
    for free in (78 * GB, 24 * GB, 10 * GB, 5 * GB, 3 * GB):
        plan = plan_run(request(preset="high"), PHOTOGRAPHS, Free(free, 64 * GB))
        assert plan.needed <= 0.85 * free
        assert 64 <= plan.request.views.resolution <= plan.request.asset.texture_size
        now = device_bytes(plan.request, PHOTOGRAPHS, plan.at_once, plan.images == "device", True)
        assert before is None or now <= before
        assert bool(plan.notes) == (free < 8 * GB)
        before = now


def test_a_thousand_photographs_are_planned_for():
    """Kept on the device, on the machine beside it, or at fewer pixels with a word about it; never more than there is."""
    thousand = Images(train=875, test=125, height=4000, width=6000)
    wish = request(views={"resolution": 0}, asset={"texture_size": 2048})
    plans = [
        plan_run(wish, thousand, Free(*free)) for free in ((78 * GB, 128 * GB), (12 * GB, 64 * GB), (12 * GB, 16 * GB))
    ]
    assert [plan.images for plan in plans[:2]] == ["device", "host"]
    assert [plan.request.views.resolution for plan in plans] == [2048, 2048, 1024]
    assert [bool(plan.notes) for plan in plans] == [False, False, True]
    assert plans[1].needed < 12 * GB and plans[2].needed < 12 * GB


def test_what_was_asked_for_is_kept_or_refused_in_words():
    wish = {"views": {"resolution": 1600}, "asset": {"texture_size": 4096}}
    plan = plan_run(request(**wish), PHOTOGRAPHS, Free(8 * GB, 64 * GB))
    assert (plan.request.views.resolution, plan.request.asset.texture_size) == (1600, 4096)
    assert plan.at_once == 1 < plan.request.refine.views_per_step == 4, "the step is kept, rendered in portions"
    with pytest.raises(EnvironmentFault) as refused:
        plan_run(request(**wish), PHOTOGRAPHS, Free(2 * GB, 64 * GB))
    assert refused.value.code == "out-of-memory"
    assert "asset.texture_size=4096" in refused.value.hint


def test_what_fits_is_left_as_it_is():
    for preset in contract.PRESETS:
        asked = request(preset=preset)
        assert plan_run(asked, Images(24, 4, 128, 128), Free(None, 16 * GB)).request == asked
    assert free_memory(torch.device("cpu")).host > 1 << 27


def test_a_failed_allocation_is_known_by_any_name():
    try:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory")
        except torch.OutOfMemoryError:
            raise RuntimeError("operation failed due to a previous error during capture")  # noqa: B904 - as PyTorch does it
    except RuntimeError as error:
        assert is_out_of_memory(error)
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("Failed to allocate 4096 bytes on device 'cuda:0'"))
    assert not is_out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))
    assert not is_out_of_memory(ValueError("out of memory"))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """A grey ball from eight sides."""
    folder = tmp_path_factory.mktemp("ball")
    y, x = np.mgrid[0:128, 0:128] - 63.5
    alpha = np.where(x**2 + y**2 < 40**2, 255, 0).astype(np.uint8)
    iio.imwrite(folder / "ball.png", np.dstack([alpha // 2] * 3 + [alpha]))
    frames = []
    for number in range(8):
        turn, height = 0.9 * number, 0.5 * (-1) ** number
        away = np.array([np.cos(turn) * np.sqrt(1 - height**2), np.sin(turn) * np.sqrt(1 - height**2), height])
        right = np.cross([0.0, 0.0, 1.0], away) / np.sqrt(1 - height**2)
        pose = np.eye(4)
        pose[:3, 0], pose[:3, 1], pose[:3, 2], pose[:3, 3] = right, np.cross(away, right), away, 4 * away
        frames.append({"file_path": "ball.png", "transform_matrix": pose.tolist()})
    for frame, number in zip(frames, range(8)):
        (folder / f"{number}.png").write_bytes((folder / "ball.png").read_bytes())
        frame["file_path"] = f"{number}.png"
    (folder / "transforms.json").write_text(json.dumps({"camera_angle_x": 0.8, "frames": frames}))
    return folder


def run_short_of_memory(folder, out, monkeypatch, fails, stage=ShapeFit):
    """(result or the failure, events) of a small run, one stage of which fails where `fails(fit)` says so."""
    advance, events = stage.advance, []

    def short(fit):
        if fails(fit):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return advance(fit)

    monkeypatch.setattr(stage, "advance", short)
    asked = request(
        source=str(folder), threads=1, views={"resolution": 128}, light={"resolution": 16},
        shape={"steps": 12, "cells": 16, "start_cells": 16, "views_per_step": 2, "hash_levels": 4, "hash_log2_size": 12},
        asset={"triangles": 500, "texture_size": 512}, refine={"steps": 6, "views_per_step": 2},
    )  # fmt: skip
    with Job(out, asked) as job:
        try:
            return reconstruct(asked, job, events.append), events
        except EnvironmentFault as error:
            return error, events


def test_a_step_that_runs_out_of_memory_goes_on_smaller_from_where_it_was(photographs, tmp_path, monkeypatch):
    tried = []

    def fails(fit):  # at step 7 while it renders two views at a time, or images of their full size
        tried.append(fit.step)
        return fit.step == 7 and (fit.portion > 1 or fit.views.canvas[0] > 64)

    result, events = run_short_of_memory(photographs, tmp_path / "out", monkeypatch, fails)
    assert isinstance(result, contract.Result)
    assert tried == [*range(8), 7, 7, *range(8, 12)], "no step is lost and none is taken twice"
    warnings = [event.message for event in events if isinstance(event, Warned) and "memory" in event.message]
    assert ["step 7" in text and "ran out of memory" in text for text in warnings] == [True, True]
    planned = [event for event in events if isinstance(event, Planned)]
    assert [(event.views_per_step, event.resolution) for event in planned] == [(2, 128), (2, 128), (2, 64)]
    assert ["1 at a time" in event.summary for event in planned] == [False, True, True]
    assert set(warnings) <= set(result.warnings)
    first = next(event for event in events if isinstance(event, MeshUpdate))
    assert (first.stage, first.step) == ("shape", 10), "the mesh is shown while its shape is coarse"
    with np.load(tmp_path / "out" / first.path) as mesh:
        assert len(mesh["faces"]) == first.triangles > 50


def test_the_refine_stage_gives_up_portions_then_pixels_then_texels(photographs, tmp_path, monkeypatch):
    tried = []

    def fails(fit):
        tried.append((fit.step, fit.portion, fit.views.canvas[0], max(fit.textures.size)))
        return fit.step == 4 and tried[-1][1:] != (1, 64, 256)

    result, events = run_short_of_memory(photographs, tmp_path / "out", monkeypatch, fails, RefineFit)
    assert isinstance(result, contract.Result)
    assert [seen for seen in tried if seen[0] == 4] == [
        (4, 2, 128, 512),
        (4, 1, 128, 512),
        (4, 1, 64, 512),
        (4, 1, 64, 256),
    ]
    assert [seen[0] for seen in tried] == [0, 1, 2, 3, 4, 4, 4, 4, 5]
    assert result.request["asset"]["texture_size"] == 256
    assert len([event for event in events if isinstance(event, Warned) and "ran out of memory" in event.message]) == 3


def test_where_nothing_smaller_helps_the_run_ends_in_words_and_can_be_resumed(photographs, tmp_path, monkeypatch):
    error, _ = run_short_of_memory(photographs, tmp_path / "out", monkeypatch, lambda fit: fit.step == 5)
    assert (error.code, error.exit_status) == ("out-of-memory", 3)
    assert "--resume" in error.hint
    assert torch.load(tmp_path / "out" / "state" / "shape.pt", weights_only=True)["state"]["step"] == 5


def test_each_layer_takes_memory_and_fewer_views_are_rendered_at_a_time():
    needed, at_once = [], []
    for layers in (1, 2, 8):
        wish = request(refine={"layers": layers}, views={"resolution": 1024})
        needed.append(device_bytes(wish, PHOTOGRAPHS, 4, True, True))
        at_once.append(plan_run(wish, PHOTOGRAPHS, Free(78 * GB, 64 * GB)).at_once)
    assert needed[0] < needed[1] < needed[2]
    assert at_once[0] > at_once[2] >= 1
