import itertools

import pytest
import torch
from comparing import DEVICES, assert_matches, assert_threads_agree

from backend.engines.builtin.cube import texture_cube
from backend.engines.builtin.launch import Launcher
from backend.engines.reference import cube as oracle

CPU = torch.device("cpu")
CORNERS = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=3)))
EDGES = torch.tensor([d for d in itertools.product([-1.0, 0.0, 1.0], repeat=3) if d.count(0.0) == 1])


@pytest.fixture(params=DEVICES)
def launch(request):
    return Launcher(torch.device(request.param), threads=2)


@pytest.mark.parametrize("sizes", [(9, 4, 1), (2, 3), (16,)])
def test_value_and_gradients_equal_the_oracle_at_edges_and_corners_too(launch, sizes):
    torch.manual_seed(0)
    levels = [torch.randn(6, n, n, 3) for n in sizes]
    about_corners = CORNERS.repeat(60, 1) + torch.randn(480, 3) * 0.1
    about_edges = EDGES.repeat(40, 1) + torch.randn(480, 3) * 0.1
    directions = torch.cat([torch.randn(2000, 3), about_corners, about_edges])
    level = torch.rand(directions.shape[0]) * (len(sizes) + 1) - 1
    assert_matches(
        lambda *given: texture_cube(given[:-2], given[-2], given[-1], launch),
        lambda *given: oracle.texture_cube(given[:-2], given[-2], given[-1]),
        [*levels, directions, level],
        launch.device,
    )


def test_faces_stand_where_opengl_puts_them(launch):
    # the table of the OpenGL specification: major axis, then sc and tc as components of the direction
    directions = torch.tensor(
        [
            [1.0, -0.5, -0.25],  # +X: s = -z, t = -y
            [-1.0, -0.5, 0.25],  # -X: s = +z, t = -y
            [0.25, 1.0, 0.5],  # +Y: s = +x, t = +z
            [0.25, -1.0, -0.5],  # -Y: s = +x, t = -z
            [0.25, -0.5, 1.0],  # +Z: s = +x, t = -y
            [-0.25, -0.5, -1.0],  # -Z: s = -x, t = -y
        ]
    )  # all meet s = 0.25, t = 0.5
    n = 8
    centre = (torch.arange(n) + 0.5) * 2 / n - 1
    face, row, column = torch.meshgrid(torch.arange(6.0), centre, centre, indexing="ij")
    image = torch.stack([face, column, row], dim=-1).to(launch.device)
    for scale in (1.0, 7.5):
        got = texture_cube(
            (image,), directions.to(launch.device) * scale, torch.zeros(6, device=launch.device), launch
        ).cpu()
        torch.testing.assert_close(got, torch.tensor([[float(f), 0.25, 0.5] for f in range(6)]))


def test_texels_filled_from_their_directions_give_the_direction_back(launch):
    torch.manual_seed(0)
    size = 32
    image = torch.nn.functional.normalize(oracle.texel_directions(size, torch.zeros(())), dim=-1)
    directions = torch.nn.functional.normalize(torch.cat([torch.randn(20000, 3), EDGES, CORNERS]), dim=1)
    level = torch.zeros(directions.shape[0], device=launch.device)
    got = texture_cube((image.to(launch.device),), directions.to(launch.device), level, launch).cpu()
    assert (got - directions).norm(dim=1).max() < 0.5 / size  # a turned or swapped face is off by 1 / size and more


def test_no_seam_across_the_twelve_edges_nor_at_the_eight_corners(launch):
    torch.manual_seed(0)
    image = torch.randn(6, 5, 5, 2)
    step = 1e-5
    along = torch.linspace(-1, 1, 81)[None, :, None]
    edge = (EDGES[:, None] + (EDGES == 0).float()[:, None] * along).reshape(-1, 3)  # points of the edges, ends included
    first = torch.nn.functional.one_hot(EDGES.abs().argmax(1), 3).repeat_interleave(81, 0)
    second = torch.nn.functional.one_hot(2 - EDGES.abs().flip(1).argmax(1), 3).repeat_interleave(81, 0)
    sides = [edge * (1 + step * axis) for axis in (first, second)]
    level = torch.zeros(edge.shape[0], device=launch.device)
    one, other = (texture_cube((image.to(launch.device),), d.to(launch.device), level, launch) for d in sides)
    assert (one - other).abs().max() < 100 * step
    around = CORNERS[:, None] * (1 + step * torch.rand(1, 30, 3))
    level = torch.zeros(240, device=launch.device)
    corner = texture_cube((image.to(launch.device),), around.reshape(-1, 3).to(launch.device), level, launch)
    corner = corner.view(8, 30, 2)
    assert (corner - corner[:, :1]).abs().max() < 100 * step


