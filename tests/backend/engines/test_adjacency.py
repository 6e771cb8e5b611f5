import pytest
import torch
from shapes import icosphere

from backend.engines.adjacency import edge_adjacency


def test_two_triangles_by_hand():
    across = edge_adjacency(torch.tensor([[0, 1, 2], [3, 2, 1]]))  # share edge 1-2: opposite corner 0 of both
    assert across.tolist() == [[3, -1, -1], [0, -1, -1]]
    assert across.dtype == torch.int32


def test_closed_mesh_pairs_every_edge_with_its_twin():
    _, faces = icosphere(3)
    faces = faces[torch.randperm(len(faces), generator=torch.Generator().manual_seed(1))]
    across = edge_adjacency(faces).long().view(-1)
    own = torch.arange(len(across))
    assert (across >= 0).all()
    assert torch.equal(across[across], own) and (across // 3 != own // 3).all()
    ends = torch.stack((faces[:, [1, 2, 0]], faces[:, [2, 0, 1]]), -1).view(-1, 2)
    assert torch.equal(ends[across], ends.flip(1))  # wound the same way round


def test_an_edge_of_three_triangles_leaves_the_last_open():
    across = edge_adjacency(torch.tensor([[0, 1, 2], [0, 1, 3], [1, 0, 4]]))
    assert across[:, 2].tolist() == [5, 2, -1]


def test_runs_of_any_length_pair_up_in_the_order_of_their_triangles():
    faces = torch.randint(0, 9, (300, 3), generator=torch.Generator().manual_seed(0))  # each edge some twenty times
    waiting, expected = {}, [-1] * 900
    for own in range(900):
        triangle, corner = divmod(own, 3)
        edge = frozenset(faces[triangle, [(corner + 1) % 3, (corner + 2) % 3]].tolist())
        other = waiting.pop(edge, None)
        if other is None:
            waiting[edge] = own
        else:
            expected[own], expected[other] = other, own
    assert edge_adjacency(faces).view(-1).tolist() == expected


def test_unused_faces_are_nobodys_neighbours():
    _, faces = icosphere(1)
    padded = torch.cat((faces, torch.zeros(7, 3, dtype=faces.dtype)))  # vertex 0 is in use
    across = edge_adjacency(padded)
    assert torch.equal(across[: len(faces)], edge_adjacency(faces))
    unused = across[len(faces) :]
    assert ((unused == -1) | (unused >= 3 * len(faces))).all()


def test_empty_and_wrong_faces():
    assert edge_adjacency(torch.empty((0, 3), dtype=torch.int32)).shape == (0, 3)
    with pytest.raises(ValueError, match=r"\[4, 2\].*expected \[T, 3\]"):
        edge_adjacency(torch.zeros((4, 2), dtype=torch.int32))
