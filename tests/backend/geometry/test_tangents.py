import pytest
import torch

from backend.geometry.implicit import SignedDistanceGrid
from backend.geometry.mesh import Mesh
from backend.geometry.normals import face_normals, vertex_normals
from backend.geometry.tangents import tangents

# an octahedron pulled out of shape, its upper half laid out from above, its lower half (mirrored) by the same plan, one triangle without
# area in the texture; tangents and signs as Blender 4.5's Mesh.calc_tangents gives them, for the normals below
VERTICES = [[1, 0, 0], [0, 1.2, 0], [-0.8, 0, 0.1], [0, -1, 0], [0, 0.1, 0.9], [0.1, 0, -1]]
FACES = [[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4], [1, 0, 5], [2, 1, 5], [3, 2, 5], [0, 3, 5]]
UVS_UP = [[0.9, 0.5], [0.5, 0.1], [0.1, 0.55], [0.5, 0.9], [0.55, 0.5], [0.5, 0.5]]
UV_FACES = [*FACES[:7], [0, 0, 5]]
NORMALS = [
    [0.99804, -0.04593, 0.04241],
    [-0.05147, 0.99864, -0.00794],
    [-0.99669, -0.04883, 0.06496],
    [-0.05531, -0.99815, 0.02521],
    [-0.02122, 0.02326, 0.99950],
    [0.00369, -0.03532, -0.99937],
]
BLENDER = [
    [[0.03967, -0.05905, -0.99747, -1], [0.99842, 0.05128, -0.02299, -1], [0.99699, -0.07407, 0.02289, -1]],
    [[0.99842, 0.05128, -0.02299, -1], [0.06910, -0.08860, 0.99367, -1], [0.99699, -0.07407, 0.02289, -1]],
    [[0.06910, -0.08860, 0.99367, -1], [0.99484, -0.05724, -0.08374, -1], [0.99699, -0.07407, 0.02289, -1]],
    [[0.99484, -0.05724, -0.08374, -1], [0.03967, -0.05905, -0.99747, -1], [0.99699, -0.07407, 0.02289, -1]],
    [[0.99141, 0.05014, -0.12076, 1], [-0.04035, 0.04491, 0.99818, 1], [0.99646, -0.08377, 0.00664, 1]],
    [[-0.05546, -0.17546, -0.98292, 1], [0.99141, 0.05014, -0.12076, 1], [0.99646, -0.08377, 0.00664, 1]],
    [[0.67277, -0.05591, -0.73773, 1], [-0.05546, -0.17546, -0.98292, 1], [0.99646, -0.08377, 0.00664, 1]],
]


def test_frames_are_blenders():
    uvs = torch.tensor(UVS_UP)
    uvs[:, 1] = 1.0 - uvs[:, 1]  # inside, v goes down
    mesh = Mesh(
        torch.tensor(VERTICES, dtype=torch.float32), torch.tensor(FACES).int(), uvs, torch.tensor(UV_FACES).int()
    )
    frames, index = tangents(mesh, torch.nn.functional.normalize(torch.tensor(NORMALS), dim=1))
    corners = frames[index.long()]
    assert torch.allclose(corners[:7], torch.tensor(BLENDER, dtype=torch.float32), atol=1e-4)
    assert torch.allclose(corners[7].norm(dim=1), torch.full((3,), 2**0.5))  # without area: a frame all the same


def test_a_mirrored_pair_by_hand():
    """Two triangles of a square facing +Z. The first has u along +X and v (up) along +Y; the second mirrors u and is its own chart."""
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32)
    up = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 0], [-1, 1], [0, 1]])
    uvs = torch.stack((up[:, 0], 1 - up[:, 1]), 1)
    frames, index = tangents(
        Mesh(vertices, faces, uvs, torch.arange(6).view(2, 3).int()), torch.tensor([[0.0, 0, 1]]).expand(4, 3)
    )
    corners = frames[index.long()]
    assert torch.allclose(corners[0], torch.tensor([1.0, 0, 0, 1]).expand(3, 4))
    assert torch.allclose(corners[1], torch.tensor([-1.0, 0, 0, -1]).expand(3, 4))


def test_frames_join_equal_texture_coordinates_and_stop_at_seams():
    """One plan for a whole ball: the two hemispheres are mirror images, so a vertex has one frame unless it is on the rim."""
    surface = SignedDistanceGrid(10).surface(centres=False)
    vertices = surface.vertices.detach()
    normals = vertex_normals(vertices, surface.faces)
    plan = vertices @ torch.tensor(
        [[0.5, 0.0], [0.0, 0.5], [0.06, -0.1]]
    )  # seen along (-0.12, 0.2, 1): no triangle edge on
    doubled = torch.cat((plan, plan))  # every texture coordinate twice, under another index
    which = torch.arange(surface.faces.shape[0])[:, None] % 2 * len(vertices)
    frames, index = tangents(Mesh(vertices, surface.faces, doubled, (surface.faces + which).int()), normals)
    corner = surface.faces.long()
    upper = face_normals(vertices, surface.faces) @ torch.tensor([-0.12, 0.2, 1.0])
    assert torch.equal(frames[index.long(), 3], torch.where(upper > 0, -1.0, 1.0)[:, None].expand(-1, 3))
    above = torch.zeros(len(vertices), dtype=torch.bool).index_fill(0, corner[upper > 0].flatten(), True)
    below = torch.zeros(len(vertices), dtype=torch.bool).index_fill(0, corner[upper <= 0].flatten(), True)
    pairs = torch.unique(torch.stack((corner.flatten(), index.long().flatten()), 1), dim=0)
    frames_at = torch.bincount(pairs[:, 0], minlength=len(vertices))
    assert len(pairs) == len(frames)  # no frame serves two vertices
    assert torch.equal(frames_at == 1, above != below)
    assert (frames[index.long(), :3] * normals[corner]).sum(2).abs().max() < 1e-5


def test_a_mesh_without_texture_coordinates_is_refused():
    mesh = Mesh(torch.zeros(3, 3), torch.tensor([[0, 1, 2]], dtype=torch.int32))
    with pytest.raises(ValueError, match="unwrap"):
        tangents(mesh, torch.zeros(3, 3))
