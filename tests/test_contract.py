import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from backend import contract
from backend.contract import (
    Request,
    RequestError,
    Result,
    assign,
    parse,
    parse_event,
    read_result,
    to_dict,
    write_result,
)

SECTIONS = {
    "": Request,
    "views": contract.ViewSettings,
    "shape": contract.ShapeStage,
    "shape.weights": contract.ShapeWeights,
    "asset": contract.AssetStage,
    "refine": contract.RefineStage,
    "refine.weights": contract.RefineWeights,
    "light": contract.LightSettings,
}
RANGED = [
    (f"{path}.{item.name}".lstrip("."), item.metadata["low"], item.metadata["high"])
    for path, kind in SECTIONS.items()
    for item in dataclasses.fields(kind)
    if item.metadata.get("low") is not None
]


def nested(path, value):
    for name in reversed(path.split(".")):
        value = {name: value}
    return {"source": "images", **value}


def value_at(request, path):
    for name in path.split("."):
        request = getattr(request, name)
    return request


@pytest.mark.parametrize(("path", "low", "high"), RANGED)
def test_each_range_holds_at_both_ends_and_nothing_beyond(path, low, high):
    for beyond in (low - 1, high + 1):
        with pytest.raises(RequestError, match=rf"{path} is {beyond}.*expected.*\d to \d"):
            parse(nested(path, beyond))
    end = parse(nested(path, high)) if path != "shape.start_cells" else parse(nested(path, 16))
    assert value_at(end, path) == (high if path != "shape.start_cells" else 16)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "source is missing"),
        ({"source": "a", "sorce": "b"}, "request: unknown key 'sorce'; known keys: source, preset"),
        ({"source": "a", "shape": {"cels": 3}}, "request.shape: unknown key 'cels'; known keys: method, steps"),
        ({"source": "a", "shape": {"weights": {"x": 1}}}, "request.shape.weights: unknown key 'x'"),
        ({"source": "a", "shape": 3}, "shape is 3; expected an object"),
        ({"source": 3}, "source is 3; expected text"),
        ({"source": "a", "seed": True}, "seed is true; expected a whole number"),
        ({"source": "a", "seed": 1.5}, "seed is 1.5; expected a whole number"),
        ({"source": "a", "shape": {"learning_rate": float("nan")}}, "shape.learning_rate is NaN; expected a number"),
        ({"source": "a", "shape": {"learning_rate": 10**400}}, "expected a number"),
        (
            {"source": "a", "shape": {"method": "marching"}},
            "shape.method is \"marching\"; expected 'flexicubes', 'tetrahedra'",
        ),
        ({"source": "a", "preset": "best"}, "preset is 'best'; expected one of draft, standard, high"),
        ({"source": "a", "asset": {"texture_size": 1000}}, "a power of two from 64 to 8192"),
        ({"source": "a", "views": {"resolution": 16}}, "expected 0 or 32 to 8192 pixels"),
        ({"source": "a", "views": {"box": [0, 0, 0, 1, 0, 1]}}, "views.box is"),
        ({"source": "a", "shape": {"cells": 32, "start_cells": 64}}, "expected at most shape.cells, 32"),
        ({"source": "a", "light": {"lock": True}}, "light.lock is true but light.file is null"),
        ({"source": "a", "device": "gpu"}, "device is 'gpu'"),
        ([], "request is a list; expected an object"),
    ],
)
def test_what_is_wrong_is_refused_with_its_path(data, message):
    with pytest.raises(RequestError) as refused:
        parse(data)
    assert message in refused.value.message
    assert refused.value.exit_status == 2


@pytest.mark.parametrize("preset", contract.PRESETS)
def test_a_request_survives_json_and_given_keys_lie_over_the_preset(preset):
    request = parse({"source": "images", "preset": preset, "shape": {"steps": 7, "weights": {"mask": 2}}})
    assert parse(json.loads(json.dumps(to_dict(request)))) == request
    assert (request.shape.steps, request.shape.weights.mask) == (7, 2.0)
    plain = parse({"source": "images", "preset": preset})
    assert dataclasses.replace(request.shape, steps=plain.shape.steps, weights=plain.shape.weights) == plain.shape


