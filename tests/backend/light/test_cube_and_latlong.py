import math

import pytest
import torch

from backend.engines.select import select_engine
from backend.light.cube import sample_cube, texel_directions, texel_solid_angles
from backend.light.latlong import cube_to_latlong, direction_of_pixel, latlong_to_cube, pixel_solid_angles

CPU = torch.device("cpu")


def test_cube_texels_lie_where_the_engine_reads_them():
    directions = texel_directions(16, CPU)
    wanted = torch.nn.functional.normalize(torch.randn(4000, 3, generator=torch.Generator().manual_seed(0)), dim=-1)
    read = select_engine("builtin", CPU).texture_cube((directions,), wanted, torch.zeros(4000))
    assert (read - wanted).norm(dim=-1).max() < 0.03  # a quarter of a texel; another (s, t) order errs by up to 2
    assert (sample_cube(directions, wanted) - wanted).norm(dim=-1).max() < 0.03


def test_solid_angles_add_up_and_are_larger_in_the_middle():
    angles = texel_solid_angles(8, CPU, torch.float64)
    assert angles.sum().item() == pytest.approx(4 * math.pi, rel=1e-12)
    assert angles[0, 3, 3] / angles[0, 0, 0] == pytest.approx(4.0, rel=0.1)  # (1 + s^2 + t^2)^(3/2) at the corner texel
    assert (pixel_solid_angles(16, CPU).sum() * 32).item() == pytest.approx(4 * math.pi, rel=1e-5)


def test_picture_is_oriented_as_in_blender():
    height, width = 32, 64
    engine = select_engine("builtin", CPU)
    marks = {  # column, row of the picture -> direction: image centre +X, +Y a quarter from the left, +Z on top
        (32, 16): (1, 0, 0),
        (16, 16): (0, 1, 0),
        (48, 16): (0, -1, 0),
        (0, 16): (-1, 0, 0),
        (24, 8): (0.5, 0.5, math.sqrt(0.5)),
    }
    for (column, row), direction in marks.items():
        image = torch.zeros(height, width, 3)
        rows, columns = torch.arange(row - 1, row + 1), torch.arange(column - 1, column + 1) % width
        image[rows[:, None], columns[None]] = 1.0
        cube = latlong_to_cube(image, 16)
        ends = torch.tensor([direction, [-x for x in direction]]).float()
        seen = engine.texture_cube((cube,), ends, torch.zeros(2))[:, 0]
        assert seen[0] > 0.5 and seen[1] < 0.01, f"{column}, {row}"
        back = cube_to_latlong(cube, height)[..., 0]
        assert back[rows[:, None], columns[None]].mean() > 5 * back.mean()


@pytest.mark.parametrize("size", [8, 32])
def test_small_sun_keeps_its_energy_and_place(size):
    height = 32
    directions, areas = direction_of_pixel(height, CPU), pixel_solid_angles(height, CPU)
    for row, column in ((2, 7), (15, 32), (28, 63)):
        image = torch.zeros(height, 2 * height, 1)
        image[row, column] = 1000.0
        cube = latlong_to_cube(image, size)
        power = cube * texel_solid_angles(size, CPU)[..., None]
        energy = 1000.0 * areas[row].item()
        assert power.sum().item() == pytest.approx(energy, rel=0.04)
        centre = (power * texel_directions(size, CPU)).sum((0, 1, 2)) / power.sum()
        assert (centre - directions[row, column]).norm() < 0.6 * 2 / size + 0.01
        again = cube_to_latlong(cube, height)[..., 0]
        assert (again * areas).sum().item() == pytest.approx(energy, rel=0.05)


def test_a_rotation_looks_the_picture_up_further_round():
    directions = direction_of_pixel(32, CPU)
    image = torch.cat(
        (directions, torch.ones_like(directions[..., :1])), -1
    )  # what is seen says where it was looked up
    quarter = latlong_to_cube(image, 16, math.pi / 2)
    ends = torch.nn.functional.normalize(torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]), dim=-1)
    wanted = torch.stack((-ends[:, 1], ends[:, 0], ends[:, 2]), -1)  # +X shows what the picture has at +Y
    assert (sample_cube(quarter, ends)[:, :3] - wanted).abs().max() < 0.02
    assert (
        sample_cube(latlong_to_cube(image, 16, -math.pi / 2), ends)[:, :3] - wanted
    ).abs().max() > 1  # the other way round
    coarse = latlong_to_cube(image, 256, 0.3)  # texels smaller than the picture's parts: read at their centres
    turn = torch.tensor([[math.cos(0.3), -math.sin(0.3), 0], [math.sin(0.3), math.cos(0.3), 0], [0, 0, 1]])
    assert (sample_cube(coarse, ends)[:, :3] - ends @ turn.T).abs().max() < 0.02
