"""A light that turns with the camera, held to one that stands in the world and is turned by hand."""

import torch
from known import camera_on_minus_y

from backend.dataset.views import Cameras
from backend.light.environment import EnvironmentLight
from backend.light.latlong import direction_of_pixel, sample_latlong
from backend.material.channels import MaterialSample, flat_normal
from backend.render.synthetic import asset_surface

UP = torch.tensor([0.0, 0.0, 1.0])


def lamps():
    """[16, 32, 3] a panorama as someone sees it who looks the camera's way: red ahead, green to the left, blue above."""
    direction = direction_of_pixel(16, "cpu")
    return 0.05 + 3.0 * direction.clamp(min=0.0) ** 4


def turned_about_z(camera, degrees):
    """The camera carried about the world's Z, and level as before."""
    angle = torch.deg2rad(torch.tensor(degrees))
    turn = torch.eye(4)
    turn[0, 0] = turn[1, 1] = angle.cos()
    turn[0, 1], turn[1, 0] = -angle.sin(), angle.sin()
    return Cameras(turn @ camera.camera_to_world, camera.intrinsics, camera.sizes)


def test_the_picture_in_the_world_is_the_one_that_view_was_lit_by():
    """Worked by hand: the camera on -Y looks along +Y, its left is -X; after a quarter turn about Z it looks along -X, its left is -Y."""
    light = EnvironmentLight.from_latlong(lamps(), 16).turning_with_cameras()
    camera = camera_on_minus_y(4.0, (40.0, 40.0), (16.0, 16.0), (32, 32))
    for degrees, ahead, left in ((0.0, (0.0, 1, 0), (-1.0, 0, 0)), (90.0, (-1.0, 0, 0), (0.0, -1, 0))):
        pose = turned_about_z(camera, degrees).camera_to_world[0]
        shown = sample_latlong(light.to_latlong(64, pose), torch.stack([torch.tensor(ahead), torch.tensor(left), UP]))
        assert shown.argmax(-1).tolist() == [0, 1, 2] and (shown.amax(-1) > 2.5).all()


def test_a_view_looks_as_in_the_exported_light_with_relief_and_a_picture_read_back_is_the_same_light(renderer, block):
    thing, _, data = block
    surface = asset_surface(thing, data.similarity.to_normalised(thing.vertices))
    light = EnvironmentLight.from_latlong(lamps(), 16).turning_with_cameras()

    def material(pixels):
        ones = torch.ones_like(pixels.position[:, :1])
        lean = torch.nn.functional.normalize(
            flat_normal(pixels.position) + 0.3 * torch.sin(9.0 * pixels.position), dim=-1
        )
        return MaterialSample(0.8 * ones.expand(-1, 3), 0.3 * ones, 0.5 * ones, lean)

    cameras, canvas = data.train.cameras.select(torch.tensor([0, 2])), data.train.canvas
    together = renderer.render(surface, material, light.prefiltered(), cameras, canvas).image
    picture = light.to_latlong(128, cameras.camera_to_world[1])
    world = EnvironmentLight.from_latlong(picture, 16)
    one = cameras.select(torch.tensor([1]))
    alone = renderer.render(surface, material, world.prefiltered(), one, canvas).image[0]
    assert (together[1] - alone).abs().max() < 0.06 and (together[1] - alone).abs().mean() < 2e-3
    back = world.turning_with_cameras(cameras.camera_to_world[1, :3, :3])  # as a result's picture is read back
    again = renderer.render(surface, material, back.prefiltered(), cameras, canvas).image
    assert (again - together).abs().mean() < 2e-3
