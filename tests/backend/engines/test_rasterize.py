import pytest
import torch
from shapes import DEVICES, box, cameras, clip, close, icosphere

from backend.engines.builtin import rasterize
from backend.engines.builtin.launch import Launcher
from backend.engines.reference import rasterize as reference
from backend.engines.select import select_engine

EDGE, DEPTH = 1e-5, 1e-6  # nearer than this to an edge or to one another, float32 may decide otherwise


def scene(name):
    if name == "box from inside":  # every triangle crosses the near plane of some camera
        vertices, faces = box()
        return clip(vertices.float(), cameras(3, distance=0.5, fov=1.4)), faces, (48, 40)
    vertices, faces = icosphere(2)
    inner = torch.cat((vertices, 0.6 * vertices.roll(1, 1)))  # two surfaces: four layers and more
    return clip(inner.float(), cameras(3, distance=2.5)), torch.cat((faces, faces + len(vertices))), (30, 42)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["box from inside", "two shells"])
def test_every_layer_equals_a_float64_list_of_all_hits(name, device):
    positions, faces, size = scene(name)
    expected = reference.all_layers(positions, faces, size)
    engine = select_engine("builtin", torch.device(device))
    depth = expected.depth
    gap = (depth[..., 1:] - depth[..., :-1]).nan_to_num(1.0).amin(-1)
    clear = (expected.margin > EDGE) & (gap > DEPTH)
    assert clear.float().mean() > 0.99
    raster, deepest = None, int((expected.triangle >= 0).sum(-1).max())
    for layer in range(deepest + 1):
        raster = engine.rasterize(positions.to(device), faces.to(device), size, raster)
        found = raster.triangle.cpu()
        assert torch.equal(found[clear].long(), expected.triangle[..., layer][clear]), f"layer {layer}"
        assert torch.equal(raster.barycentric[..., 3].cpu(), (found >= 0).float())
    assert deepest >= (1 if name == "box from inside" else 4)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("on_centres", [False, True])
def test_every_pixel_of_a_sheet_is_hit_exactly_once(on_centres, device):
    cells, random = 40, torch.Generator().manual_seed(0)
    x, y = torch.meshgrid(*2 * (torch.linspace(-1.2, 1.2, cells + 1, dtype=torch.float64),), indexing="xy")
    points = torch.stack((x, y), -1) + (torch.rand((*x.shape, 2), generator=random) - 0.5) * 0.016
    if on_centres:  # vertices, and with them edges, through pixel centres
        points = (points * 64).round() / 64 + 1 / 256
    w = torch.rand((*x.shape, 1), generator=random, dtype=torch.float64) * 2.5 + 0.5
    if on_centres:
        w = 2.0 ** w.round()  # powers of two: the centres stay exact
    positions = torch.cat((points * w, torch.zeros_like(w), w), -1).view(1, -1, 4).float().to(device)
    n = torch.arange((cells + 1) ** 2).view(cells + 1, cells + 1)
    halves = [(n[:-1, :-1], n[:-1, 1:], n[1:, :-1]), (n[1:, 1:], n[1:, :-1], n[:-1, 1:])]
    faces = torch.cat([torch.stack(half, -1).view(-1, 3) for half in halves]).int().to(device)
    faces[::3] = faces[::3, [0, 2, 1]]  # either winding
    engine = select_engine("builtin", torch.device(device))
    first = engine.rasterize(positions, faces, (256, 256))
    assert int((first.triangle < 0).sum()) == 0
    assert int((engine.rasterize(positions, faces, (256, 256), first).triangle >= 0).sum()) == 0


@pytest.mark.parametrize("device", DEVICES)
def test_the_order_of_triangles_does_not_matter(device):
    positions, faces, size = scene("two shells")
    order = torch.randperm(len(faces), generator=torch.Generator().manual_seed(2))
    engine = select_engine("builtin", torch.device(device))
    plain = engine.rasterize(positions.to(device), faces.to(device), size)
    mixed = engine.rasterize(positions.to(device), faces[order].to(device), size)
    ids = mixed.triangle.cpu().long()
    assert torch.equal(torch.where(ids >= 0, order[ids.clamp(min=0)], -1), plain.triangle.cpu().long())
    assert torch.equal(mixed.barycentric, plain.barycentric)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["box from inside", "two shells"])
def test_coordinates_their_slopes_and_adjoint_equal_float64(name, device):
    positions, faces, size = scene(name)
    positions = positions.to(device).requires_grad_()
    engine = select_engine("builtin", torch.device(device))
    raster = engine.rasterize(positions, faces.to(device), size, derivatives=True)
    exact = positions.detach().double().requires_grad_()
    values, slopes = reference.barycentric(exact, faces.to(device), raster.triangle)
    close(raster.barycentric.detach(), values.detach(), 2e-5)
    close(raster.derivatives, slopes, 1e-4)
    weight = torch.randn(values.shape, generator=torch.Generator().manual_seed(3)).to(device)
    raster.barycentric.backward(weight)
    values.backward(weight.double())
    close(positions.grad, exact.grad, 1e-4)


@pytest.mark.parametrize("threads", [2, 7])
def test_threads_do_not_change_a_bit(threads):
    positions, faces, size = scene("two shells")
    results = []
    for count in (1, threads):
        engine, leaf = select_engine("builtin", torch.device("cpu"), count), positions[:1].clone().requires_grad_()
        raster = engine.rasterize(leaf, faces, size, derivatives=True)
        raster.barycentric.square().sum().backward()
        results.append((raster.barycentric, raster.triangle, raster.derivatives, raster.depth_key, leaf.grad))
    assert all(torch.equal(a, b) for a, b in zip(*results))


