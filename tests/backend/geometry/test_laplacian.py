import pytest
import torch

from backend.engines.select import select_engine
from backend.geometry.implicit import SignedDistanceGrid
from backend.geometry.laplacian import Neighbours, Preconditioner, laplacian_loss, uniform_laplacian
from backend.geometry.preconditioned import PreconditionedAdam


@pytest.fixture(scope="module")
def ball():
    surface = SignedDistanceGrid(20).surface(centres=False)
    return surface.vertices.detach(), surface.faces


def test_laplacian_by_hand():
    """A fan of three triangles around vertex 0; vertex 4 is alone."""
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 1]], dtype=torch.int32)
    neighbours = Neighbours.of(faces, 5)
    assert neighbours.edges.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    values = torch.tensor([[6.0], [0.0], [3.0], [9.0], [5.0]])
    assert uniform_laplacian(values, neighbours).flatten().tolist() == [2.0, -6.0, -2.0, 6.0, 0.0]
    moved = values.expand(5, 3) + torch.tensor([1.0, 2.0, 3.0])
    assert float(laplacian_loss(moved, values.expand(5, 3), neighbours)) == 0.0
    # vertex 0 moves by 3: its own Laplacian is 3, its neighbours' -1 each
    moved = values.expand(5, 3).clone()
    moved[0, 0] += 3.0
    assert float(laplacian_loss(moved, values.expand(5, 3), neighbours)) == pytest.approx((9 + 3 * 1) / 5)


def matrix(neighbours, strength):
    """I + strength L, dense, in float64."""
    low, high = neighbours.edges.T
    joined = torch.zeros(len(neighbours.degree), len(neighbours.degree), dtype=torch.float64)
    joined[low, high] = joined[high, low] = -strength
    return joined + torch.diag(1.0 + strength * neighbours.degree)


@pytest.fixture(scope="module")
def system(ball):
    return Preconditioner(len(ball[0]), ball[1], 20.0, select_engine("builtin", torch.device("cpu")))


def test_the_factorisation_is_exact_and_the_iteration_near(system):
    exact = torch.randn(len(system.neighbours.degree), 3, generator=torch.Generator().manual_seed(0)).double()
    values = matrix(system.neighbours, 20.0) @ exact
    assert (system.solve(values) - exact).norm() < 1e-10 * exact.norm()
    near = system.solve_by_iteration(values.float())
    assert 1e-6 < (near.double() - exact).norm() / exact.norm() < 0.03
    smooth = torch.ones_like(near)  # the slowest of all: values equal everywhere are their own solution
    assert (system.solve_by_iteration(smooth) - smooth).abs().max() < 0.03
    with pytest.raises(ValueError, match="vertices"):
        system.solve(values[1:])


@pytest.mark.parametrize("threads", [2, 7])
def test_threads_do_not_change_a_bit_of_the_iteration(ball, threads):
    values = torch.randn(len(ball[0]), 3, generator=torch.Generator().manual_seed(0)).repeat(12, 1)
    faces = torch.cat([ball[1] + copy * len(ball[0]) for copy in range(12)])
    found = [
        Preconditioner(
            len(values), faces, 20.0, select_engine("builtin", torch.device("cpu"), count)
        ).solve_by_iteration(values)
        for count in (1, threads)
    ]
    assert torch.equal(*found)


def test_preconditioned_steps_follow_a_noisy_gradient_smoothly(ball, system):
    """The gradient pushes single vertices out; after a step the surface must have moved as a whole, without spikes."""
    vertices, _ = ball
    positions = torch.nn.Parameter(vertices.clone())
    optimiser = PreconditionedAdam(positions, system)
    pushed = torch.rand(len(vertices), generator=torch.Generator().manual_seed(0)) < 0.2
    (-(positions * vertices).sum(1)[pushed].sum()).backward()
    optimiser.step(0.05)
    movement = ((positions.detach() - vertices) * vertices).sum(1)
    assert movement.min() > 0
    assert uniform_laplacian(movement[:, None], system.neighbours).abs().mean() < 0.2 * movement.mean()


def test_steps_are_those_of_adam_on_the_differential_positions(ball, system):
    """Nicolet's form, worked out in float64: u = M x is what Adam moves, with one second moment for all entries."""
    vertices, _ = ball
    target = 1.2 * vertices.double() + 0.1
    positions = torch.nn.Parameter(vertices.double().clone())
    optimiser = PreconditionedAdam(positions, system, 0.9, 0.99)
    differential = matrix(system.neighbours, 20.0) @ vertices.double()
    first, second = torch.zeros_like(differential), torch.zeros_like(differential)
    for step in range(1, 6):
        positions.grad = 2.0 * (positions.detach() - target)
        optimiser.step(0.01)
        gradient = system.solve(2.0 * (system.solve(differential) - target))
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient.square()
        differential = differential - 0.01 * (first / (1 - 0.9**step)) / (second / (1 - 0.99**step)).amax().sqrt()
    assert torch.allclose(positions.detach(), system.solve(differential), atol=1e-9)
