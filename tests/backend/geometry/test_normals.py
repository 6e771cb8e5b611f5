import torch

from backend.geometry.implicit import SignedDistanceGrid
from backend.geometry.normals import face_normals, vertex_normals


def test_by_hand_and_where_there_is_no_area():
    vertices = torch.tensor([[0.0, 0, 0], [2, 0, 0], [0, 1, 0], [0, 0, 1], [9, 9, 9]], dtype=torch.float64)
    faces = torch.tensor(
        [[0, 1, 2], [0, 3, 1], [0, 0, 3]], dtype=torch.int32
    )  # areas 1, 1 and 0; normals +Z, +Y and none
    assert torch.equal(face_normals(vertices, faces), torch.tensor([[0.0, 0, 1], [0, 1, 0], [0, 0, 0]]).double())
    vertices[3, 2] = 3.0  # the second has three times the first one's area now
    vertices.requires_grad_()
    expected = torch.tensor([[0.0, 3, 1]]).double() / 10**0.5
    normals = vertex_normals(vertices, faces)
    assert torch.allclose(normals[:2], expected.expand(2, 3))
    assert torch.equal(normals[4].detach(), torch.tensor([0.0, 0, 1]).double())
    assert torch.autograd.gradcheck(lambda v: vertex_normals(v, faces[:2])[:4], (vertices,))


def test_sphere_points_outward_in_single_precision_even_when_tiny():
    surface = SignedDistanceGrid(16).surface()
    for scale in (1.0, 1e-3):
        normals = vertex_normals(surface.vertices * scale, surface.faces)
        outward = torch.nn.functional.normalize(surface.vertices, dim=1)
        assert (normals * outward).sum(1).min() > 0.98
