import pytest
import torch
from solids import as_mesh, ball

from backend.bake.texels import texel_surface
from backend.bake.unseen import fill_unseen, seen_texels
from backend.bake.unwrap import unwrap
from backend.dataset.views import Cameras
from backend.engines.select import select_engine
from backend.geometry.mesh import Mesh

SIZE = 128
CANVAS = (128, 160)


@pytest.fixture(scope="module")
def engine():
    return select_engine("builtin", torch.device("cpu"), 1)


@pytest.fixture(scope="module")
def mesh():
    return unwrap(ball(bump=0.0), SIZE, 2, 0.01).mesh


def camera_on_x(distance=4.0, sizes=CANVAS, centre=(80.0, 64.0)):
    """Looks from +X at the origin, Z up in the image."""
    pose = torch.eye(4)
    pose[:3, :3] = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    pose[0, 3] = distance
    intrinsics = torch.tensor([[200.0, 200.0, *centre]])
    return Cameras(pose[None], intrinsics, torch.tensor([sizes]))


def test_a_ball_shows_the_cap_before_its_horizon(engine, mesh):
    """From distance d a unit ball shows x > 1 / d; grazing texels near the horizon don't count, far ones surely do."""
    texels = texel_surface(engine, mesh, SIZE)
    seen = seen_texels(engine, mesh, texels, camera_on_x(4.0), CANVAS)
    x = texels.positions[:, 0]
    assert seen[x > 0.45].all()
    assert not seen[x < 0.25].any()


def test_a_screen_hides_what_is_behind_it(engine, mesh):
    """A wall before the camera covers the half y > 0 of the ball."""
    wall = torch.tensor([[2.0, 0.0, -3.0], [2.0, 3.0, -3.0], [2.0, 3.0, 3.0], [2.0, 0.0, 3.0]])
    count = mesh.vertices.shape[0]
    screened = Mesh(
        torch.cat([mesh.vertices, wall]),
        torch.cat([mesh.faces, torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32) + count]),
    )
    texels = texel_surface(engine, mesh, SIZE)
    seen = seen_texels(engine, screened, texels, camera_on_x(4.0), CANVAS)
    front = texels.positions[:, 0] > 0.5
    assert not seen[front & (texels.positions[:, 1] > 0.05)].any()
    assert seen[front & (texels.positions[:, 1] < -0.05)].all()


def test_what_is_beyond_the_image_is_not_seen(engine, mesh):
    """The camera's own image is the left half of the canvas: only y < 0 falls into it."""
    texels = texel_surface(engine, mesh, SIZE)
    seen = seen_texels(engine, mesh, texels, camera_on_x(4.0, sizes=(128, 80)), CANVAS)
    front = texels.positions[:, 0] > 0.5
    assert not seen[front & (texels.positions[:, 1] > 0.02)].any()
    assert seen[front & (texels.positions[:, 1] < -0.02)].all()


def test_filled_values_continue_the_seen_ones_over_the_surface(engine, mesh):
    """Black above the equator's band, white below, nothing known between: the fill is a monotone ramp from one to the other."""
    texels = texel_surface(engine, mesh, SIZE)
    z = texels.positions[:, 2]
    values = (z < 0).float()[:, None].repeat(1, 2)
    seen = z.abs() > 0.5
    values[~seen] = 77.0
    filled = fill_unseen(values, seen, texels, mesh)
    assert torch.equal(filled[seen], values[seen])
    assert filled.min() >= 0
    assert filled.max() <= 1
    means = torch.stack([filled[(z > low) & (z <= low + 0.1), 0].mean() for low in (-0.4, -0.2, 0.0, 0.2, 0.3)])
    assert (means.diff() < 0).all()
    assert means[0] > 0.7
    assert means[-1] < 0.3


def test_a_piece_nobody_saw_takes_the_mean(engine, mesh):
    count = mesh.vertices.shape[0]
    two = as_mesh(
        torch.cat([mesh.vertices, mesh.vertices + torch.tensor([5.0, 0.0, 0.0])]),
        torch.cat([mesh.faces, mesh.faces + count]),
    )
    two = unwrap(two, SIZE, 1, 0.01).mesh
    texels = texel_surface(engine, two, SIZE)
    far = texels.positions[:, 0] > 2.5
    values = torch.where(far, 9.0, 0.25 + 0.1 * texels.positions[:, 1].sign())[:, None]
    filled = fill_unseen(values, ~far, texels, two)
    assert torch.allclose(filled[far], values[~far].mean(), atol=1e-5)
    assert torch.equal(fill_unseen(values, torch.zeros_like(far), texels, two), values)
