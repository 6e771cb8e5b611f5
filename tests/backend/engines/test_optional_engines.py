"""The optional engines against the float64 oracles where they are installed; tiny-cuda-nn's adapter also with a stand-in."""

import importlib.util
import sys
import types
import warnings

import pytest
import torch
from comparing import assert_matches
from shapes import cameras, clip, icosphere

from backend.contract import EnvironmentFault
from backend.engines.hash_layout import hash_layout
from backend.engines.names import CHOICES, EngineChoice, preferred, why_not
from backend.engines.reference import hash_grid, interpolate, rasterize, textures
from backend.engines.select import select_engine
from backend.engines.tinycudann.engine import TinycudannEngine, encoding_config

LAYOUT = hash_layout(levels=6, base=8, per_level_scale=1.5, log2_size=10)
CUDA = torch.cuda.is_available()


def needs(package):
    there = CUDA and importlib.util.find_spec(package) is not None
    return pytest.mark.skipif(not there, reason=f"{package} is not installed, or there is no CUDA device")


@pytest.fixture
def stand_in(monkeypatch):
    """A module with tiny-cuda-nn's API: parameters of its own, half-precision output."""

    class Encoding(torch.nn.Module):
        def __init__(self, n_input_dims, encoding_config, seed=1337, dtype=None):
            super().__init__()
            assert (n_input_dims, dtype, encoding_config["otype"]) == (3, torch.float16, "HashGrid")
            keys = ("n_levels", "base_resolution", "per_level_scale", "log2_hashmap_size")
            self.layout = hash_layout(*(encoding_config[key] for key in keys))
            self.params = torch.nn.Parameter(torch.zeros(2 * self.layout.entries))

        def forward(self, x):
            return hash_grid.hash_encode(x, self.params.view(-1, 2), self.layout).half()

    monkeypatch.setitem(sys.modules, "tinycudann", types.SimpleNamespace(Encoding=Encoding))


def check_hash(engine, device):
    torch.manual_seed(0)
    points, table = torch.rand(500, 3) * 0.8 + 0.1, torch.rand(LAYOUT.entries, 2) - 0.5
    assert engine.hash_encode(points.to(device), table.to(device), LAYOUT).dtype == torch.float32
    ours = [lambda p, t: engine.hash_encode(p, t, LAYOUT), lambda p, t: hash_grid.hash_encode(p, t, LAYOUT)]
    assert_matches(*ours, [points, table], device, tolerance=1e-2)  # half precision


def test_the_adapter_of_tinycudann_gives_values_and_gradients_of_the_table(stand_in):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_hash(TinycudannEngine(torch.device("cpu"), 1), "cpu")


def test_a_table_that_tinycudann_lays_out_otherwise_is_left_to_the_builtin_and_told_once(stand_in, monkeypatch):
    other = encoding_config(hash_layout(levels=2))
    monkeypatch.setattr("backend.engines.tinycudann.engine.encoding_config", lambda layout: other)
    engine, points, table = TinycudannEngine(torch.device("cpu"), 1), torch.rand(9, 3), torch.rand(LAYOUT.entries, 2)
    with pytest.warns(RuntimeWarning, match="built-in hash grid is used") as told:
        twice = [engine.hash_encode(points, table, LAYOUT) for _ in range(2)]
    assert len(told) == 1
    exact = hash_grid.hash_encode(points.double(), table.double(), LAYOUT).float()
    for values in twice:
        torch.testing.assert_close(values, exact, rtol=0, atol=1e-4)


@needs("tinycudann")
def test_tinycudann_equals_the_oracle():
    check_hash(select_engine("tinycudann", torch.device("cuda")), "cuda")


