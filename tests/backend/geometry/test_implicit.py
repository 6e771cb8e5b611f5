import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from backend.engines.select import select_engine
from backend.geometry.clean import is_closed
from backend.geometry.implicit import SignedDistanceGrid, _steps_to

METHODS = pytest.mark.parametrize("method", ["flexicubes", "tetrahedra"])


def box_distance(points: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    q = (points - 0.5 * (low + high)).abs() - 0.5 * (high - low)
    return q.clamp_min(0).norm(dim=1) + q.amax(1).clamp_max(0)


@METHODS
def test_a_field_comes_back_where_it_was(method):
    line = torch.linspace(-1.2, 1.2, 49)
    points = torch.cartesian_prod(line, line, line)
    # half way between the field's points; all six differ, so that no axis may be swapped or mirrored
    low, high = torch.tensor([-0.925, -0.225, 0.075]), torch.tensor([0.325, 0.625, 0.525])
    field = (box_distance(points, low, high) < 0).float().view(49, 49, 49)
    grid = SignedDistanceGrid.from_field(field, 32, method, 1.2)
    surface = grid.surface(centres=False)
    assert is_closed(surface.mesh())
    assert box_distance(surface.vertices, low, high).abs().max() < 0.6 * grid.lattice.cell_size
    distance = box_distance(grid.rest, low, high) / grid.lattice.cell_size
    near = (distance.abs() < 2.0).nonzero().squeeze(1)
    assert (grid.sdf.detach() - distance)[near].abs().median() < 0.1
    assert torch.allclose(surface.vertices.amin(0), low, atol=0.03)
    assert torch.allclose(surface.vertices.amax(0), high, atol=0.03)


def test_a_field_that_fills_the_box_stays_closed_and_an_empty_one_is_refused():
    surface = SignedDistanceGrid.from_field(torch.ones(9, 9, 9), 8).surface()
    assert is_closed(surface.mesh()) and not surface.is_empty
    assert surface.vertices.abs().max() < 1.0
    with pytest.raises(ValueError, match="0 points inside"):
        SignedDistanceGrid.from_field(torch.zeros(9, 9, 9), 8)
    with pytest.raises(ValueError, match="'flexicube'"):
        SignedDistanceGrid(8, "flexicube")


@METHODS
def test_refining_keeps_the_surface_though_the_points_were_displaced(method):
    grid = SignedDistanceGrid(16, method)
    low, high = torch.tensor([-0.5, -0.4, -0.6]), torch.tensor([0.6, 0.3, 0.2])
    with torch.no_grad():
        grid.offsets.copy_(torch.sin(5.0 * grid.rest) * 2.0)
        centre, radii = 0.5 * (low + high), 0.5 * (high - low)
        grid.sdf.copy_((((grid.points() - centre) / radii).norm(dim=1) - 1.0) * radii.mean() / grid.lattice.cell_size)
    finer = grid.refined(32)
    assert finer.cells == 32 and is_closed(finer.surface().mesh())
    away = (((finer.surface().vertices - centre) / radii).norm(dim=1) - 1.0).abs() * radii.mean()
    assert away.max() < 0.3 * grid.lattice.cell_size  # displacement is up to 0.25, ignoring it leaves 0.4
    resampled = SignedDistanceGrid(16, method).refined(32).sdf.detach()
    same = SignedDistanceGrid(32, method).sdf.detach()  # distances are in cells, which are half as large now
    near = same.abs() < 2.0
    assert (resampled - same)[near].abs().max() < 0.2


@METHODS
def test_an_empty_surface_passes_through_and_is_reseeded(method):
    field = torch.zeros(17, 17, 17)
    field[3:8, 3:8, 3:8] = 1.0
    grid = SignedDistanceGrid.from_field(field, 16, method)
    before = grid.surface().vertices.detach()
    with torch.no_grad():
        grid.sdf.fill_(1.0)
        grid.offsets.fill_(0.5)
    surface = grid.surface()
    assert surface.is_empty and surface.mesh().vertices.shape == (0, 3)
    (surface.vertices.sum() + surface.regularity + surface.sign_changes).backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in grid.parameters())
    grid.reseed()
    assert torch.equal(grid.surface().vertices.detach(), before)


def test_a_field_too_fine_for_the_lattice_becomes_the_sphere():
    field = torch.zeros(65, 65, 65)
    field[33, 30, 34] = 1.0
    surface = SignedDistanceGrid.from_field(field, 8).surface()
    assert float(surface.vertices.detach().norm(dim=1).mean()) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize("engine", [None, select_engine("builtin", torch.device("cpu"), 1)], ids=["torch", "engine"])
def test_sign_changes_by_hand(engine):
    grid = SignedDistanceGrid(4, engine=engine)
    with torch.no_grad():
        grid.sdf.fill_(0.5)
        grid.sdf.view(5, 5, 5)[2, 2, 2] = -2.0
    loss = grid.surface().sign_changes
    assert float(loss.detach()) == pytest.approx(math.log1p(math.exp(2.0)) + math.log1p(math.exp(0.5)), rel=1e-6)
    loss.backward()
    gradient = grid.sdf.grad.view(5, 5, 5)
    assert gradient[2, 2, 2] < 0 and gradient[2, 2, 1] > 0 and gradient[1, 1, 1] == 0  # descent moves both towards 0


@METHODS
def test_descent_reaches_another_shape(method):
    """From the sphere to an egg elsewhere through the vertices' gradients alone: every one must point the right way."""
    torch.manual_seed(0)
    grid = SignedDistanceGrid(12, method)
    centre, radii = torch.tensor([0.1, -0.1, 0.15]), torch.tensor([0.7, 0.5, 0.4])
    optimiser = torch.optim.Adam(grid.parameters(), lr=0.05)

    def away() -> torch.Tensor:
        return ((grid.surface().vertices - centre) / radii).norm(dim=1) - 1.0

    before = away().square().mean()
    for _ in range(60):
        loss = away().square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert away().square().mean() < 0.02 * before


def test_state_comes_back():
    grid = SignedDistanceGrid(6)
    with torch.no_grad():
        for parameter in grid.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    other = SignedDistanceGrid(6)
    other.load_state_dict(grid.state_dict())
    assert torch.equal(other.surface().vertices, grid.surface().vertices)


def test_distances_are_those_of_an_exact_transform_within_reach():
    solid = torch.rand(9, 9, 9, generator=torch.Generator().manual_seed(0)) < 0.02
    solid[2:5, 3:8, 4] = True
    exact = ndimage.distance_transform_edt(~np.pad(solid.numpy(), 1))
    assert np.allclose(_steps_to(solid, 4).numpy(), exact.clip(max=4), atol=1e-5) and exact.max() > 4
    within = ndimage.distance_transform_edt(~np.pad(~solid.numpy(), 1, constant_values=True))
    assert np.allclose(_steps_to(~solid, 4, edge=True).numpy(), within.clip(max=4), atol=1e-5)