def test_levels_are_blended_linearly(launch):
    levels = tuple(torch.full((6, n, n, 1), value, device=launch.device) for n, value in ((8, 1.0), (5, 2.0), (1, 4.0)))
    level = torch.tensor([-1.0, 0.0, 0.25, 1.0, 1.5, 2.0, 7.0], device=launch.device)
    directions = torch.randn(7, 3, generator=torch.Generator().manual_seed(0)).to(launch.device)
    got = texture_cube(levels, directions, level, launch)[:, 0].cpu()
    torch.testing.assert_close(got, torch.tensor([1.0, 1.0, 1.25, 2.0, 3.0, 4.0, 4.0]))


def test_threads_give_the_same_bits():
    torch.manual_seed(0)
    inputs = [
        torch.randn(6, 16, 16, 3),
        torch.randn(6, 4, 4, 3),
        torch.randn(20000, 3) * torch.tensor([1.0, 0.1, 0.1]),
        torch.rand(20000) * 2,
    ]
    assert_threads_agree(
        lambda threads: lambda a, b, d, l: texture_cube((a, b), d, l, Launcher(CPU, threads)),
        inputs,
    )


@pytest.mark.skipif(len(DEVICES) == 1, reason="needs a CUDA device")
def test_cuda_equals_cpu():
    torch.manual_seed(0)
    inputs = [torch.randn(6, 16, 16, 3), torch.randn(6, 4, 4, 3), torch.randn(20000, 3), torch.rand(20000)]
    on_cpu, on_cuda = Launcher(CPU), Launcher(torch.device("cuda"))

    def cpu(a, b, directions, level):
        return texture_cube((a.float(), b.float()), directions.float(), level.float(), on_cpu).double()

    assert_matches(lambda a, b, d, l: texture_cube((a, b), d, l, on_cuda), cpu, inputs, "cuda")


def test_no_points_and_directions_that_are_none(launch):
    image = torch.randn(6, 4, 4, 3, device=launch.device, requires_grad=True)
    none = torch.zeros(0, 3, device=launch.device)
    empty = texture_cube((image,), none, none[:, 0], launch)
    empty.sum().backward()
    assert empty.shape == (0, 3) and not image.grad.any()
    bad = torch.tensor([[0.0, 0.0, 0.0], [float("nan")] * 3, [float("inf")] * 3], device=launch.device)
    texture_cube((image, image), bad, bad[:, 0], launch).sum().backward()  # reads within the faces or crashes


def test_refusals_name_the_argument_what_came_and_what_was_expected():
    launch = Launcher(CPU, threads=1)
    image, directions, level = torch.zeros(6, 4, 4, 3), torch.zeros(5, 3), torch.zeros(5)
    with pytest.raises(ValueError, match="levels is empty"):
        texture_cube((), directions, level, launch)
    with pytest.raises(ValueError, match=r"levels\[1\] is \[6, 2, 3, 3\].*expected \[6, 2, 2, 3\]"):
        texture_cube((image, torch.zeros(6, 2, 3, 3)), directions, level, launch)
    with pytest.raises(ValueError, match=r"levels\[1\] is \[6, 2, 2, 4\].*expected \[6, 2, 2, 3\]"):
        texture_cube((image, torch.zeros(6, 2, 2, 4)), directions, level, launch)
    with pytest.raises(ValueError, match=r"directions is .*float64.*float32"):
        texture_cube((image,), directions.double(), level, launch)
    with pytest.raises(ValueError, match=r"level is \[5, 1\].*expected \[5\]"):
        texture_cube((image,), directions, level[:, None], launch)