def clear_of_edges(positions, faces, size, shown, pixels=1 / 16):
    """Where moving the mesh so far, in eight directions, shows the same triangle: nvdiffrast snaps corners to such a grid."""
    clear = torch.ones_like(shown, dtype=torch.bool)
    for angle in torch.arange(8) * (torch.pi / 4):
        moved = positions.clone()
        moved[..., 0] += 2 * pixels / size[1] * angle.cos() * positions[..., 3]
        moved[..., 1] += 2 * pixels / size[0] * angle.sin() * positions[..., 3]
        clear &= rasterize.all_layers(moved, faces, size).triangle[..., 0] == shown
    return clear


@needs("nvdiffrast")
def test_nvdiffrast_rasterises_and_interpolates_as_the_oracles():
    vertices, faces = icosphere(2)
    positions, size = clip(vertices.float(), cameras(2)), (48, 40)
    engine = select_engine("nvdiffrast", torch.device("cuda"))
    raster = engine.rasterize(positions.cuda(), faces.cuda(), size, derivatives=True)
    shown = rasterize.all_layers(positions, faces, size).triangle[..., 0]
    clear = clear_of_edges(positions, faces, size, shown)
    assert clear.float().mean() > 0.7
    found = raster.triangle.cpu()
    assert torch.equal(found[clear].long(), shown[clear])
    slopes = rasterize.barycentric(positions, faces, found)[1].cuda().float()
    seen, atol = clear.to(slopes.device), 1e-3 * slopes.abs().max().item()  # on a rim a triangle is seen edge-on
    torch.testing.assert_close(raster.derivatives[seen], slopes[seen], rtol=1e-3, atol=atol)
    kept = clear[..., None]
    assert_matches(
        lambda p: engine.rasterize(p, faces.cuda(), size).barycentric * kept.to(p.device),
        lambda p: rasterize.barycentric(p, faces, found)[0] * kept,
        [positions],
        "cuda",
        tolerance=1e-3,
    )
    values = torch.rand(len(vertices), 5)
    shown = raster.barycentric.detach().cpu()
    assert_matches(
        lambda a: engine.interpolate(a, faces.cuda(), shown.cuda(), raster.triangle),
        lambda a: interpolate.interpolate(a, faces, shown.double(), found),
        [values],
        "cuda",
    )


@needs("nvdiffrast")
@pytest.mark.parametrize("wrap", [False, True])
def test_nvdiffrast_reads_textures_as_the_oracle(wrap):
    torch.manual_seed(0)
    engine = select_engine("nvdiffrast", torch.device("cuda"))
    inputs = [torch.rand(32, 16, 3), torch.rand(300, 2) * 1.4 - 0.2, torch.rand(300) * 4 + 0.1]
    assert_matches(
        lambda t, p, lod: engine.texture_2d(t, p, lod, wrap),
        lambda t, p, lod: textures.texture_2d(t, p, lod, wrap),
        inputs,
        "cuda",
        tolerance=1e-3,
    )


@pytest.mark.parametrize("name", ["nvdiffrast", "tinycudann", "nvdiffrast+tinycudann"])
def test_an_optional_engine_on_the_cpu_is_refused_with_what_to_do(name):
    with pytest.raises(EnvironmentFault, match="expected a CUDA device") as fault:
        select_engine(name, torch.device("cpu"))
    assert fault.value.exit_status == 3 and "--engine builtin" in fault.value.hint


def test_auto_takes_what_is_measured_faster_and_permitted_and_says_why_not():
    free, bound = EngineChoice("free", False, 0.9), EngineChoice("bound", True, 0.5)
    choices = (EngineChoice("builtin", False, 1.0), free, bound, EngineChoice("slow", False, 1.5))
    assert preferred(False, choices) == ("free", "builtin")
    assert preferred(True, choices) == ("bound", "free", "builtin")
    assert "UNRENDER_PERMIT_RESEARCH=1" in why_not(bound, False) and why_not(bound, True) == ""
    assert "1.50 times as long" in why_not(choices[3], True)
    assert all(choice.research_only == ("nvdiffrast" in choice.name) for choice in CHOICES)
