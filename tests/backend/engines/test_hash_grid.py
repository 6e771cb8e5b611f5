import pytest
import torch
from comparing import DEVICES, assert_matches, assert_threads_agree

from backend.engines.builtin.hash_grid import hash_encode
from backend.engines.builtin.launch import Launcher
from backend.engines.hash_layout import hash_layout
from backend.engines.reference import hash_grid as oracle

CPU = torch.device("cpu")
SMALL = hash_layout(levels=8, base=16, per_level_scale=1.4473, log2_size=14)


@pytest.fixture(params=DEVICES)
def launch(request):
    return Launcher(torch.device(request.param), threads=2)


def points_inside_cells(count, layout):
    """Random points no nearer to a cell's wall than rounding in float32 may carry them."""
    points = torch.rand(2 * count, 3)
    safe = torch.ones(2 * count, dtype=torch.bool)
    for level in layout.levels:
        place = points.double() * level.scale + 0.5
        safe &= ((place - place.round()).abs() > 1e-3).all(1)
    return points[safe][:count]


def test_layout_is_dense_while_it_fits_and_hashed_from_there():
    coarse, *_, fine = SMALL.levels
    assert (coarse.offset, coarse.resolution, coarse.size, coarse.hashed, coarse.scale) == (0, 16, 4096, False, 15.0)
    second = SMALL.levels[1]  # 16 * 1.4473 - 1 = 22.16: 24 corners, 13824 rows
    assert (second.offset, second.resolution, second.size, second.hashed) == (4096, 24, 13824, False)
    assert [level.hashed for level in SMALL.levels] == [False] * 2 + [True] * 6
    assert fine.size == 2**14 and SMALL.entries == 4096 + 13824 + 6 * 2**14
    assert hash_layout(levels=1, base=3).levels[0].size == 32  # 27 corners, rounded up to 8
    usual = hash_layout(levels=16, base=16, per_level_scale=(2048 / 16) ** (1 / 15), log2_size=19)
    assert usual.entries * 2 == 12196240  # the parameters tiny-cuda-nn reports for 16 to 2048


def test_value_and_gradients_equal_the_oracle(launch):
    torch.manual_seed(0)
    points = points_inside_cells(3000, SMALL)
    table = torch.rand(SMALL.entries, 2) * 0.2 - 0.1
    assert_matches(
        lambda p, t: hash_encode(p, t, SMALL, launch),
        lambda p, t: oracle.hash_encode(p, t, SMALL),
        [points, table],
        launch.device,
        tolerance=1e-4,  # a point's place in a cell of the finest level is known to 2^-16
    )


@pytest.mark.parametrize("per_level_scale", [1.4473, 1.0])  # with 1.0 every level meets at the same cells
def test_neighbours_and_equal_points_add_up(launch, per_level_scale):
    """As a step's points come: along rows of pixels, some many times, blank ones among them, in no multiple of a warp."""
    torch.manual_seed(0)
    layout = hash_layout(levels=10, base=16, per_level_scale=per_level_scale, log2_size=14)
    count = 5003 if launch.on_cpu else 200_003
    ramp = torch.arange(count) / count
    points = torch.stack([(ramp * 700) % 1.0, ramp, 0.5 + 0.4 * torch.sin(6.0 * ramp)], -1) * 0.96 + 0.02
    points[torch.rand(count) < 0.2] = points[7].clone()
    table = torch.rand(layout.entries, 2, device=launch.device, requires_grad=True)
    given = torch.randn(count, 20)
    given[torch.rand(count) < 0.1] = 0.0
    exact = table.detach().cpu().double().requires_grad_()
    oracle.hash_encode(points.double(), exact, layout).backward(given.double())
    hash_encode(points.to(launch.device), table, layout, launch).backward(given.to(launch.device))
    torch.testing.assert_close(table.grad.cpu().double(), exact.grad, rtol=0, atol=1e-4 * exact.grad.abs().max().item())