def test_presets_spend_more_from_draft_to_high():
    draft, standard, high = (parse({"source": "a", "preset": name}) for name in contract.PRESETS)
    for path in ("shape.cells", "shape.steps", "asset.texture_size", "asset.triangles"):
        assert value_at(draft, path) < value_at(standard, path) < value_at(high, path)


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("shape.cells=64", "shape.cells", 64),
        ("shape.learning_rate=1e-3", "shape.learning_rate", 0.001),
        ("shape.weights.mask = 2", "shape.weights.mask", 2.0),
        ("refine.exposure=yes", "refine.exposure", True),
        ("views.box=-1,-1,0,1,1,2.5", "views.box", (-1.0, -1.0, 0.0, 1.0, 1.0, 2.5)),
        ("views.box=[-1,-1,0,1,1,2.5]", "views.box", (-1.0, -1.0, 0.0, 1.0, 1.0, 2.5)),
        ("views.box=auto", "views.box", "auto"),
        ("light.file=a=b.hdr", "light.file", "a=b.hdr"),
        ("keep_mesh=null", "keep_mesh", None),
        ("keep_mesh=12", "keep_mesh", "12"),
        ("preset=draft", "shape.cells", parse({"source": "a", "preset": "draft"}).shape.cells),
    ],
)
def test_a_key_given_as_text_is_read_as_its_type(text, path, value):
    assert value_at(parse(assign({"source": "a"}, text)), path) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shape.cells=many", 'shape.cells is "many"; expected a whole number'),
        ("shape.cels=3", "request.shape: unknown key 'cels'"),
        ("shape=3", "shape is a section; its keys: method"),
        ("seed.x=3", "seed has no keys"),
        ("shape.cells", "expected key=value"),
    ],
)
def test_a_wrong_assignment_says_why(text, message):
    with pytest.raises(RequestError) as refused:
        assign({}, text)
    assert message in refused.value.message


EVENTS = [
    contract.Started(folder="/job", pid=1, version="0.1.0", device="cpu", engine="built-in", preset="draft"),
    contract.Progress(stage="shape", step=3, steps=10, eta=1.5, losses={"color": 0.25}, psnr=20.0),
    contract.Planned(
        summary="4 views",
        resolution=512,
        views_per_step=4,
        texture_size=1024,
        cells=96,
        images="device",
        needed_gb=1.5,
        free_gb=9.0,
    ),
    contract.Preview(path="preview/a.png", stage="shape", step=3),
    contract.MeshUpdate(path="preview/a.glb", stage="shape", step=3, triangles=12),
    contract.Warned(message="two lines\nand ünïcode", hint="look"),
    contract.Failed(code="x", message="y", hint="z", exit_status=3),
    contract.Finished(result="/job/result", seconds=2.0, metrics={"psnr": 30.0, "lpips": None}),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.EVENT)
def test_events_are_one_line_and_come_back(event):
    line = event.to_json()
    assert "\n" not in line
    assert parse_event(line) == event
    assert parse_event(json.dumps({**json.loads(line), "new_in_a_later_version": [1]})) == event


def test_readers_tolerate_what_they_do_not_know_and_numbers_stay_json():
    for line in (
        "",
        "Warp initialised",
        "{",
        "[1]",
        "3",
        '{"event": "later"}',
        '{"event": "progress"}',
        '{"event": []}',
    ):
        assert parse_event(line) is None
    diverged = contract.Progress(stage="shape", step=1, steps=1, eta=float("inf"), losses={"color": float("nan")})
    assert json.loads(diverged.to_json(), parse_constant=pytest.fail)["losses"] == {"color": None}


def test_a_result_is_complete_or_refused(tmp_path):
    (tmp_path / "textures").mkdir()
    files = {"mesh": "mesh.glb", "base_color": "textures/base_color.png"}
    for name in files.values():
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(RequestError, match=r"has no result\.json"):
        read_result(tmp_path)
    written = write_result(tmp_path, Result(files=files, metrics={"psnr": float("nan")}, warnings=("a",)))
    read = read_result(tmp_path)
    assert read == dataclasses.replace(written, metrics={"psnr": None})
    assert read.path("base_color") == tmp_path / "textures" / "base_color.png"
    with pytest.raises(RequestError, match="no 'normal'"):
        read.path("normal")
    (tmp_path / "textures/base_color.png").unlink()
    with pytest.raises(RequestError, match=r"has no textures/base_color\.png"):
        read_result(tmp_path)
    with pytest.raises(ValueError, match=r"base_color\.png"):
        write_result(tmp_path, Result(files=files))


def test_a_result_lists_no_file_outside_its_folder(tmp_path):
    (tmp_path / "secret.txt").write_text("x")
    inside = tmp_path / "result"
    inside.mkdir()
    for name in ("../secret.txt", str(tmp_path / "secret.txt")):
        contract.write_json(inside / "result.json", {"format": 1, "files": {"mesh": name}})
        with pytest.raises(RequestError, match=r"has no .*secret\.txt"):
            read_result(inside)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "status.json"
    contract.write_json(path, {"old": 1})
    with pytest.raises(TypeError):
        contract.write_json(path, {"new": object()})
    assert json.loads(path.read_text()) == {"old": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["status.json"]


def test_imports_alone_under_another_package_name(tmp_path):
    """As in Blender: no site-packages, the repository not on the path, imported relatively from an extension."""
    package = tmp_path / "bl_ext"
    package.mkdir()
    (package / "backend").symlink_to(Path(contract.__file__).parents[1], target_is_directory=True)
    (package / "__init__.py").write_text("from .backend.contract import parse\nparse({'source': 'a'})\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import bl_ext"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
