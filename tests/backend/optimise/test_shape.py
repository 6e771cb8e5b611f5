import pytest
import torch
from known import polished_views, skylight

from backend.contract import LightSettings, ShapeStage, ShapeWeights
from backend.dataset.hull import visual_hull
from backend.light.environment import EnvironmentLight
from backend.loss.metrics import psnr
from backend.optimise.checkpoint import load_checkpoint, save_checkpoint
from backend.optimise.fit import run
from backend.optimise.shape import ShapeFit

METHODS = pytest.mark.parametrize("method", ["flexicubes", "tetrahedra"])
HALF_EXTENT = 1.08


def shape_fit(
    renderer, case, method="flexicubes", steps=30, lock_light=False, cells=20, start_cells=12, light=None, every=1, views_per_step=3,
    team=None, at_once=None,
):  # fmt: skip
    views = case[2].train
    corner = torch.full((3,), HALF_EXTENT)
    hull = visual_hull(views.cameras, views.images[..., 3].float(), 40, -corner, corner)
    settings = ShapeStage(
        method=method, steps=steps, cells=cells, start_cells=start_cells, views_per_step=views_per_step, hash_levels=4, hash_log2_size=12,
        weights=ShapeWeights(smoothness_ramp=20),
    )  # fmt: skip
    light = light if light is not None else EnvironmentLight(16, radiance=1.0)
    light_settings = LightSettings(file="known.hdr", lock=lock_light, prefilter_every=every)
    return ShapeFit(settings, views, hull, HALF_EXTENT, light, light_settings, renderer, 5, team, at_once)


@torch.no_grad()
def judge(fit, views):
    """(PSNR over black, least overlap of a silhouette with the photograph's) on held-out views."""
    image = fit.renderer.render(fit.surface(), fit.material, fit.light.prefiltered(), views.cameras, views.canvas).image
    truth = views.images.float()
    ours, theirs = image[..., 3], truth[..., 3]
    overlap = torch.minimum(ours, theirs).sum((1, 2)) / torch.maximum(ours, theirs).sum((1, 2))
    return psnr(image[..., :3].clamp(0, 1), truth[..., :3].clamp(0, 1)).item(), overlap.min().item()


def parameters(fit):
    named = {**fit.grid.state_dict(), **fit.field.state_dict(), **fit.light.state_dict()}
    assert len(named) >= 8
    return named


@pytest.mark.parametrize(("thing", "method"), [("ball", "tetrahedra"), ("block", "flexicubes")])
def test_few_steps_from_the_hull_improve_unseen_views(renderer, request, thing, method):
    case = request.getfixturevalue(thing)
    fit = shape_fit(renderer, case, method, steps=30)
    before, outline_before = judge(fit, case[2].test)
    told = []
    assert run(fit, lambda which, terms: told.append(terms) or True)
    after, outline = judge(fit, case[2].test)
    assert after > before + 3.0
    assert outline > max(0.95, outline_before - 0.03)
    assert fit.grid.cells == 20
    terms = {"color", "mask", "sdf_sign", "material_smoothness", "surface_spread", "light_whiteness"}
    assert set(told[0]) == terms | {"psnr"}


def test_polished_metal_is_not_explained_by_a_dim_light(renderer):
    """From a rough dielectric the roughness runs into its bound at 1 and stays: the first guess has to be glossy and half metal."""
    case = polished_views(renderer)
    fit = shape_fit(renderer, case, steps=120, light=EnvironmentLight(32))
    run(fit, lambda *_: True)
    with torch.no_grad():
        found = fit.field(fit.mesh().vertices)
    assert found.roughness.median() < 0.75 and found.metallic.median() > 0.45


@METHODS
def test_a_surface_that_vanished_is_put_back(renderer, ball, method):
    fit = shape_fit(renderer, ball, method, cells=16)
    run(fit, lambda which, _: which.step < 3)
    with torch.no_grad():
        fit.grid.sdf.fill_(0.7)
    assert run(fit, lambda which, _: which.step < 8) is False
    assert fit.reseeded == 1
    assert fit.mesh().faces.shape[0] > 100 and judge(fit, ball[2].test)[1] > 0.8


@METHODS
def test_going_on_in_a_fresh_object_is_the_same_to_the_last_bit(renderer, ball, tmp_path, method):
    """Stopped in the coarse phase; both then cross into the finer grid, whose parameters are made anew on the way.

    The light moves every third step, from what three steps said.
    """

    def begin():
        return shape_fit(renderer, ball, method, steps=20, every=3)

    whole = begin()
    run(whole, lambda which, _: which.step < 4)
    assert whole.phase == 0
    save_checkpoint(tmp_path / "early.pt", whole.state())
    run(whole, lambda which, _: which.step < 9)
    assert whole.phase == len(whole.phases) - 1 > 0
    save_checkpoint(tmp_path / "late.pt", whole.state())
    run(whole, lambda which, _: which.step < 12)
    for name in ("early.pt", "late.pt"):
        other = begin()
        other.restore(load_checkpoint(tmp_path / name))
        run(other, lambda which, _: which.step < 12)
        assert other.step == 12
        different = [key for key, value in parameters(whole).items() if not torch.equal(value, parameters(other)[key])]
        assert different == []


@pytest.mark.parametrize("locked", [True, False])
def test_a_locked_light_stays_as_it_was(renderer, ball, locked):
    light = skylight()
    before = light.log_texels.detach().clone()
    fit = shape_fit(renderer, ball, lock_light=locked, light=light)
    run(fit, lambda which, _: which.step < 3)
    assert torch.equal(light.log_texels.detach(), before) == locked
