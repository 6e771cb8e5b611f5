import pytest
import torch
from comparing import DEVICES, assert_matches, assert_threads_agree

from backend.engines.adjacency import edge_adjacency
from backend.engines.builtin.engine import BuiltinEngine
from backend.engines.interface import Capacity
from backend.geometry import flexicubes
from backend.geometry.clean import is_closed
from backend.geometry.lattice import Lattice

CPU = torch.device("cpu")


@pytest.fixture(params=DEVICES)
def engine(request):
    return BuiltinEngine(torch.device(request.param), threads=2)


def noise(cells, share, seed=0):
    """(lattice, displaced points, distances of which `share` are inside, up to the boundary, raw weights)."""
    lattice, random = Lattice.make(cells, 1.0), torch.Generator().manual_seed(seed)
    points = lattice.points() + 0.05 * lattice.cell_size * torch.randn(lattice.point_count, 3, generator=random)
    sdf = torch.rand(lattice.point_count, generator=random) - share
    return lattice, points, sdf, torch.randn(lattice.cube_count, flexicubes.WEIGHTS, generator=random)


def values(surface):
    scalars = torch.stack((30.0 * surface.regularity, surface.sign_changes))
    return torch.cat((surface.vertices.flatten(), scalars))


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9])
def test_values_and_gradients_are_those_of_plain_torch_and_the_surface_is_closed(engine, share):
    lattice, *inputs = noise(9, share)  # noise has pinched faces, loops of every kind, and meets the boundary
    assert_matches(
        lambda *given: values(engine.extract_surface(*given, lattice.cells)),
        lambda *given: values(flexicubes.extract(lattice, *given)),
        inputs,
        engine.launch.device,
    )
    made = engine.extract_surface(*(tensor.to(engine.launch.device) for tensor in inputs), lattice.cells)
    exact = flexicubes.extract(lattice, *inputs)
    assert torch.equal(made.faces.cpu(), exact.faces) and torch.equal(made.counts.cpu(), exact.counts)
    assert is_closed(flexicubes.Surface.exact(made.vertices, made.faces, made.regularity, made.sign_changes).mesh())


def gradients(engine, inputs, cells, capacity, weight):
    leaves = [tensor.to(engine.launch.device).requires_grad_() for tensor in inputs]
    made = engine.extract_surface(*leaves, cells, capacity)
    rows = min(len(weight), len(made.vertices))
    loss = (made.vertices[:rows] * weight[:rows].to(made.vertices)).sum() + made.regularity + made.sign_changes
    return made, torch.autograd.grad(loss + 1e3 * made.vertices[rows:].sum(), leaves)


