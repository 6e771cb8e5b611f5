"""The primitives' benchmark at a size a processor manages in a second."""

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))

import benchmark_primitives


def test_every_primitive_is_timed_and_written(tmp_path, capsys):
    path = tmp_path / "told.json"
    sizes = ["--views", "2", "--size", "24", "--triangles", "80", "300", "--texels", "16", "--calls", "1"]
    assert benchmark_primitives.main(["--device", "cpu", "--output", str(path), *sizes]) == 0
    told = json.loads(path.read_text())
    rows = told["primitives"]
    assert {(row["engine"], row["mode"]) for row in rows} == {("builtin", "eager")}
    assert [row["triangles"] for row in rows] == [80] * 9 + [300] * 9
    assert all(row["forward_ms"] > 0.0 for row in rows)
    shown = capsys.readouterr().out
    assert all(row["primitive"] in shown for row in rows)
