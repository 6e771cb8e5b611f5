from dataclasses import replace

import pytest
import torch
from known import box_views, polished_views, skylight

from backend.contract import LightSettings, RefineStage, RefineWeights
from backend.dataset.views import Views
from backend.geometry.laplacian import Neighbours, laplacian_loss
from backend.geometry.mesh import Mesh
from backend.light.environment import EnvironmentLight
from backend.loss.photometric import photometric
from backend.material.channels import MaterialMaps, flat_normal
from backend.material.textures import MaterialTextures
from backend.optimise.checkpoint import load_checkpoint, save_checkpoint
from backend.optimise.corrections import Corrections
from backend.optimise.fit import run
from backend.optimise.refine import RefineFit
from backend.render.synthetic import same_size


def mesh_of(case, displaced=0.0):
    thing = case[0]
    vertices = case[2].similarity.to_normalised(thing.vertices)
    moved = vertices * (1.0 + displaced * torch.sin(3.0 * vertices.roll(1, -1)))
    return Mesh(moved, thing.faces, thing.uvs, thing.uv_faces)


def grey(size):
    color = torch.full((size, size, 3), 0.5)
    return MaterialMaps(color, torch.full((size, size, 1), 0.7), torch.zeros(size, size, 1), flat_normal(color))


def refine_fit(
    renderer,
    case,
    maps=None,
    views=None,
    displaced=0.0,
    lock_positions=False,
    lock_light=True,
    coarse=False,
    every=1,
    at_once=None,
    exposure=False,
    poses=False,
    light=None,
    **settings,
):
    light_settings = LightSettings(file="known.hdr", lock=lock_light, prefilter_every=every)
    settings = {"steps": 30, "views_per_step": 3, "weights": RefineWeights(smoothness_ramp=20), **settings}
    views = views or case[2].train
    corrections = Corrections(views.cameras, exposure, poses, shape_known=lock_positions)
    return RefineFit(
        RefineStage(**settings), views, mesh_of(case, displaced), MaterialTextures(maps or grey(32)),
        light or skylight(), light_settings, lock_positions, renderer, 7, coarse, at_once=at_once, corrections=corrections,
    )  # fmt: skip


@pytest.mark.parametrize("metal", [False, True])
def test_metal_stays_where_the_photographs_want_it_and_goes_where_they_do_not_care(renderer, metal):
    """Half metal at the start: under an even light, where paint looks like metal, the term takes it; before windows it stays."""
    case = polished_views(renderer) if metal else box_views(renderer, light=EnvironmentLight(16, radiance=1.0))

    def left(weight):
        maps = replace(grey(32), metallic=torch.full((32, 32, 1), 0.5), roughness=torch.full((32, 32, 1), 0.3))
        weights = RefineWeights(smoothness_ramp=20, metallic=weight)
        fit = refine_fit(renderer, case, maps, steps=80, learning_rate_textures=0.03, weights=weights, light=case[1])
        run(fit, lambda *_: True)
        with torch.no_grad():
            seen = renderer.render(
                fit.surface(), fit.material, fit.light.prefiltered(), case[2].test.cameras, case[2].test.canvas
            )
            return seen.sample.metallic.mean().item()

    without, with_term = left(0.0), left(0.01)  # stronger than by default, as the steps are few
    assert with_term > 0.75 * without if metal else with_term < 0.5 * without


def test_locked_positions_and_light_stay_and_the_base_colour_is_found(renderer, block):
    """The given geometry and light, a grey start: what the views show of the paint comes back."""
    fit = refine_fit(renderer, block, lock_positions=True, steps=60, learning_rate_textures=0.03)
    start, light = mesh_of(block), fit.light.log_texels.detach().clone()
    uvs = fit.mesh().uvs
    truth = same_size(block[0].maps, 32).base_color

    def away():
        with torch.no_grad():
            surface = fit.surface()
            view = block[2].test
            frame = renderer.render(surface, fit.material, fit.light.prefiltered(), view.cameras, view.canvas)
            expected = renderer.engine.texture_2d(truth, frame.pixels.uv)
            return (frame.sample.base_color - expected).abs().mean().item()

    before = away()
    run(fit, lambda *_: True)
    assert before > 0.12 and away() < 0.04
    assert torch.equal(fit.mesh().vertices, start.vertices) and torch.equal(fit.surface().vertices, start.vertices)
    assert torch.equal(fit.mesh().faces, start.faces)
    assert torch.equal(fit.mesh().uvs, uvs) and torch.equal(uvs, block[0].uvs)
    assert torch.equal(fit.light.log_texels.detach(), light)