def test_a_capacity_pads_and_changes_nothing(engine):
    lattice, *inputs = noise(9, 0.4)
    exact, wanted = gradients(engine, inputs, lattice.cells, None, weight := torch.randn(5000, 3))
    vertices, faces = exact.counts.tolist()
    roomy, found = gradients(engine, inputs, lattice.cells, Capacity(vertices + 77, faces + 12), weight[:vertices])
    assert roomy.counts.tolist() == [vertices, faces]
    assert torch.equal(roomy.vertices[:vertices], exact.vertices) and torch.equal(roomy.faces[:faces], exact.faces)
    assert not roomy.vertices[vertices:].any() and not roomy.faces[faces:].any()
    assert float(roomy.regularity.detach()) == pytest.approx(float(exact.regularity.detach()), rel=1e-5)
    for ours, theirs in zip(found, wanted, strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    across = edge_adjacency(roomy.faces)  # unused faces have no say in who is whose neighbour
    assert torch.equal(across[:faces], edge_adjacency(exact.faces)) and (across[faces:].div(3) >= faces).all()


@pytest.mark.parametrize("room", [(1.0, 0.5), (0.8, 1.0), (0.3, 1.0), (0.2, 0.1), (0.0, 0.0)])
def test_what_finds_no_room_is_left_out(engine, room):
    lattice, *inputs = noise(9, 0.4)
    exact, _ = gradients(engine, inputs, lattice.cells, None, weight := torch.randn(5000, 3))
    needed = exact.counts.tolist()
    duals = needed[0] - needed[1] // 4
    small = Capacity(int(room[0] * needed[0]), int(room[1] * needed[1]) // 4 * 4)
    made, found = gradients(engine, inputs, lattice.cells, small, weight)
    assert made.counts.tolist() == needed  # the truth, for whoever must make more room
    kept = max(0, min(small.faces // 4, small.vertices - duals))
    assert torch.equal(made.faces[: 4 * kept], exact.faces[: 4 * kept]) and not made.faces[4 * kept :].any()
    used = min(small.vertices, duals + kept)
    assert torch.equal(made.vertices[:used], exact.vertices[:used]) and not made.vertices[used:].any()
    assert all(torch.isfinite(gradient).all() for gradient in found)


def test_threads_give_the_same_bits():
    lattice, *inputs = noise(40, 0.5)  # enough cubes and vertices for several pieces of each kernel
    assert_threads_agree(
        lambda threads: lambda *given: values(BuiltinEngine(CPU, threads).extract_surface(*given, lattice.cells)),
        inputs,
    )


def test_nothing_inside_makes_nothing(engine):
    _, points, sdf, weights = noise(4, 0.0)
    made, found = gradients(engine, (points, sdf.abs() + 0.1, weights), 4, Capacity(64, 64), torch.ones(64, 3))
    assert made.counts.tolist() == [0, 0] and not made.faces.any() and not made.vertices.any()
    assert float(made.regularity.detach()) == float(made.sign_changes.detach()) == 0.0 and not any(
        gradient.any() for gradient in found
    )
    none = engine.extract_surface(*(t.to(engine.launch.device) for t in (points, sdf.abs() + 0.1, weights)), 4)
    assert none.vertices.shape == (0, 3) and none.faces.shape == (0, 3)


def test_capacity_leaves_slack_and_refusals_say_what_came():
    room = Capacity.of((9000, 100))
    assert room == Capacity(16384, 8192) and room.fits((16384, 8192)) and not room.fits((16385, 8))
    assert Capacity.of((9000, 100), slack=2.0) == Capacity(24576, 8192)
    with pytest.raises(ValueError, match=r"faces=6.*multiple of 4"):
        Capacity(8, 6)
    engine = BuiltinEngine(CPU, threads=1)
    lattice, points, sdf, weights = noise(4, 0.4)
    with pytest.raises(ValueError, match=r"sdf is \[64\].*expected \[125\]"):
        engine.extract_surface(points, sdf[:64], weights, 4)
    with pytest.raises(ValueError, match="cells is 600"):
        engine.extract_surface(points, sdf, weights, 600)
    with pytest.raises(ValueError, match=r"Capacity\(vertices=8, faces=8\).*expected None"):
        flexicubes.extract(lattice, points, sdf, weights, centres=False, engine=engine, capacity=Capacity(8, 8))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_replay_equals_eager():
    device = torch.device("cuda", 0)
    engine = BuiltinEngine(device)
    lattice, *given = noise(20, 0.4)
    leaves = [tensor.to(device).requires_grad_() for tensor in given]
    capacity = Capacity.of(engine.extract_surface(*leaves, lattice.cells).counts.tolist(), slack=1.5)

    def step():
        made = engine.extract_surface(*leaves, lattice.cells, capacity)
        across = edge_adjacency(made.faces)
        loss = made.vertices.square().sum() + made.regularity + made.sign_changes
        return [made.vertices.detach(), made.faces, made.counts, across, *torch.autograd.grad(loss, leaves)]

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        recorded = step()
    with torch.no_grad():  # another surface, larger than the recorded one
        leaves[0].mul_(0.9)
        leaves[1].sub_(0.05)
    graph.replay()
    for ours, eager in zip(recorded, step(), strict=True):
        assert torch.equal(ours, eager)  # every sum is gathered in one order
