import errno
import itertools
import json
import math
import re

import pytest
import torch
from assets import SIMILARITY, asset, views

from backend import contract
from backend.export import folder as export_folder
from backend.export.charts import line_chart, short
from backend.export.folder import FILES, write_result
from backend.export.report import Report, report_html
from backend.export.report_views import Comparison
from backend.loss.judging import Figures


def report():
    picture = torch.rand(24, 32, 3, generator=torch.Generator().manual_seed(0))
    return Report(
        title="<Vase> & 'friends'",
        comparisons=(
            Comparison("test/a.png", picture, picture * 0.9, Figures(27.5, 23.5, 28.5, 0.91, 0.08)),
            Comparison("test/b.png", picture, picture, Figures(32.5)),
        ),
        curves={"shape": [(step, {"color": 1.0 / (step + 1), "mask": math.inf}, 20.0 + step) for step in range(600)]},
        figures={"triangles": 12.0, "unseen_share": 0.25, "memory": None},
        timings={"views": 1.0, "shape": 75.0},
        warnings=("<script>alert(1)</script>",),
        settings={"shape": {"weights": {"color": 1.0}}},
    )


def test_everything_is_there_and_result_json_is_last(tmp_path, monkeypatch):
    written = []
    real = contract.write_result

    def spy(folder, result):
        written.extend(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        return real(folder, result)

    monkeypatch.setattr(contract, "write_result", spy)
    result = contract.Result(files={}, metrics={"psnr": 30.0}, seconds=4.0)
    write_result(tmp_path, asset(), SIMILARITY, {"train": views(), "test": None}, report(), result)
    assert sorted(written) == sorted(FILES.values())
    read = contract.read_result(tmp_path)
    assert set(read.files) == set(FILES)
    assert read.metrics == {"psnr": 30.0}
    metrics = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert metrics["mean"] == {"psnr": 30.0, "psnr_mask": 23.5, "psnr_exposed": 28.5, "ssim": 0.91, "lpips": 0.08}
    assert metrics["views"][1] == {
        "name": "test/b.png",
        **dict.fromkeys(("psnr_mask", "psnr_exposed", "ssim", "lpips")),
        "psnr": 32.5,
    }


def test_a_full_disk_leaves_no_result(tmp_path, monkeypatch):
    def full(path, image):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(export_folder, "write_hdr", full)
    with pytest.raises(OSError, match=r"environment\.hdr"):
        write_result(tmp_path, asset(), SIMILARITY, {"train": views()}, report(), contract.Result(files={}))
    with pytest.raises(contract.RequestError):
        contract.read_result(tmp_path)


def test_the_report_needs_nothing_else_and_trusts_no_name():
    page = report_html(report(), asset())
    for attribute in re.findall(r'(?:src|href|action)="([^"]{0,40})', page):
        assert attribute.startswith("data:image/"), attribute
    assert not re.search(r"https?://|url\(|@import|<script|<link", page)
    assert "&lt;script&gt;" in page
    assert "&lt;Vase&gt; &amp;" in page
    assert page.count("<img") == 1 + 2 * 3 + 4 + 1  # ramp, photo render difference a view, textures, light
    assert page.count("<svg") == 2  # PSNR and colour; the mask's curve is never finite
    assert "30.00" in page and "taken from the judged photograph itself" in page
    assert "<dt>Unseen</dt><dd>25.0 <small>%</small>" in page
    assert "shape.weights.color" in page
    assert len(page) < 200_000


def test_an_empty_report_is_still_a_page():
    page = report_html(Report(title="Nothing"), asset())
    assert "Textures" in page
    assert "Held-out" not in page


def test_a_chart_has_its_points_inside_and_its_ends():
    chart = line_chart(range(1000), [10.0 ** (-step / 200) for step in range(1000)])
    points = [tuple(map(float, pair.split(","))) for pair in re.search(r'points="([^"]+)"', chart)[1].split()]
    assert len(points) < 500
    assert all(0 <= x <= 260 and 0 <= y <= 120 for x, y in points)
    steps = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.pairwise(points) if b[0] > a[0] + 0.5]
    assert max(steps) - min(steps) < 0.5, "decades are not shown as a straight line"
    assert line_chart([0, 1], [math.nan, math.inf]) == ""
    assert "<polyline" in line_chart([5], [0.0])
    assert [short(value) for value in (0, 0.0001234, 1234.5, 0.5, 1e-9)] == ["0", "1.2e-4", "1234", "0.5", "1e-9"]
