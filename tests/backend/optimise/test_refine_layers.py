"""The refine stage where surfaces can be seen through."""

import math

import pytest
import torch
from known import cube_sphere, paint, skylight

from backend.contract import LightSettings, RefineStage, RefineWeights
from backend.dataset.mesh_file import SurfaceMaps, TexturedMesh
from backend.engines.select import select_engine
from backend.geometry.mesh import Mesh
from backend.loss.metrics import encode_over_white, psnr
from backend.material.channels import FIRST_OPACITY, MaterialMaps, flat_normal
from backend.material.textures import MaterialTextures
from backend.optimise.checkpoint import load_checkpoint, save_checkpoint
from backend.optimise.fit import run
from backend.optimise.recorded import Recorded
from backend.optimise.refine import RefineFit
from backend.render.renderer import Renderer
from backend.render.supersample import render_averaged
from backend.render.synthetic import reference_dataset

SIZE = 32


def lantern():
    """A painted opaque ball (the texture's upper half) in a shell (the lower) that hides between 15 % and 75 % of it."""
    ball, faces, uvs, uv_faces = cube_sphere(6, (0.55,) * 3, round_off=True)
    shell, more, _, more_uvs = cube_sphere(6, (1.0,) * 3, round_off=True)
    half = torch.tensor([1.0, 0.5])
    line = (torch.arange(2 * SIZE) + 0.5) / (2 * SIZE)
    waves = 0.45 + 0.3 * torch.sin(4 * math.pi * line)[None, :] * torch.cos(2 * math.pi * line)[:, None]
    opacity = torch.where(line[:, None] < 0.5, 1.0, waves)[..., None]
    color = torch.where(line[:, None, None] < 0.5, paint(2 * SIZE), torch.tensor([0.75, 0.6, 0.3]))
    return TexturedMesh(
        torch.cat((ball, shell)), torch.cat((faces, more + len(ball))), torch.cat((uvs * half, uvs * half + 1 - half)) ,
        torch.cat((uv_faces, more_uvs + len(uvs))), None, None,
        SurfaceMaps(color, torch.full((1, 1, 1), 0.7), torch.zeros(1, 1, 1), opacity=opacity),
    )  # fmt: skip


@pytest.fixture(scope="module")
def scene(renderer):
    with torch.no_grad():
        return lantern(), reference_dataset(renderer, lantern(), skylight(), 32, 10)


def fit_of(scene, renderer, layers, steps, device="cpu"):
    thing, dataset = scene
    color = torch.full((SIZE, SIZE, 3), 0.5)
    maps = MaterialMaps(color, torch.full((SIZE, SIZE, 1), 0.7), torch.zeros(SIZE, SIZE, 1), flat_normal(color))
    settings = RefineStage(
        steps=steps, views_per_step=3, layers=layers, learning_rate_textures=0.05,
        weights=RefineWeights(material_smoothness=0, roughness_metallic_smoothness=0),
    )  # fmt: skip
    vertices = dataset.similarity.to_normalised(thing.vertices)
    mesh = Mesh(*(part.to(device) for part in (vertices, thing.faces, thing.uvs, thing.uv_faces)))
    maps = maps.each(lambda values: values.to(device))
    return RefineFit(
        settings, dataset.train.to(device), mesh,
        MaterialTextures(maps.with_opacity(FIRST_OPACITY) if layers > 1 else maps), skylight().to(device),
        LightSettings(file="known.hdr", lock=True), True, renderer, 5, coarse_to_fine=False,
    )  # fmt: skip


def unseen_psnr(fit, scene, renderer):
    view = scene[1].test
    light = fit.light.prefiltered()
    image = render_averaged(renderer, fit.surface(), fit.material, light, view.cameras, view.canvas)
    return float(psnr(encode_over_white(image), encode_over_white(view.images.float())))


def test_layers_recover_the_opacity_and_show_unseen_views_far_better_than_the_nearest_surface(scene, renderer):
    found = {}
    for layers in (1, 4):
        fit = fit_of(scene, renderer, layers, 35)
        run(fit, lambda *_: True)
        with torch.no_grad():
            found[layers] = unseen_psnr(fit, scene, renderer)
    maps = fit.final_textures().maps()
    texel = (torch.arange(SIZE) + 0.5) / SIZE
    columns = ((texel * 3) % 1 - 0.5).abs() < 0.35  # well inside the charts
    rows = ((texel * 4) % 1 - 0.5).abs() < 0.35
    upper, lower = ((part & rows)[:, None] & columns for part in (texel < 0.5, texel > 0.5))
    truth = torch.nn.functional.avg_pool2d(scene[0].maps.opacity.permute(2, 0, 1), 2)[0]
    away = (maps.opacity[..., 0] - truth).abs()
    assert found[4] > found[1] + 10.0
    assert away[lower].mean() < 0.08 and away[upper].mean() < 0.2


def test_a_checkpoint_keeps_the_opacity_bit_for_bit(scene, renderer, tmp_path):
    whole, first, second = (fit_of(scene, renderer, 3, 4) for _ in range(3))
    run(whole, lambda *_: True)
    run(first, lambda fit, _: fit.step < 2)
    save_checkpoint(tmp_path / "refine.pt", first.state())
    second.restore(load_checkpoint(tmp_path / "refine.pt"))
    run(second, lambda *_: True)
    assert torch.equal(second.textures.values, whole.textures.values)
    assert (whole.textures.values[..., 8:] != FIRST_OPACITY).any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_recorded_steps_are_the_steps_as_they_are(scene):
    """Peeling, shading of all layers in a list of fixed length, compositing and their gradients, replayed as a graph."""
    device, found = torch.device("cuda", 0), []
    for recordable in (True, False):
        fit = fit_of(scene, Renderer(select_engine("builtin", device)), 3, 12, device)
        fit.recorded = Recorded(fit._step, device, recordable)
        run(fit, lambda *_: True)
        found.append(fit.textures.values.detach())
    assert (found[0] - found[1]).abs().mean() < 1e-4
    assert (found[0][..., 8] != FIRST_OPACITY).any()