@pytest.mark.parametrize("device", DEVICES)
def test_triangle_numbers_beyond_float_precision(device):
    number = 2**24 + 1  # the first integer float32 cannot hold
    faces = torch.zeros((number + 1, 3), dtype=torch.int32, device=device)
    faces[number] = torch.tensor([1, 2, 3])
    positions = torch.tensor([[[0, 0, 0, -1], [-3, -1, 0, 1], [1, -1, 0, 1], [1, 3, 0, 1.0]]], device=device)
    engine = select_engine("builtin", torch.device(device))
    raster = engine.rasterize(positions, faces, (2, 2))
    assert raster.triangle.unique().tolist() == [number]
    values = engine.interpolate(positions[0, :, :2].contiguous(), faces, raster.barycentric, raster.triangle)
    assert values.flatten().tolist() == pytest.approx(
        [-0.5, -0.5, 0.5, -0.5, -0.5, 0.5, 0.5, 0.5]
    )  # the centres themselves


@pytest.mark.parametrize("capacity", [1 << 12, 300, 5])
def test_the_gpu_s_tile_queue_covers_the_same_pixels_even_when_it_is_full(capacity):
    vertices, faces = icosphere(1)
    positions = clip(torch.cat((vertices, 4 * box()[0])).float(), cameras(2, fov=1.2))
    faces = torch.cat((faces, box()[1] + len(vertices)))
    launch = Launcher(torch.device("cpu"), 1)
    front = None
    for _ in range(2):  # the layer in front, then the one behind it
        keys = [torch.full((2, 150, 130), -1) for _ in range(2)]
        rasterize._cover_by_bands(positions, faces, keys[0], front, launch)
        rasterize._cover_by_queue(positions, faces, keys[1], front, launch, capacity)
        assert (keys[0] != -1).any() and torch.equal(*keys)
        front = keys[0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_equals_the_cpu_with_large_and_small_triangles():
    vertices, faces = icosphere(4)
    room, walls = box()
    positions = clip(torch.cat((vertices, 4 * room)).float(), cameras(2, fov=1.2))
    faces = torch.cat((faces, walls + len(vertices)))
    rasters = [
        select_engine("builtin", torch.device(d)).rasterize(positions.to(d), faces.to(d), (300, 260), derivatives=True)
        for d in ("cpu", "cuda")
    ]
    assert torch.equal(rasters[0].triangle, rasters[1].triangle.cpu())
    close(rasters[1].barycentric.cpu(), rasters[0].barycentric, 1e-5)
    close(rasters[1].derivatives.cpu(), rasters[0].derivatives, 1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_nothing_to_see(device):
    engine = select_engine("builtin", torch.device(device))
    none = torch.empty((0, 3), dtype=torch.int32, device=device)
    for positions in (torch.empty((2, 0, 4), device=device), torch.rand((2, 5, 4), device=device).requires_grad_()):
        raster = engine.rasterize(positions, none, (4, 3), derivatives=True)
        assert raster.triangle.shape == (2, 4, 3) and (raster.triangle == -1).all()
        assert not raster.barycentric.any() and not raster.derivatives.any()
    raster.barycentric.sum().backward()
    assert not positions.grad.any()
    one = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=device)
    assert engine.rasterize(positions, one, (0, 3)).triangle.shape == (2, 0, 3)
    unknown = torch.full((1, 3, 4), torch.nan, device=device)
    assert (engine.rasterize(unknown, one, (4, 4)).triangle == -1).all()


@pytest.mark.parametrize("device", DEVICES)
def test_inputs_need_not_be_contiguous(device):
    positions, faces, size = scene("two shells")
    positions, faces = positions.to(device), faces.to(device)
    engine = select_engine("builtin", torch.device(device))
    plain = engine.rasterize(positions, faces, size)
    strided = engine.rasterize(
        positions.permute(2, 1, 0).contiguous().permute(2, 1, 0), faces.t().contiguous().t(), size
    )
    assert torch.equal(plain.barycentric, strided.barycentric)


def test_wrong_inputs_are_refused_with_what_came_and_what_was_expected():
    engine = select_engine("auto", torch.device("cpu"))
    positions, faces = torch.rand((1, 3, 4)), torch.tensor([[0, 1, 2]], dtype=torch.int32)
    with pytest.raises(ValueError, match=r"positions is \[3, 4\] .* expected \[any, any, 4\] torch.float32"):
        engine.rasterize(positions[0], faces, (4, 4))
    with pytest.raises(ValueError, match=r"faces is \[1, 3\] torch.int64 .* expected \[any, 3\] torch.int32"):
        engine.rasterize(positions, faces.long(), (4, 4))
    with pytest.raises(ValueError, match="faces holds indices 0 to 3; expected 0 to 2"):
        engine.rasterize(positions, faces + torch.tensor([[0, 0, 1]], dtype=torch.int32), (4, 4))
    with pytest.raises(ValueError, match="-1 x 4 pixels"):
        engine.rasterize(positions, faces, (-1, 4))
    front = engine.rasterize(positions, faces, (4, 4))
    with pytest.raises(ValueError, match=r"depth_key is \[1, 4, 4\] .* expected \[1, 4, 5\]"):
        engine.rasterize(positions, faces, (4, 5), front)
    with pytest.raises(ValueError, match="engine is 'opengl'; known engines: auto, builtin"):
        select_engine("opengl", torch.device("cpu"))
