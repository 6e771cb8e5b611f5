import pytest
import torch

from backend.geometry.clean import clean, decimate, drop_floaters, is_closed, weld
from backend.geometry.implicit import SignedDistanceGrid
from backend.geometry.mesh import Mesh


def ball(radius: float, centre: tuple[float, float, float] = (0.0, 0.0, 0.0), cells: int = 16) -> Mesh:
    surface = SignedDistanceGrid(cells).surface(centres=False)
    vertices = surface.vertices.detach() * (radius / 0.5) + torch.tensor(centre)
    return Mesh(vertices, surface.faces)


def together(*meshes: Mesh) -> Mesh:
    faces, count = [], 0
    for mesh in meshes:
        faces.append(mesh.faces + count)
        count += len(mesh.vertices)
    return Mesh(torch.cat([mesh.vertices for mesh in meshes]), torch.cat(faces))


def test_floaters_and_cavities_go_and_the_rest_stays():
    cavity = ball(0.3)
    cavity = Mesh(cavity.vertices, cavity.faces.flip(1))
    scene = together(ball(0.05, (2, 0, 0)), ball(1.0), cavity, ball(0.5, (3, 0, 0)))
    kept, dropped = drop_floaters(scene, 0.05)  # the cavity's area is 0.09 of the largest
    triangles = len(ball(1.0).faces)
    assert len(kept.faces) == 2 * triangles and is_closed(kept)
    assert len(kept.vertices) == 2 * len(ball(1.0).vertices)
    assert kept.vertices[:, 0].max() > 3.4 and not ((kept.vertices[:, 0] > 1.2) & (kept.vertices[:, 0] < 2.4)).any()
    assert (dropped.components, dropped.triangles) == (2, 2 * triangles)
    assert dropped.area == pytest.approx((0.05**2 + 0.3**2) / (0.05**2 + 1 + 0.3**2 + 0.5**2), rel=1e-3)
    empty = Mesh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int32))
    assert drop_floaters(empty)[0] is empty


def test_weld_joins_a_box_of_loose_sides_and_keeps_its_texture_coordinates():
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3)
    quads = torch.tensor([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    loose = corners[quads.flatten()] + 1e-5 * torch.rand(24, 3, generator=torch.Generator().manual_seed(0))
    order = torch.arange(24, dtype=torch.int32).view(6, 4)
    faces = torch.cat((order[:, [0, 1, 2]], order[:, [0, 2, 3]]))
    box = Mesh(loose, faces, torch.rand(24, 2), faces)
    assert not is_closed(box)
    welded = weld(box, 1e-2)
    assert len(welded.vertices) == 8 and is_closed(welded)
    assert torch.equal(welded.uvs[welded.uv_faces.long()], box.uvs[box.uv_faces.long()])


def test_clean_leaves_what_is_clean_and_removes_the_rest():
    whole = ball(1.0)
    same, dropped = clean(whole)
    assert (
        torch.equal(same.faces, whole.faces) and torch.equal(same.vertices, whole.vertices) and dropped.triangles == 0
    )
    a, b, c = whole.faces[5].tolist()
    far = len(whole.vertices)
    extra = torch.tensor(
        [
            [b, c, a],  # face 5 again, begun elsewhere
            [a, a, b],  # a corner twice
            [a, b, far],  # a third triangle at an edge, the smallest
            [far, far + 1, far + 2],  # two back to back
            [far, far + 2, far + 1],
        ],
        dtype=torch.int32,
    )
    near = 0.5 * (whole.vertices[a] + whole.vertices[b]) * 1.001
    vertices = torch.cat((whole.vertices, near[None], torch.eye(3)[:2] * 3))
    mended, dropped = clean(Mesh(vertices, torch.cat((whole.faces, extra))))
    assert dropped.triangles == 5
    assert torch.equal(mended.faces, whole.faces) and torch.equal(mended.vertices, whole.vertices)


def test_decimation_stays_closed_and_near():
    mesh = ball(1.0, cells=32)
    small = decimate(mesh, 400)
    assert is_closed(small) and small.faces.dtype == torch.int32
    assert 380 <= len(small.faces) <= 400
    assert (small.vertices.norm(dim=1) - 1.0).abs().max() < 0.02
    a, b, c = small.vertices[small.faces.long()].unbind(1)
    assert (torch.linalg.cross(a, b) * c).sum() / 6 == pytest.approx(4 / 3 * torch.pi, rel=0.03)
    assert torch.equal(decimate(mesh, 100_000).faces, mesh.faces)
    with pytest.raises(ValueError, match="budget of 3"):
        decimate(mesh, 3)
