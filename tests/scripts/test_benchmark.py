"""Each verb of the benchmark on the built-in object, at sizes a processor manages in seconds."""

import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))

import benchmark
from benchmark_base import table
from benchmark_chart import Series, quality_chart
from benchmark_fits import Windows
from benchmark_object import ball

TINY = (
    "light.resolution=16", "shape.hash_levels=2", "shape.hash_log2_size=10", "shape.cells=16", "shape.start_cells=16",
    "shape.views_per_step=2", "refine.views_per_step=2", "asset.triangles=300", "threads=1",
)  # fmt: skip
FEW = ("--views", "2", "--resolution", "32", "--cells", "16", "--texture", "64")
STEPS = ("--warm-up", "2", "--windows", "1", "--window", "1")


def measured(tmp_path, verb, *words):
    """The JSON a verb writes."""
    path = tmp_path / "told.json"
    settings = [word for item in TINY for word in ("--set", item)]
    command = [verb, "--synthesise", "8", "--preset", "draft", "--device", "cpu", "--output", str(path), *settings]
    assert benchmark.main([*command, *words]) == 0
    told = json.loads(path.read_text())
    assert told["machine"]["torch"] == torch.__version__
    return told


def test_steps_of_both_stages_primitives_and_kernels(tmp_path):
    told = measured(tmp_path, "steps", *FEW, *STEPS, "--profile")
    assert [row["stage"] for row in told["stages"]] == ["shape", "refine"]
    for row in told["stages"]:
        assert row["views_a_second"] == pytest.approx(1e3 * row["views"] / row["ms"]) and row["ratio"] == 1.0
        assert any(kernel["stage"] == row["stage"] and kernel["ms"] > 0 for kernel in told["kernels"])
    assert {row["primitive"] for row in told["primitives"]} >= {
        "rasterise",
        "antialias",
        "texture 2D 8",
        "hash grid",
        "rays",
    }
    assert all(0 < row["forward_ms"] < 1e4 for row in told["primitives"])


def test_scaling_measures_what_it_says(tmp_path):
    more = ("--counts", "1", "2", "--resolutions", "48", "--triangles", "200", "1000")
    told = measured(tmp_path, "scaling", *FEW, *STEPS, *more)
    assert [(row["stage"], row["views"]) for row in told["views"]] == [
        ("shape", 1), ("refine", 1), ("shape", 2), ("refine", 2)
    ]  # fmt: skip
    assert {row["pixels"] for row in told["resolution"]} == {48} and {row["pixels"] for row in told["views"]} == {32}
    assert [row["triangles"] for row in told["triangles"]] == [224, 960]


def test_walks_are_compared_at_equal_steps(tmp_path):
    words = ("--resolution", "40", "--set", "asset.texture_size=64", "--shape-steps", "4", "--refine-steps", "3")
    rows = measured(tmp_path, "walk", *words, "--walks", "0", "8")["walk"]
    assert [(row["walk"], row["stage"], row["steps"]) for row in rows] == [
        (0, "shape", 4), (0, "refine", 3), (8, "shape", 4), (8, "refine", 3)
    ]  # fmt: skip
    for row in rows:
        assert row["psnr_db"] > 12.0 and row["mask_iou"] > 0.8
    assert rows[3]["gain_db"] == pytest.approx(rows[3]["psnr_db"] - rows[1]["psnr_db"]) and rows[3]["gain_db"] != 0.0


def test_quality_over_time_and_memory_of_whole_runs(tmp_path):
    """The run that is judged on its way in one process of its own, the run whose memory is measured in another."""
    short = ("--set", "shape.steps=12", "--set", "refine.steps=8", "--set", "asset.texture_size=64")
    picture = tmp_path / "curve.svg"
    words = ("--resolution", "32", "--marks", "2", "--shares", "--picture", str(picture))
    told = measured(tmp_path, "time-to-quality", *words, *short)
    rows = told["over_time"]
    assert [(row["stage"], row["step"]) for row in rows] == [
        ("shape", 3), ("shape", 10), ("shape", 12), ("refine", 2), ("refine", 8), ("export", 20)
    ]  # fmt: skip
    assert [row["seconds"] for row in rows] == sorted(row["seconds"] for row in rows)
    assert rows[-2]["psnr_db"] > rows[0]["psnr_db"] > 10.0
    assert rows[-1]["psnr_db"] == pytest.approx(rows[-2]["psnr_db"], abs=0.5)  # as the run itself judges it
    assert [row["stage"] for row in told["stages"]] == ["shape", "refine"]
    assert ElementTree.fromstring(picture.read_text()).tag.endswith("svg")

    row = measured(tmp_path, "memory", "--rows", "32:64", "--share", "0.02")["memory"][0]
    assert (row["pixels"], row["texels"], row["shape_steps"]) == (32, 64, 8)
    assert 0.1 < row["planned_gb"] < 3.0 and 0.1 < row["memory_gb"] < 3.0 and row["wall_s"] > row["shape_s"] > 0


def test_a_verb_wants_something_to_reconstruct(capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["steps"])
    assert "--synthesise" in capsys.readouterr().err


def test_the_ball_is_closed_and_seen_from_outside():
    mesh = ball(500)
    corners = mesh.vertices[mesh.faces.long()]
    volume = torch.linalg.det(corners).sum() / 6
    assert volume.item() == pytest.approx(4.19, rel=0.05)
    edges = torch.cat([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    assert {tuple(edge) for edge in edges.tolist()} == {tuple(edge) for edge in edges.flip(1).tolist()}


def test_timed_steps_lie_in_the_second_half_of_a_fit():
    for windows in (Windows(150, 5, 20), Windows(0, 3, 7)):
        assert (
            windows.first >= windows.steps / 2 and windows.first + (windows.count + 1) * windows.length == windows.steps
        )


def test_a_table_has_every_rows_columns():
    assert table("t", [{"a": 1}, {"a": 2.34567, "b": None}]).splitlines() == ["t", "    a  b", "    1  -", "2.346  -"]


def test_a_flat_curve_can_be_drawn():
    assert "polyline" in quality_chart([Series("one", [(1.0, 20.0), (2.0, 20.0)], [("shape", 0.5)])])
