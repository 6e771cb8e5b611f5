import pytest
import torch

from backend.engines.cube_tables import crossing_loops
from backend.geometry import flexicubes, tetrahedra
from backend.geometry.clean import is_closed
from backend.geometry.lattice import Lattice
from backend.geometry.surface import Surface


def euler(surface: Surface) -> int:
    return surface.vertices.shape[0] - surface.faces.shape[0] * 3 // 2 + surface.faces.shape[0]


def volume(surface: Surface) -> float:
    a, b, c = surface.vertices[surface.faces.long()].unbind(1)
    return float((torch.linalg.cross(a, b) * c).sum() / 6)


def neutral(lattice: Lattice) -> torch.Tensor:
    return torch.zeros(lattice.cube_count, flexicubes.WEIGHTS)


def extract(method: str, lattice: Lattice, sdf: torch.Tensor) -> Surface:
    points = lattice.points(sdf.dtype)
    if method == "tetrahedra":
        return tetrahedra.extract(lattice, points, sdf)
    return flexicubes.extract(lattice, points, sdf, neutral(lattice), centres=method == "centres")


METHODS = pytest.mark.parametrize("method", ["centres", "diagonals", "tetrahedra"])


@METHODS
def test_sphere_and_torus_are_closed_outward_and_in_place(method):
    lattice = Lattice.make(24, 1.0)
    x, y, z = lattice.points().unbind(1)
    ball = extract(method, lattice, (x * x + y * y + z * z).sqrt() - 0.7)
    assert is_closed(ball.mesh()) and euler(ball) == 2
    assert volume(ball) == pytest.approx(4 / 3 * torch.pi * 0.7**3, rel=0.03)
    assert (ball.vertices.norm(dim=1) - 0.7).abs().max() < 0.1 * lattice.cell_size

    ring = extract(method, lattice, ((x.square() + y.square()).sqrt() - 0.6).hypot(z) - 0.25)
    assert is_closed(ring.mesh()) and euler(ring) == 0
    assert volume(ring) == pytest.approx(2 * torch.pi**2 * 0.6 * 0.25**2, rel=0.06)


@METHODS
def test_any_pattern_of_one_cube_gives_a_closed_surface(method):
    lattice = Lattice.make(3, 1.0)  # its middle cube's corners are the eight points within
    for case in range(256):
        sdf = torch.ones(4, 4, 4)
        for corner in range(8):
            if case >> corner & 1:
                sdf[1 + (corner & 1), 1 + (corner >> 1 & 1), 1 + (corner >> 2 & 1)] = -0.7
        surface = extract(method, lattice, sdf.flatten())
        assert is_closed(surface.mesh()), f"corner pattern {case}"
        assert surface.is_empty == (case == 0)
        assert volume(surface) > 0 or case == 0, f"corner pattern {case}"


@METHODS
@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9])
def test_noise_gives_a_closed_surface(method, share):
    lattice = Lattice.make(14, 1.0)
    sdf = torch.rand(lattice.point_count, generator=torch.Generator().manual_seed(1)) - share
    surface = extract(method, lattice, sdf)  # it touches the boundary, which is raised to the outside
    assert is_closed(surface.mesh())
    assert surface.vertices.abs().max() <= 1.0 and torch.isfinite(surface.regularity)


def test_noise_needs_the_turned_faces(monkeypatch):
    lattice = Lattice.make(14, 1.0)
    sdf = torch.rand(lattice.point_count, generator=torch.Generator().manual_seed(1)) - 0.5
    monkeypatch.setattr(flexicubes, "_turn_pinched", lambda lattice, tables, cases, cube: cases[cube].long())
    assert not is_closed(extract("diagonals", lattice, sdf).mesh())


def test_loops_by_hand():
    assert crossing_loops(0)[0] == [-1] * 12
    # corner 0 alone: its three edges, along x, y and z
    assert [edge for edge, loop in enumerate(crossing_loops(1)[0]) if loop == 0] == [0, 4, 8]
    # corners 0 and 7, no face in common: two loops; corners 0 and 3, across the face z = 0: two, and one when that face is turned
    assert max(crossing_loops(0b10000001)[0]) == 1
    assert max(crossing_loops(0b1001)[0]) == 1
    assert max(crossing_loops(0b1001, turned_face=4)[0]) == 0
    # all but those: one loop that passes that face twice
    loops, pinched = crossing_loops(0b11110110)
    assert (max(loops), pinched) == (0, 4)


