import pytest
import torch

from backend.geometry.implicit import SignedDistanceGrid
from backend.geometry.laplacian import (
    Neighbours,
    Preconditioner,
    conjugate_gradients,
    laplacian_loss,
    uniform_laplacian,
)
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


def test_both_solvers_invert_the_matrix(ball):
    vertices, faces = ball
    system = Preconditioner(len(vertices), faces, 20.0)
    values = torch.randn(len(vertices), 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    solution = system.solve(values)
    assert (system.multiply(solution) - values).norm() < 1e-10 * values.norm()
    single = system.solve(values.float())
    assert (single.double() - solution).norm() < 1e-5 * solution.norm()
    iterated = conjugate_gradients(system, values.float(), system.enough_iterations())
    assert (iterated.double() - solution).norm() < 1e-5 * solution.norm()
    assert torch.equal(conjugate_gradients(system, torch.zeros(len(vertices), 3), 20), torch.zeros(len(vertices), 3))
    with pytest.raises(ValueError, match="vertices"):
        system.solve(values[1:])


def test_gradient_of_the_solution():
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])
    system = Preconditioner(4, faces, 3.0)
    values = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(system.solve, (values,))
    assert torch.autograd.gradcheck(system.multiply, (values,))


def test_preconditioned_steps_follow_a_noisy_gradient_smoothly(ball):
    """The gradient pushes single vertices out; after a step the surface must have moved as a whole, without spikes."""
    vertices, faces = ball
    system = Preconditioner(len(vertices), faces, 20.0)
    positions = torch.nn.Parameter(vertices.clone())
    optimiser = PreconditionedAdam(positions, system, lr=0.05)
    pushed = torch.rand(len(vertices), generator=torch.Generator().manual_seed(0)) < 0.2
    (-(positions * vertices).sum(1)[pushed].sum()).backward()
    optimiser.step()
    movement = ((positions.detach() - vertices) * vertices).sum(1)
    assert movement.min() > 0
    assert uniform_laplacian(movement[:, None], system.neighbours).abs().mean() < 0.2 * movement.mean()


def test_steps_are_those_of_adam_on_the_differential_positions(ball):
    """Nicolet's form, worked out in float64: u = M x is what Adam moves, with one second moment for all entries."""
    vertices, faces = ball
    system = Preconditioner(len(vertices), faces, 20.0)
    target = 1.2 * vertices.double() + 0.1
    positions = torch.nn.Parameter(vertices.double().clone())
    optimiser = PreconditionedAdam(positions, system, lr=0.01, betas=(0.9, 0.99))
    differential = system.multiply(vertices.double())
    first, second = torch.zeros_like(differential), torch.zeros_like(differential)
    for step in range(1, 6):
        positions.grad = 2.0 * (positions.detach() - target)
        optimiser.step()
        gradient = system.solve(2.0 * (system.solve(differential) - target))
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient.square()
        differential = differential - 0.01 * (first / (1 - 0.9**step)) / (second / (1 - 0.99**step)).amax().sqrt()
    assert torch.allclose(positions.detach(), system.solve(differential), atol=1e-9)
