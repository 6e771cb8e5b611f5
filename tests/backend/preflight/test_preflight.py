"""A good set is left in peace, and each fault that is planted into it is found by the photograph's name."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from planted import FAULTS, SIDE, blur, cameras_of, expose, hole_mask, outlines, pose_at, spread, turn_camera, views_of

from backend import contract
from backend.dataset.normalise import similarity_of
from backend.dataset.views import Dataset
from backend.export.report_preflight import preflight_section
from backend.preflight.cells import Cells
from backend.preflight.check import check_views
from backend.preflight.directions import directions_of, holes, in_words
from backend.preflight.dropping import without_bad
from backend.preflight.outlines import jutting
from backend.preflight.silhouettes import judge

CUBE = similarity_of(-torch.ones(3), torch.ones(3))
PLANTED_INTO = (1, 9, 14)


@pytest.fixture(scope="module")
def good():
    return views_of([pose_at(away) for away in spread(20)])


def copy_of(views):
    cameras = replace(views.cameras, camera_to_world=views.cameras.camera_to_world.clone())
    return replace(views, images=views.images.clone(), cameras=cameras)


def test_a_good_set_is_left_in_peace(good):
    found = check_views(good)
    assert not found.findings and not found.warnings(), found.warnings()
    assert max(one.conflict for one in found.views) < 0.002 and max(abs(one.stops) for one in found.views) < 0.7


@pytest.mark.parametrize("count", [6, 10, 40])
def test_good_sets_of_few_and_many_views_are_left_in_peace(count):
    found = check_views(views_of([pose_at(away) for away in spread(count)], side=64))
    assert not found.findings
    assert found.too_few == (count if count < 12 else 0)


def test_each_planted_fault_is_found_by_name(good):
    """The confusion table: rows are what was planted, columns what was found; off its diagonal, and outside the names, stands nothing."""
    table = {}
    for plant, (fault, step) in FAULTS.items():
        for index in PLANTED_INTO:
            views = copy_of(good)
            plant(views, index)
            hurt = {index} if step is None else {index, (index + step) % len(good)}
            named = {(finding.index, finding.fault) for finding in check_views(views).findings}
            table[plant.__name__, index] = (named, {(view, fault) for view in hurt})
    wrong = {row: named for row, (named, expected) in table.items() if named != expected}
    assert not wrong, wrong


def test_masks_with_an_inside_cut_out_are_found_though_two_are_alike():
    """As one that cuts out a dark opening cuts it out of every view into it: each hides the other from who looks for conflict."""
    views = views_of([pose_at(away) for away in spread(40)])
    assert not check_views(views).findings
    for index in (9, 10, 25):
        hole_mask(views, index)
    found = check_views(views)
    assert [(finding.index, finding.fault) for finding in found.findings] == [
        (9, "holed"),
        (10, "holed"),
        (25, "holed"),
    ]
    assert "in one piece" in found.findings[0].reason and found.warnings()[-1].code == "preflight-holed"


def test_several_faults_at_once_are_told_apart_and_dropped(good):
    views = copy_of(good)
    blur(views, 3)
    expose(views, 8)
    turn_camera(views, 12)
    turn_camera(views, 16)
    found = check_views(views)
    assert {(f.index, f.fault) for f in found.findings} == {
        (3, "blurred"),
        (8, "exposure"),
        (12, "silhouette"),
        (16, "silhouette"),
    }
    dataset, dropped = without_bad(Dataset(views, None, CUBE), found)
    kept = dataset.train
    assert len(kept) == 16 and dropped.dropped == tuple(f"IMG_{index:03d}.png" for index in (3, 8, 12, 16))
    assert not check_views(kept).findings
    messages = {warning.code: warning.message for warning in dropped.warnings()}
    assert "IMG_008.png (+" in messages["preflight-exposure"]
    assert "IMG_012.png" in messages["preflight-silhouette"] and "IMG_003.png" in messages["preflight-dropped"]
    page = preflight_section(dropped)
    assert "4 of 20 hurt" in page and "IMG_016.png</td><td>" in page and "left out of the fit" in page
    json.dumps(dropped.to_dict(), allow_nan=False)


def test_cameras_that_are_wrong_throughout_are_nobodys_fault_in_particular(good):
    views = copy_of(good)
    order = torch.randperm(len(good), generator=torch.Generator().manual_seed(1))
    views.cameras.camera_to_world[:] = good.cameras.camera_to_world[order]
    found = check_views(views)
    assert found.disordered and not found.findings
    whole = Dataset(views, None, CUBE)
    assert without_bad(whole, found)[0] is whole


def test_a_part_that_moved_between_two_photographs_is_found_there(good):
    """One shape fits neither the first 24 nor the last 16 together with the others; what is dropped is the shorter stretch, and the
    held-out photographs that lie in it or at the break."""
    everything = views_of([pose_at(away) for away in spread(44)], moved=range(26, 44))
    order = np.random.default_rng(3).permutation(44)  # as a camera file may have them
    everything = everything.select(torch.from_numpy(order))
    held_out = {"IMG_010.png", "IMG_025.png", "IMG_026.png", "IMG_036.png"}
    apart = torch.tensor([index for index, name in enumerate(everything.names) if name in held_out])
    fitted = torch.tensor([index for index, name in enumerate(everything.names) if name not in held_out])
    dataset = Dataset(everything.select(fitted), everything.select(apart), CUBE)
    found = check_views(dataset.train)
    spans = [[dataset.train.names[index] for index in group] for group in found.placements]
    assert [(span[0], span[-1], len(span)) for span in spans] == [
        ("IMG_000.png", "IMG_024.png", 24),
        ("IMG_027.png", "IMG_043.png", 16),
    ]
    assert not found.findings
    warned = {warning.code: warning for warning in found.warnings()}
    assert "IMG_000.png..IMG_024.png (24), IMG_027.png..IMG_043.png (16)" in warned["preflight-placements"].message
    kept, told = without_bad(dataset, found)
    assert set(kept.train.names) == set(spans[0]) and kept.test.names == ("IMG_010.png",)
    assert set(told.dropped) == {*spans[1], "IMG_025.png", "IMG_026.png", "IMG_036.png"}
    assert len(check_views(kept.train).placements) == 1


def test_cameras_that_are_a_little_off_are_told_by_their_outlines(good):
    """By a hundredth of the object, 2 pixels of 512: no single camera is at fault, yet the outlines jut out of what the others leave."""
    poses = [pose_at(away) for away in spread(30)]
    cameras, masks = cameras_of(poses, 512), outlines(poses, 512)
    assert jutting(cameras, masks) < 0.005
    moved = replace(cameras, camera_to_world=cameras.camera_to_world.clone())
    chance = torch.Generator().manual_seed(2)
    moved.camera_to_world[:, :3, 3] += 0.012 * torch.randn(30, 3, generator=chance)
    assert jutting(moved, masks) > 0.04
    _, faulty, disordered = judge(Cells.of(moved, masks))
    assert not faulty and not disordered
    found = check_views(good)
    told = replace(found, jutting=jutting(moved, masks))
    assert not found.warnings() and [warning.code for warning in told.warnings()] == ["preflight-outlines"]
    assert "refine.poses" in told.warnings()[0].hint and told.to_dict()["jutting"] > 0.04


def test_holes_are_named_by_the_side_they_are_on():
    words = {(0, -1, 0): "front", (1, 0, 0): "right", (0, 1, 0): "behind", (-1, 1, 0): "behind, left"}
    assert all(in_words(np.array(direction, float)) == word for direction, word in words.items())
    assert in_words(np.array([0, -1, 0.7])) == "front, high" and in_words(np.array([0.1, 0, -1])) == "below"
    around = spread(60)
    upper = holes(around[around[:, 2] > 0.1])
    assert [hole.where for hole in upper] == ["below"] and 0.1 < upper[0].share < 0.2
    before = holes(around[around @ np.array([0.707, -0.707, 0]) < 0.3])  # none from the front right
    assert [hole.where for hole in before] == ["front, right"]
    assert not holes(around) and directions_of(views_of([pose_at((1, 0, 0))]).cameras)[0] == pytest.approx([1, 0, 0])


@pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")
def test_the_command_line_names_what_hurts_and_drops_it(good, tmp_path):
    sys.path.append(str(Path(__file__).parents[1]))
    import forked_cli

    from backend.export.images import write_png

    views = copy_of(good)
    turn_camera(views, 12)
    folder = tmp_path / "my photos"
    frames = []
    for name, image, pose in zip(views.names, views.images.float(), views.cameras.camera_to_world):
        (folder / "images").mkdir(parents=True, exist_ok=True)
        straight = (image[..., :3] / image[..., 3:].clamp(min=1e-6)).clamp(0, 1) ** (1 / 2.2)
        write_png(folder / "images" / name, torch.cat([straight, image[..., 3:]], -1))
        frames.append({"file_path": f"images/{name}", "transform_matrix": pose.tolist()})
    lens = {"fl_x": views.cameras.intrinsics[0, 0].item(), "fl_y": views.cameras.intrinsics[0, 1].item()}
    (folder / "transforms.json").write_text(json.dumps({**lens, "w": SIDE, "h": SIDE, "frames": frames}))

    printed = tmp_path / "printed.txt"
    status, text = forked_cli.talk("check", folder, "--strict", "-o", tmp_path / "found.json", output=printed)
    assert status == 2 and "images/IMG_012.png: " in text and "1 of 20 photographs hurt" in text
    assert json.loads((tmp_path / "found.json").read_text())["hurting"] == ["images/IMG_012.png"]

    words = ["reconstruct", folder, "-o", tmp_path / "out", *forked_cli.TINY, "--set", "views.holdout=0"]
    status, events = forked_cli.run(*words, "--drop-bad", output=printed)
    assert status == 0
    warned = {event.code: event.message for event in events if isinstance(event, contract.Warned)}
    assert "images/IMG_012.png (" in warned["preflight-silhouette"]
    assert warned["preflight-dropped"].endswith(": images/IMG_012.png")
    assert json.loads((tmp_path / "out/preflight.json").read_text())["dropped"] == ["images/IMG_012.png"]
    result = contract.read_result(tmp_path / "out")
    assert len(json.loads(result.path("cameras").read_text())["cameras"]) == 19
    assert "1 of 20 hurt" in (tmp_path / "out/result/report.html").read_text()

    status, _ = forked_cli.talk("evaluate", tmp_path / "out", folder, output=printed)
    judged = [view["name"] for view in json.loads((tmp_path / "out/evaluation.json").read_text())["views"]]
    assert status == 0 and len(judged) == 19 and "images/IMG_012.png" not in judged

    status, events = forked_cli.run(
        "reconstruct", folder, "-o", tmp_path / "b", "--no-check", "--drop-bad", output=printed
    )
    assert status == 2 and "views.drop_bad is true but views.preflight is false" in events[-1].message