def test_one_point_inside_by_hand():
    """Six edges crossed at a quarter of their length around one point: a box of eight dual vertices, each its three crossings' mean."""
    lattice = Lattice.make(2, 1.0)
    sdf = torch.full((27,), 3.0)
    sdf[13] = -1.0
    surface = flexicubes.extract(lattice, lattice.points(), sdf, neutral(lattice), centres=False)
    assert torch.allclose(surface.vertices.abs(), torch.full((8, 3), 0.25 / 3))
    assert surface.faces.shape == (12, 3) and float(surface.regularity) == pytest.approx(0.0, abs=1e-7)

    # alpha of 1.99 at the middle and 0.01 at the far ends of one cube moves its crossings to 1.99 / (1.99 + 0.03)
    weights = neutral(lattice)
    weights[7, :8] = -20.0
    weights[7, 0] = 20.0
    surface = flexicubes.extract(lattice, lattice.points(), sdf, weights, centres=False)
    assert torch.allclose(surface.vertices[7], torch.full((3,), 1.99 / 2.02 / 3), atol=1e-5)
    assert torch.allclose(surface.vertices[:7].abs(), torch.full((7, 3), 0.25 / 3))


@pytest.mark.parametrize("method", ["flexicubes", "tetrahedra"])
def test_gradients_are_finite_differences(method):
    torch.manual_seed(0)
    lattice = Lattice.make(4, 1.0)
    x = lattice.points(torch.float64)
    points = (x + 0.05 * torch.randn_like(x)).requires_grad_()
    sdf = (x.norm(dim=1) - 0.6 + 0.1 * torch.randn(len(x), dtype=torch.float64)).requires_grad_()
    weights = torch.randn(lattice.cube_count, flexicubes.WEIGHTS, dtype=torch.float64, requires_grad=True)

    def vertices(points, sdf, weights):
        if method == "tetrahedra":
            return tetrahedra.extract(lattice, points, sdf).vertices
        surface = flexicubes.extract(lattice, points, sdf, weights)
        return surface.vertices, surface.regularity

    inputs = (points, sdf, weights if method == "flexicubes" else None)
    assert torch.autograd.gradcheck(vertices, inputs, eps=1e-7, atol=1e-5, fast_mode=True)


def test_gamma_chooses_the_diagonal():
    """Gamma near 1 at two opposite corners of a quad, near 0 at the others: the centre lies between the first two, and so does the cut."""
    lattice = Lattice.make(2, 1.0)
    sdf = torch.full((27,), 3.0)
    sdf[13] = -1.0
    weights = torch.randn(8, flexicubes.WEIGHTS, generator=torch.Generator().manual_seed(0))
    even = [0, 3, 5, 6]  # the box's every face has two of these cubes, across from one another
    weights[:, -1] = -20.0
    weights[even, -1] = 20.0
    split = flexicubes.extract(lattice, lattice.points(), sdf, weights, centres=False)
    assert all(len(set(even) & set(face)) == 2 for face in split.faces.tolist())
    whole = flexicubes.extract(lattice, lattice.points(), sdf, weights)
    for quad in whole.faces.view(6, 4, 3):
        corners = [corner for corner in quad[:, 0].tolist() if corner in even]
        assert torch.allclose(whole.vertices[int(quad[0, 2])], whole.vertices[corners].mean(0), atol=1e-4)


def test_shapes_that_do_not_fit_are_refused():
    lattice = Lattice.make(4, 1.0)
    sdf = torch.ones(lattice.point_count)
    with pytest.raises(ValueError, match=r"\(64, 20\).*\(64, 21\)"):
        flexicubes.extract(lattice, lattice.points(), sdf, torch.zeros(64, 20))
    with pytest.raises(ValueError, match=r"\(124, 3\).*\(125, 3\)"):
        tetrahedra.extract(lattice, lattice.points()[1:], sdf)
    with pytest.raises(ValueError, match=r"\(64,\).*\(125,\)"):
        tetrahedra.extract(lattice, lattice.points(), sdf[:64])
