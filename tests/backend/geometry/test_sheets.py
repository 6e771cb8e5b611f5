import math

import pytest
import torch

from backend.geometry.clean import clean, decimate, is_closed
from backend.geometry.implicit import SignedDistanceGrid
from backend.geometry.mesh import Mesh
from backend.geometry.sheets import part_sheets

TETRAHEDRON = [[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]]


def volume(mesh: Mesh) -> float:
    a, b, c = mesh.vertices[mesh.faces.long()].unbind(1)
    return float((torch.linalg.cross(a, b) * c).sum() / 6)


@pytest.mark.parametrize("angle", [0.0, 1.0, 2.5, 4.0])  # where the angles about the edge are cut must not matter
def test_two_solids_that_share_an_edge_part_into_two(angle):
    cosine, sine = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    corners = (
        torch.tensor([[0.0, 0, 0], [1, 0, 0], [0.5, 1, 0.3], [0.5, 1, 1.3], [0.5, -1, -0.3], [0.5, -1, -1.3]]) @ turn.T
    )
    other = [[{0: 0, 1: 1, 2: 4, 3: 5}[corner] for corner in face] for face in TETRAHEDRON]
    both = Mesh(corners, torch.tensor(TETRAHEDRON + other, dtype=torch.int32))
    parted = part_sheets(both)
    assert not is_closed(both) and is_closed(parted)
    assert len(parted.vertices) == 8 and torch.equal(parted.vertices[parted.faces.long()], corners[both.faces.long()])
    solids = [set(parted.faces[:4].flatten().tolist()), set(parted.faces[4:].flatten().tolist())]
    assert not solids[0] & solids[1]


def test_solids_that_touch_at_a_vertex_part_and_a_single_one_stays():
    corners = torch.rand(7, 3, generator=torch.Generator().manual_seed(0))
    other = [[{0: 0, 1: 4, 2: 5, 3: 6}[corner] for corner in face] for face in TETRAHEDRON]
    parted = part_sheets(Mesh(corners, torch.tensor(TETRAHEDRON + other, dtype=torch.int32)))
    assert len(parted.vertices) == 8 and is_closed(parted)
    alone = Mesh(corners[:4], torch.tensor(TETRAHEDRON, dtype=torch.int32))
    same = part_sheets(alone)
    assert torch.equal(same.faces, alone.faces) and torch.equal(same.vertices, alone.vertices)


def test_a_ring_pinched_to_an_edge_gets_a_middle_on_one_side_of_it():
    # a square ring of 4 x 3 corners whose inner and outer edge were drawn together at one place
    ring = [
        (3 * i + k, 3 * i + (k + 1) % 3, 3 * ((i + 1) % 4) + k, 3 * ((i + 1) % 4) + (k + 1) % 3)
        for i in range(4)
        for k in range(3)
    ]
    faces = torch.tensor([face for a, b, c, d in ring for face in ((a, c, b), (b, c, d))], dtype=torch.int32)
    turn = torch.arange(4) * torch.pi / 2
    out = torch.tensor([1.0, 2.0, 1.5])
    corners = torch.stack(
        [turn.cos()[:, None] * out, turn.sin()[:, None] * out, torch.tensor([0.0, 0, 1]).expand(4, 3)], -1
    ).reshape(-1, 3)
    whole = Mesh(corners, faces)
    assert is_closed(whole) and volume(whole) != 0
    flat = faces.clone()
    flat[flat == 7] = 1  # corner 1 of the third side becomes that of the first: a vertex, and then edges, are shared
    pinched = Mesh(corners, flat)
    parted = part_sheets(pinched)
    assert is_closed(parted) and volume(parted) == pytest.approx(volume(pinched), rel=1e-5)


def test_a_sponge_is_decimated_to_its_budget_and_stays_closed():
    axis = torch.linspace(-1.0, 1.0, 33)
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    waves = (12 * x).sin() * (12 * y).cos() + (12 * y).sin() * (12 * z).cos() + (12 * z).sin() * (12 * x).cos()
    solid = (waves.abs() < 0.6) & (x**2 + y**2 + z**2 < 0.6)
    surface = SignedDistanceGrid.from_field(solid.float(), 32).surface(centres=False)
    mesh = Mesh(surface.vertices.detach(), surface.faces)
    assert is_closed(mesh) and len(mesh.faces) > 10_000
    for budget in (1500, 4000):
        small = decimate(mesh, budget)
        assert is_closed(small) and 0.9 * budget <= len(small.faces) <= budget
        assert clean(small)[1].triangles == 0
