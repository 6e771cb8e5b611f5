import itertools

import pytest
import torch
from known import camera_on_minus_y

from backend.dataset.views import Cameras
from backend.render.camera import clip_positions, world_to_camera


def pixels_of(clip, canvas):
    """Clip positions -> (x, y) pixels as the engine reads them: -1 is the left and the TOP edge."""
    height, width = canvas
    place = clip[..., :2] / clip[..., 3:]
    return (place + 1.0) * 0.5 * torch.tensor([float(width), float(height)])


def test_a_point_lands_on_the_pixel_worked_by_hand(renderer):
    """4 before the camera, half to the right, a quarter up: x = 30 + 100 / 8, y = 20 - 120 / 16. The centre is off the middle."""
    camera = camera_on_minus_y(4.0, (100.0, 120.0), (30.0, 20.0), (50, 60))
    canvas = (64, 80)  # larger than the image, which is its top left part
    point = torch.tensor([0.5, 0.0, 0.25])
    clip = clip_positions(point[None], camera, canvas)
    assert pixels_of(clip, canvas)[0, 0].tolist() == pytest.approx([42.5, 12.5], abs=1e-4)
    assert clip[0, 0, 3].item() == pytest.approx(4.0)
    pixel = 4.0 / 110.0
    speck = point + 0.3 * pixel * torch.tensor([[-1.0, 0.0, -1.0], [1.0, 0.0, -1.0], [0.0, 0.0, 1.0]])
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    raster = renderer.engine.rasterize(clip_positions(speck, camera, canvas), faces, canvas)
    assert (raster.triangle[0] == 0).nonzero().tolist() == [[12, 42]]


@pytest.mark.parametrize("distance", [1.76, 3.6, 40.0])
def test_the_whole_box_lies_between_near_and_far_also_from_close_by(distance):
    """Seen along the diagonal: the nearest corner is 1.73 before the middle, the farthest as much behind it."""
    backward = torch.nn.functional.normalize(torch.ones(3), dim=0)
    right = torch.nn.functional.normalize(torch.tensor([-1.0, 1.0, 0.0]), dim=0)
    pose = torch.eye(4)
    pose[:3, :3] = torch.stack((right, torch.linalg.cross(backward, right), backward), -1)
    pose[:3, 3] = backward * distance
    camera = Cameras(pose[None], torch.tensor([[50.0, 50.0, 16.0, 16.0]]), torch.tensor([[32, 32]]))
    corners = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=3)))
    clip = clip_positions(corners, camera, (32, 32))[0]
    assert (clip[:, 3] > 0).all()
    depth = clip[:, 2] / clip[:, 3]
    assert depth.abs().max() <= 1.0
    assert depth[7] < depth[3] < depth[0]  # nearest, one that is farther, farthest
    identity = world_to_camera(camera) @ camera.camera_to_world
    assert (identity - torch.eye(4)).abs().max() < 1e-5