def test_a_table_that_begins_between_two_rows_gives_the_same(launch):
    numbers = torch.rand(2 * SMALL.entries + 1, device=launch.device)
    shifted, points = numbers[1:].view(-1, 2), torch.rand(50, 3, device=launch.device)
    expected = hash_encode(points, shifted.clone(), SMALL, launch)
    assert torch.equal(hash_encode(points, shifted, SMALL, launch), expected)


@pytest.mark.parametrize("index", [0, 1, 2, 7])
def test_grid_corners_read_the_row_of_the_rule(launch, index):
    level = SMALL.levels[index]
    corners = torch.randint(1, level.resolution - 1, (200, 3), generator=torch.Generator().manual_seed(0))
    points = (corners.double() - 0.5) / level.scale  # p * scale + 0.5 = corner
    rows = torch.arange(SMALL.entries, dtype=torch.float32)
    table = torch.stack([rows, -rows], dim=1).to(launch.device)
    got = hash_encode(points.float().to(launch.device), table, SMALL, launch)[:, 2 * index].cpu()
    for (x, y, z), row in zip(corners.tolist(), got.tolist(), strict=True):
        if level.hashed:
            want = level.offset + ((x * 1) ^ (y * 2654435761) ^ (z * 805459861)) % 2**32 % level.size
        else:
            want = level.offset + x + level.resolution * (y + level.resolution * z)
        assert row == pytest.approx(want, abs=2.0 if level.hashed else 0.1)


def test_threads_give_the_same_bits():
    torch.manual_seed(0)
    inputs = [torch.rand(20000, 3) ** 2, torch.randn(SMALL.entries, 2)]
    assert_threads_agree(lambda threads: lambda p, t: hash_encode(p, t, SMALL, Launcher(CPU, threads)), inputs)


@pytest.mark.skipif(len(DEVICES) == 1, reason="needs a CUDA device")
def test_cuda_equals_cpu():
    torch.manual_seed(0)
    inputs = [points_inside_cells(10000, SMALL), torch.rand(SMALL.entries, 2) * 0.2 - 0.1]
    on_cpu, on_cuda = Launcher(CPU), Launcher(torch.device("cuda"))
    assert_matches(
        lambda p, t: hash_encode(p, t, SMALL, on_cuda),
        lambda p, t: hash_encode(p.float(), t.float(), SMALL, on_cpu).double(),
        inputs,
        "cuda",
        tolerance=1e-4,
    )


def test_no_points_and_points_outside_the_cube(launch):
    table = torch.randn(SMALL.entries, 2, device=launch.device, requires_grad=True)
    empty = hash_encode(torch.zeros(0, 3, device=launch.device), table, SMALL, launch)
    empty.sum().backward()
    assert empty.shape == (0, 16) and not table.grad.any()
    outside = torch.tensor([[1.0, 1.0, 1.0], [-5.0, 3.0, 1e9], [float("nan")] * 3], device=launch.device)
    hash_encode(outside, table, SMALL, launch).sum().backward()  # reads within the table or crashes


def test_refusals_name_the_argument_what_came_and_what_was_expected():
    launch = Launcher(CPU, threads=1)
    table = torch.zeros(SMALL.entries, 2)
    with pytest.raises(ValueError, match=r"points is \[5, 2\].*expected \[any, 3\]"):
        hash_encode(torch.zeros(5, 2), table, SMALL, launch)
    with pytest.raises(ValueError, match=rf"table is \[7, 2\].*expected \[{SMALL.entries}, 2\]"):
        hash_encode(torch.zeros(5, 3), torch.zeros(7, 2), SMALL, launch)
    for wrong in (
        {"levels": 0},
        {"base": 1},
        {"per_level_scale": 0.5},
        {"log2_size": 40},
        {"levels": 32, "per_level_scale": 4.0},
    ):
        with pytest.raises(ValueError, match="expected"):
            hash_layout(**wrong)
