import pytest
import torch
from shapes import DEVICES, cameras, clip, close, icosphere
from torch.nn import functional as F

from backend.engines.adjacency import edge_adjacency
from backend.engines.reference import antialias as reference
from backend.engines.select import select_engine


def scene(device, threads=None, images=3, level=3):
    vertices, faces = icosphere(level)
    vertices = torch.cat((vertices, 0.3 * vertices + torch.tensor([0.5, 0.5, 0.3])))  # a small one before the large
    faces = torch.cat((faces, faces + len(vertices) // 2)).to(device)
    positions = clip(vertices.float(), cameras(images)).to(device)
    engine = select_engine("builtin", torch.device(device), threads)
    raster = engine.rasterize(positions, faces, (72, 64))
    color = torch.rand((images, 72, 64, 3), generator=torch.Generator().manual_seed(0)).to(device)
    return engine, color, raster, positions, faces, edge_adjacency(faces)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("walk, level", [(0, 1), (8, 3)])
def test_image_and_adjoints_equal_float64(walk, level, device):
    engine, color, raster, positions, faces, adjacency = scene(device, level=level)
    weight = torch.randn(color.shape, generator=torch.Generator().manual_seed(1)).to(device)
    c, p = color.clone().requires_grad_(), positions.clone().requires_grad_()
    ours = engine.antialias(c, raster, p, faces, adjacency, walk)
    ours.backward(weight)
    c64, p64 = (t.double().requires_grad_() for t in (color, positions))
    exact = reference.antialias(c64, raster.triangle, raster.barycentric[..., 2], p64, faces, adjacency, walk)
    exact.backward(weight.double())
    assert (exact - color).abs().amax(-1).gt(0.01).sum() > 200  # silhouettes were found
    close(ours.detach(), exact.detach(), 1e-4)
    close(c.grad, c64.grad, 1e-4)
    close(p.grad, p64.grad, 2e-4)


@pytest.mark.parametrize("level, walk", [(1, 8), (2, 8), (3, 8), (4, 8), (5, 32)])
def test_the_gradient_of_a_mask_is_its_finite_difference(level, walk):
    """Down to triangles of 1.5 pixels, where looking at the visible triangle alone (walk 0) gives 0.006 of it."""
    pixels, samples, step = 192, 6, 0.01
    vertices, faces = icosphere(level)
    adjacency, camera = edge_adjacency(faces), cameras(1)
    engine = select_engine("builtin", torch.device("cpu"))
    random = torch.rand((1, 1, 12, 12), generator=torch.Generator().manual_seed(0))
    smooth = F.interpolate(random, size=(pixels, pixels), mode="bicubic")
    fine = F.interpolate(smooth, scale_factor=samples, mode="nearest")[0, 0] / samples**2

    def area(points):
        raster = engine.rasterize(clip(points.float(), camera), faces, fine.shape)
        return fine[raster.triangle[0] >= 0].double().sum()

    leaf = vertices.float().requires_grad_()
    positions = clip(leaf, camera)
    raster = engine.rasterize(positions.detach(), faces, (pixels, pixels))
    mask = raster.barycentric[..., 3:]
    (engine.antialias(mask, raster, positions, faces, adjacency, walk)[0, ..., 0] * smooth[0, 0]).sum().backward()
    for move in (
        vertices,
        torch.stack((torch.sin(3 * vertices[:, 1]), torch.cos(2 * vertices[:, 2]), 0 * vertices[:, 0]), 1),
    ):
        expected = (area(vertices + step * move) - area(vertices - step * move)) / (2 * step)
        ratio = ((leaf.grad * move).sum() / expected).item()
        assert 0.95 < ratio < 1.05


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("threads", [2, 7])
def test_threads_do_not_change_a_bit(threads, images):
    results = []
    for count in (1, threads):
        engine, color, raster, positions, faces, adjacency = scene("cpu", count, images)
        c, p = color.requires_grad_(), positions.requires_grad_()
        out = engine.antialias(c, raster, p, faces, adjacency)
        out.square().sum().backward()
        results.append((out, c.grad, p.grad))
    assert all(torch.equal(a, b) for a, b in zip(*results))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_equals_the_cpu():
    results = []
    for device in ("cpu", "cuda"):
        engine, color, raster, positions, faces, adjacency = scene(device)
        c, p = color.requires_grad_(), positions.requires_grad_()
        out = engine.antialias(c, raster, p, faces, adjacency)
        out.square().sum().backward()
        results.append([t.detach().cpu() for t in (out, c.grad, p.grad)])
    for a, b in zip(*results):
        close(b, a, 1e-5)


@pytest.mark.parametrize("device", DEVICES)
def test_an_open_edge_by_hand(device):
    """A half plane that ends 2.8 pixels from the left: the third pixel is covered to 0.8."""
    x = 2.8 / 4 * 2 - 1
    positions = torch.tensor([[[-9, -9, 0, 1], [x, -9, 0, 1], [x, 9, 0, 1], [-9, 9, 0, 1.0]]], device=device)
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32, device=device)
    engine = select_engine("builtin", torch.device(device))
    raster = engine.rasterize(positions, faces, (1, 4))
    out = engine.antialias(raster.barycentric[..., 3:], raster, positions, faces, edge_adjacency(faces))
    assert out.flatten().tolist() == pytest.approx([1, 1, 0.8, 0])


@pytest.mark.parametrize("device", DEVICES)
def test_empty_and_strided_inputs(device):
    engine, color, raster, positions, faces, adjacency = scene(device)
    plain = engine.antialias(color, raster, positions, faces, adjacency)
    strided = engine.antialias(
        color.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1), raster, positions, faces, adjacency
    )
    assert torch.equal(plain, strided)
    empty = engine.rasterize(positions, faces[:0], (72, 64))
    assert torch.equal(engine.antialias(color, empty, positions, faces[:0], adjacency[:0]), color)
    none = engine.rasterize(positions, faces, (0, 64))
    assert engine.antialias(color[:, :0], none, positions, faces, adjacency).shape == (3, 0, 64, 3)


def test_wrong_inputs_are_refused_with_what_came_and_what_was_expected():
    engine, color, raster, positions, faces, adjacency = scene("cpu")
    with pytest.raises(ValueError, match=r"color is \[3, 72, 63, 3\] .* expected \[3, 72, 64, any\]"):
        engine.antialias(color[:, :, 1:], raster, positions, faces, adjacency)
    with pytest.raises(ValueError, match=r"adjacency is \[5, 3\]"):
        engine.antialias(color, raster, positions, faces, adjacency[:5])
    with pytest.raises(ValueError, match="walk is -1; expected 0 or more"):
        engine.antialias(color, raster, positions, faces, adjacency, -1)
