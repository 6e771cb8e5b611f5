"""Named configurations are requests, and other programs' keys become ours or are refused by name."""

import json

import pytest

from backend.commands.convert_config import convert
from backend.commands.examples import load, names
from backend.contract import RequestError, parse

NERF = {
    "ref_mesh": "data/nerf_synthetic/drums",
    "random_textures": True,
    "iter": 5000,
    "save_interval": 100,
    "layers": 8,
    "texture_res": [2048, 2048],
    "train_res": [800, 800],
    "batch": 8,
    "learning_rate": [0.03, 0.01],
    "ks_min": [0, 0.1, 0.0],
    "dmtet_grid": 128,
    "mesh_scale": 2.3,
    "laplace_scale": 3000,
    "display": [{"latlong": True}],
    "background": "white",
    "out_dir": "nerf_drums",
}


@pytest.mark.parametrize("name", names())
def test_each_example_is_a_request_and_says_what_it_needs(name):
    example = load(name)
    assert parse(example.request).source.startswith("data/")
    assert example.what and example.needs


def test_all_fifteen_examples_are_there():
    assert len(names()) == 15


def test_a_users_configuration_becomes_a_request():
    request = parse(convert(NERF)[0])
    assert (request.source, request.views.resolution) == ("data/nerf_synthetic/drums", 800)
    assert (request.shape.steps, request.refine.steps, request.shape.cells) == (5000, 5000, 128)
    assert (request.shape.learning_rate, request.refine.learning_rate_textures) == (0.03, 0.01)
    assert (request.asset.texture_size, request.shape.views_per_step) == (2048, 8)
    assert request.refine.layers == 8
    assert parse(convert({**NERF, "camera_space_light": True})[0]).light.space == "camera"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("laplace", "absolute"),
        ("ks_max", [0, 1, 0]),
        ("lock_light", True),
        ("batch_of_what", 1),
        ("learning_rate", []),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name_and_left_out_on_wish(key, value):
    with pytest.raises(RequestError, match=f"{key} = "):
        convert({**NERF, key: value})
    assert any(key in note for note in convert({**NERF, key: value}, partial=True)[1])


def test_a_mesh_under_a_known_light():
    theirs = {"ref_mesh": "spot.obj", "envmap": "a.hdr", "env_scale": 2, "lock_light": True, "isosurface": "flexicubes"}
    request = parse(convert(theirs)[0])
    assert (request.views.environment, request.light.file, request.light.lock) == ("a.hdr", "a.hdr", True)
    assert request.light.strength == 2.0


def test_a_file_that_names_an_unknown_text_is_refused(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps({"about": {"why": ""}}))
    with pytest.raises(RequestError, match="about"):
        load(str(tmp_path / "x.json"))
