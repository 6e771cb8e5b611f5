import pytest
import torch
from comparing import DEVICES

from backend.engines.builtin.launch import Launcher
from backend.engines.builtin.rays import BuiltinRayMesh
from backend.engines.reference import rays as oracle

CPU = torch.device("cpu")
FAR = float("inf")
SQUARE = torch.tensor([[-1.0, -1.0, 0.0], [1.0, -1.0, 0.0], [1.0, 1.0, 0.0], [-1.0, 1.0, 0.0]])
SQUARE_FACES = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32)


@pytest.fixture(params=DEVICES)
def launch(request):
    return Launcher(torch.device(request.param), threads=2)


def soup(seed=0):
    """Vertices [120, 3], faces [200, 3] that cut each other anyhow, rays of any length [3000, 3] twice."""
    random = torch.Generator().manual_seed(seed)
    vertices = torch.randn(120, 3, generator=random)
    faces = torch.stack([torch.randperm(120, generator=random)[:3] for _ in range(200)]).int()
    return vertices, faces, torch.randn(3000, 3, generator=random), torch.randn(3000, 3, generator=random)


@pytest.mark.parametrize("far", [FAR, 0.7])
def test_closest_hits_equal_brute_force(launch, far):
    scene = soup()
    vertices, faces, origins, directions = (tensor.to(launch.device) for tensor in scene)
    distance, triangle = BuiltinRayMesh(vertices, faces, launch).closest(origins, directions, far)
    exact, want = oracle.closest_hits(*scene, far)
    assert triangle.dtype == torch.int32 and 100 < (want >= 0).sum() < 2999  # both hits and misses are among them
    assert (triangle.cpu() != want).sum() <= 3  # rays through an edge, or two triangles, within rounding
    same = (triangle.cpu() == want) & (want >= 0)
    torch.testing.assert_close(distance.cpu()[same].double(), exact[same], rtol=1e-4, atol=1e-5)
    assert distance[triangle < 0].isinf().all()


@pytest.mark.parametrize(("near", "far"), [(0.0, FAR), (0.3, FAR), (0.3, 0.6)])
def test_occlusion_equals_brute_force(launch, near, far):
    scene = soup(1)
    vertices, faces, origins, directions = (tensor.to(launch.device) for tensor in scene)
    occluded = BuiltinRayMesh(vertices, faces, launch).occluded(origins, directions, near, far).cpu()
    want = oracle.occluded(*scene, near, far)
    assert occluded.dtype == torch.bool and 100 < want.sum() < 2900
    assert (occluded != want).sum() <= 3


def test_distances_bounds_and_sides_by_hand_before_and_after_a_refit(launch):
    mesh = BuiltinRayMesh(SQUARE.to(launch.device), SQUARE_FACES.to(launch.device), launch)
    origins = torch.tensor([[0.5, 0.0, 2.0], [-0.5, 0.0, -2.0], [3.0, 0.0, 2.0]], device=launch.device)
    directions = torch.tensor([[0.0, 0.0, -2.0], [0.0, 0.0, 1.0], [0.0, 0.0, -1.0]], device=launch.device)
    distance, triangle = mesh.closest(origins, directions, FAR)
    assert distance.tolist() == pytest.approx([1.0, 2.0, FAR]) and triangle.tolist() == [
        0,
        1,
        -1,
    ]  # in lengths of the direction
    assert mesh.occluded(origins, directions, 1.5, FAR).tolist() == [False, True, False]
    assert mesh.occluded(origins, directions, 0.0, 1.5).tolist() == [True, False, False]
    mesh.refit((SQUARE + torch.tensor([2.5, 0.0, 1.0])).to(launch.device))
    distance, triangle = mesh.closest(origins, directions, FAR)
    assert distance.tolist() == pytest.approx([FAR, FAR, 1.0]) and triangle.tolist() == [-1, -1, 0]


def test_later_changes_of_the_callers_vertices_do_not_move_the_mesh(launch):
    vertices = SQUARE.clone().to(launch.device)
    mesh = BuiltinRayMesh(vertices, SQUARE_FACES.to(launch.device), launch)
    vertices += 10.0
    origin = torch.tensor([[0.5, 0.0, 1.0]], device=launch.device)
    assert mesh.closest(origin, -origin, FAR)[0].isfinite().all()


def test_threads_give_the_same_bits():
    vertices, faces, origins, directions = soup()
    origins, directions = origins.repeat(5, 1), directions.repeat(5, 1)
    results = []
    for threads in (1, 2, 7):
        mesh = BuiltinRayMesh(vertices, faces, Launcher(CPU, threads))
        results.append([*mesh.closest(origins, directions, FAR), mesh.occluded(origins, directions, 0.1, 1.0)])
    for other in results[1:]:
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(other, results[0], strict=True))


def test_no_triangles_and_no_rays(launch):
    none = torch.zeros(0, 3, device=launch.device)
    rays = torch.ones(4, 3, device=launch.device)
    empty = BuiltinRayMesh(none, none.int(), launch)
    empty.refit(none)
    distance, triangle = empty.closest(rays, rays, FAR)
    assert distance.isinf().all() and (triangle == -1).all() and not empty.occluded(rays, rays, 0.0, FAR).any()
    mesh = BuiltinRayMesh(SQUARE.to(launch.device), SQUARE_FACES.to(launch.device), launch)
    assert mesh.closest(none, none, FAR)[0].shape == (0,) and mesh.occluded(none, none, 0.0, FAR).shape == (0,)


def test_refusals_name_the_argument_what_came_and_what_was_expected():
    launch = Launcher(CPU, threads=1)
    with pytest.raises(ValueError, match=r"faces is .*int64.*expected \[any, 3\] torch.int32"):
        BuiltinRayMesh(SQUARE, SQUARE_FACES.long(), launch)
    with pytest.raises(ValueError, match="vertices 0 to 4; expected 0 to 3"):
        BuiltinRayMesh(SQUARE, torch.tensor([[0, 1, 4]], dtype=torch.int32), launch)
    mesh = BuiltinRayMesh(SQUARE, SQUARE_FACES, launch)
    with pytest.raises(ValueError, match=r"vertices is \[5, 3\].*expected \[4, 3\]"):
        mesh.refit(torch.zeros(5, 3))
    with pytest.raises(ValueError, match=r"directions is \[2, 3\].*expected \[3, 3\]"):
        mesh.closest(torch.zeros(3, 3), torch.zeros(2, 3), FAR)