def test_a_dented_surface_comes_back_to_the_true_one_while_the_light_is_free(renderer, ball):
    fit = refine_fit(
        renderer, ball, same_size(ball[0].maps, 64), displaced=0.08, lock_light=False, steps=40, learning_rate_positions=0.02,
        learning_rate_textures=0.002,
    )  # fmt: skip

    def away():
        """(mean distance from the ball, mean squared difference of coverage in unseen views)."""
        view = ball[2].test
        with torch.no_grad():
            image = renderer.render(
                fit.surface(), fit.material, fit.light.prefiltered(), view.cameras, view.canvas
            ).image
            every, seed = torch.arange(len(view)), torch.zeros(1, dtype=torch.int32)
            coverage = photometric(renderer.engine, image, view, every, seed).mask_squared.item()
        return (fit.mesh().vertices.norm(dim=-1) - 1.0).abs().mean().item(), coverage

    before, light = away(), fit.light.log_texels.detach().clone()
    run(fit, lambda *_: True)
    after = away()
    assert before[0] > 0.035 and after[0] < 0.8 * before[0]
    assert after[1] < 0.8 * before[1]
    assert not torch.equal(fit.light.log_texels.detach(), light)
    assert torch.equal(fit.mesh().uvs, ball[0].uvs)


def test_gains_of_views_are_found_and_their_mean_stays_at_one(renderer, block):
    """Each photograph brighter or darker, and tinted, by a known factor whose mean logarithm is 0."""
    train = block[2].train
    generator = torch.Generator().manual_seed(2)
    log_gains = 0.4 * torch.randn(len(train), 3, generator=generator)
    log_gains -= log_gains.mean(0)
    factors = torch.cat((log_gains.exp(), torch.ones(len(train), 1)), -1)
    views = Views(train.names, train.cameras, train.images.float() * factors[:, None, None, :])
    fit = refine_fit(
        renderer, block, same_size(block[0].maps, 64), views, lock_positions=True, exposure=True, steps=40,
        learning_rate_light=0.1,
    )  # fmt: skip
    run(fit, lambda *_: True)
    with torch.no_grad():
        found = fit.corrections.exposed(torch.ones(len(train), 1, 1, 4), torch.arange(len(train)))[:, 0, 0]
    assert (found[:, :3].log() - log_gains).abs().max() < 0.1
    assert found[:, :3].log().mean(0).abs().max() < 1e-5 and torch.equal(found[:, 3], torch.ones(len(train)))


def test_going_on_in_a_fresh_object_is_the_same_to_the_last_bit(renderer, ball, tmp_path):
    """Stopped with textures of half their side; both go on to the whole side, whose optimiser is made anew.

    Everything is free; the light moves every fifth step, from what five steps said.
    """

    def begin():
        return refine_fit(
            renderer,
            ball,
            grey(256),
            displaced=0.05,
            lock_light=False,
            coarse=True,
            exposure=True,
            poses=True,
            steps=60,
            views_per_step=2,
            every=5,
        )

    def values(fit):
        return {
            **fit.textures.state_dict(),
            **fit.light.state_dict(),
            "positions": fit.mesh().vertices,
            **fit.corrections.state_dict(),
        }

    whole = begin()
    assert whole.textures.size == (64, 64)
    run(whole, lambda which, _: which.step < 24)
    assert whole.textures.size == (128, 128)
    save_checkpoint(tmp_path / "refine.pt", whole.state())
    run(whole, lambda which, _: which.step < 32)
    assert whole.textures.size == (256, 256)
    other = begin()
    other.restore(load_checkpoint(tmp_path / "refine.pt"))
    assert (other.step, other.textures.size) == (24, (128, 128))
    run(other, lambda which, _: which.step < 32)
    different = [key for key, value in values(whole).items() if not torch.equal(value, values(other)[key])]
    assert different == []


@pytest.mark.parametrize("weight", [0.0, 3000.0])
def test_a_laplacian_weight_holds_the_surface_as_bent_as_it_was(renderer, ball, weight):
    """Without preconditioning and with paint that is wrong, the vertices would scatter."""
    fit = refine_fit(
        renderer, ball, displaced=0.05, preconditioning=0.0, steps=100, learning_rate_positions=0.005,
        weights=RefineWeights(laplacian=weight),
    )  # fmt: skip
    terms = {}
    run(fit, lambda which, told: terms.update(told) or which.step < 10)
    bent = laplacian_loss(
        fit.mesh().vertices, fit.start.vertices, Neighbours.of(fit.start.faces, len(fit.start.vertices))
    )
    assert ("laplacian" in terms) == bool(weight)
    assert bent < 3e-6 if weight else bent > 1e-5
