"""Cameras that stand where their file does not say, and photographs exposed one by one."""

import math

import pytest
import torch
from known import skylight
from test_refine import grey, refine_fit

from backend.dataset.views import Cameras, Views
from backend.loss.metrics import psnr
from backend.optimise.aligning import aligned
from backend.optimise.corrections import Corrections, rotation_of
from backend.optimise.fit import run
from backend.render.camera import clip_positions

POINTS = torch.tensor([[0.9, -0.4, 0.3], [-0.2, 0.8, -0.7], [0.1, 0.2, 1.0], [-0.8, -0.6, 0.1]])


def in_float64(cameras):
    return Cameras(cameras.camera_to_world.double(), cameras.intrinsics.double(), cameras.sizes)


@pytest.mark.parametrize("size", [0.0, 0.2])
def test_the_way_from_increments_to_clip_positions_has_the_gradient_of_finite_differences(ball, size):
    cameras = in_float64(ball[2].train.cameras.select(torch.arange(3)))
    cameras.intrinsics[:, :2] *= torch.tensor([[1.0], [1.1], [1.0]])  # two images share a lens
    corrections = Corrections(cameras, poses=True).double()
    assert corrections.log_focal.shape == (2,)
    index = torch.tensor([2, 1])

    def clip(motions, log_focal):
        values = {"motions": motions, "log_focal": log_focal}
        moved = torch.func.functional_call(corrections, values, (cameras, index))
        return clip_positions(POINTS.double(), moved, (48, 48))[..., [0, 1, 3]]  # near and far are not followed

    corrections.forward = corrections.cameras
    generator = torch.Generator().manual_seed(3)
    motions = (size * torch.randn(3, 6, generator=generator)).double().requires_grad_()
    log_focal = (size * torch.randn(2, generator=generator)).double().requires_grad_()
    assert torch.autograd.gradcheck(clip, (motions, log_focal), atol=1e-6)


def test_what_no_image_can_tell_is_held(ball):
    """A motion that all cameras share is a motion of the object: it changes nothing, unless the object is known."""
    cameras = ball[2].train.cameras
    shared = {
        "turn": lambda _: torch.tensor([0.02, -0.01, 0.03, 0.0, 0.0, 0.0]),
        "shift": lambda _: torch.tensor([0.0, 0.0, 0.0, 0.01, 0.02, -0.03]),
        "size": lambda place: torch.cat([torch.zeros(3), 0.01 * place]),
    }
    for motion in shared.values():
        for shape_known in (False, True):
            corrections = Corrections(cameras, poses=True, shape_known=shape_known)
            with torch.no_grad():
                corrections.motions.copy_(torch.stack([motion(place) for place in cameras.camera_to_world[:, :3, 3]]))
            moved = (corrections.corrected(cameras).camera_to_world - cameras.camera_to_world).abs().max()
            assert moved > 5e-3 if shape_known else moved < 1e-5


def misplaced(cameras):
    """Turned by 1 degree about themselves, moved by 1 % of the object, focal length 1 % off; without what no image can tell."""
    generator = torch.Generator().manual_seed(1)
    turn, shift, focal = (torch.randn(len(cameras), n, generator=generator) for n in (3, 3, 1))
    turn, shift = (torch.nn.functional.normalize(values, dim=-1) for values in (turn, shift))
    turn, shift, place = turn * math.radians(1.0), 0.02 * shift, cameras.camera_to_world[:, :3, 3:]
    corrections = Corrections(cameras, poses=True)
    with torch.no_grad():
        about_centre = place[..., 0] + shift - (rotation_of(turn) @ place)[..., 0]
        corrections.motions.copy_(torch.cat([turn, about_centre], -1))
    moved = corrections.corrected(cameras)
    moved.intrinsics[:, :2] *= (0.01 * (focal - focal.mean())).exp()
    return moved


def test_planted_errors_of_pose_and_focal_length_are_found_and_unseen_views_gain(renderer, block):
    thing, _, data = block
    true, points = data.train.cameras, data.similarity.to_normalised(thing.vertices)
    wrong = misplaced(true)

    def fitted(poses):
        """(mean distance in pixels between where the box's corners are and where the cameras see them, PSNR of unseen views)."""
        fit = refine_fit(
            renderer, block, grey(32), Views(data.train.names, wrong, data.train.images), poses=poses, learning_rate_poses=0.005, steps=45,
            learning_rate_textures=0.03, views_per_step=4,
        )  # fmt: skip
        run(fit, lambda *_: True)
        with torch.no_grad():
            seen = [_pixels(points, c, data.train.canvas) for c in (fit.corrections.corrected(wrong), true)]
            light = skylight().prefiltered()
            view = data.test
            image = renderer.render(fit.surface(), fit.material, light, view.cameras, view.canvas).image
            return (seen[0] - seen[1]).norm(dim=-1).mean().item(), psnr(
                image.clamp(0, 1), view.images.float().clamp(0, 1)
            ).item()

    (given, blurred), (found, sharp) = fitted(False), fitted(True)
    assert found < given / 3
    assert sharp > blurred + 3.0


def test_held_out_cameras_are_found_by_the_finished_asset(renderer, block):
    """Each by its own photograph, though all moved alike: the asset stands fast."""
    thing, _, data = block
    fit = refine_fit(renderer, block, grey(32), data.train, steps=45, learning_rate_textures=0.03, views_per_step=4)
    run(fit, lambda *_: True)
    true, points = data.train.cameras, data.similarity.to_normalised(thing.vertices)
    wrong = misplaced(true)
    wrong.camera_to_world[:, :3, 3] += torch.tensor([0.01, -0.01, 0.02])
    views = Views(data.train.names, wrong, data.train.images)
    kept = fit.positions.detach().clone(), fit.textures.values.detach().clone()
    with torch.no_grad():
        found = aligned(renderer, fit.surface(), fit.material, skylight().prefiltered(), views, 0.005).cameras
    apart = [
        (_pixels(points, c, data.train.canvas) - _pixels(points, true, data.train.canvas)).norm(dim=-1)
        for c in (wrong, found)
    ]
    assert apart[1].mean() < apart[0].mean() / 3, (apart[0].mean(), apart[1].mean())
    assert torch.equal(kept[0], fit.positions) and torch.equal(kept[1], fit.textures.values)


def _pixels(points, cameras, canvas):
    clip = clip_positions(points, cameras, canvas)
    return clip[..., :2] / clip[..., 3:] * torch.tensor([canvas[1], canvas[0]]) / 2
