"""The pictures of a running fit."""

import pytest
import torch
from known import bare_surface, camera_on_minus_y, cube_sphere

from backend.engines.select import select_engine
from backend.light.environment import EnvironmentLight
from backend.material.channels import MaterialSample
from backend.pictures import maps_strip
from backend.render.renderer import Renderer

SIZE = 48


def test_maps_of_a_ball_are_its_material_and_the_worlds_normals_over_white():
    def material(pixels):
        one = torch.ones_like(pixels.position[:, :1])
        return MaterialSample(torch.cat((one, 0.2140411 * one, 0 * one), -1), 0.3 * one, 0.9 * one)

    camera = camera_on_minus_y(3.6, (50.0, 50.0), (SIZE / 2, SIZE / 2), (SIZE, SIZE))
    vertices, faces, _, _ = cube_sphere(12, (0.9,) * 3, round_off=True)
    with torch.no_grad():
        light = EnvironmentLight(16, radiance=1.0).prefiltered()
        renderer = Renderer(select_engine("builtin", torch.device("cpu")))
        frame = renderer.render(bare_surface(vertices, faces), material, light, camera, (SIZE, SIZE))
        base_color, roughness, metallic, normal = maps_strip(frame).chunk(4, 1)
    middle = SIZE // 2
    assert base_color[middle, middle].tolist() == pytest.approx(
        [1.0, 0.5, 0.0], abs=2e-3
    )  # sRGB has 0.5 at linear 0.214
    assert roughness[middle, middle].tolist() == pytest.approx([0.3] * 3, abs=1e-5)
    assert metallic[middle, middle].tolist() == pytest.approx([0.9] * 3, abs=1e-5)
    seen = 2.0 * normal[frame.image[0, ..., 3] == 1] - 1.0
    back = torch.tensor([0.0, -1.0, 0.0])  # from the ball to the camera
    assert (
        seen.norm(dim=-1).sub(1).abs().max() < 1e-3 and (seen @ back).max() > 0.99
    )  # some look straight at the camera
    for picture in (base_color, roughness, metallic, normal):
        assert (picture[0] == 1).all() and (picture[:, 0] == 1).all()
