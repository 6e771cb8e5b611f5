import pytest
import torch
from shapes import DEVICES, cameras, clip, close, icosphere

from backend.engines.reference import interpolate as reference
from backend.engines.select import select_engine


def seen(device, threads=None):
    vertices, faces = icosphere(3)
    engine = select_engine("builtin", torch.device(device), threads)
    raster = engine.rasterize(clip(vertices.float(), cameras(2)).to(device), faces.to(device), (64, 48))
    attributes = torch.randn((len(vertices), 5), generator=torch.Generator().manual_seed(0)).to(device)
    return engine, attributes, faces.to(device), raster


@pytest.mark.parametrize("device", DEVICES)
def test_values_and_adjoints_equal_float64(device):
    engine, attributes, faces, raster = seen(device)
    weight = torch.randn((*raster.triangle.shape, 5), generator=torch.Generator().manual_seed(1)).to(device)
    results = []
    for make, kind in ((engine.interpolate, torch.float32), (reference.interpolate, torch.float64)):
        a, b = (t.detach().to(kind).requires_grad_() for t in (attributes, raster.barycentric))
        out = make(a, faces, b, raster.triangle)
        out.backward(weight.to(kind))
        results.append((out.detach(), a.grad, b.grad))
    assert (raster.triangle < 0).any() and not results[0][0][raster.triangle < 0].any()
    for ours, exact in zip(*results):
        close(ours, exact, 2e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_a_compacted_list_of_pixels_gives_the_image_s_values_and_gradients(device):
    engine, attributes, faces, raster = seen(device)
    covered = raster.triangle >= 0
    results = []
    for pick in (lambda t: t, lambda t: t[covered]):
        leaf = attributes.clone().requires_grad_()
        out = engine.interpolate(leaf, faces, pick(raster.barycentric), pick(raster.triangle))
        out.sin().sum().backward()
        results.append((out if out.ndim == 2 else out[covered], leaf.grad))
    assert torch.equal(results[0][0], results[1][0])
    close(results[0][1], results[1][1], 1e-5)


@pytest.mark.parametrize("threads", [2, 7])
def test_threads_do_not_change_a_bit(threads):
    gradients = []
    for count in (1, threads):
        engine, attributes, faces, raster = seen("cpu", count)
        leaf, weights = attributes.requires_grad_(), raster.barycentric.requires_grad_()
        engine.interpolate(leaf, faces, weights, raster.triangle).square().sum().backward()
        gradients.append((leaf.grad, weights.grad))
    assert all(torch.equal(a, b) for a, b in zip(*gradients))


@pytest.mark.parametrize("device", DEVICES)
def test_nothing_seen_no_pixels_no_channels_and_strided_inputs(device):
    engine, attributes, faces, raster = seen(device)
    plain = engine.interpolate(attributes, faces, raster.barycentric, raster.triangle)
    strided = engine.interpolate(
        attributes.t().contiguous().t(), faces, raster.barycentric.transpose(1, 2), raster.triangle.transpose(1, 2)
    )
    assert torch.equal(plain, strided.transpose(1, 2))
    leaf = attributes.clone().requires_grad_()
    for rows, channels in ((0, 5), (7, 5), (7, 0)):
        out = engine.interpolate(
            leaf[:, :channels],
            faces[:0] if rows == 7 else faces,
            torch.zeros((rows, 4), device=device),
            torch.full((rows,), -1, dtype=torch.int32, device=device),
        )
        assert out.shape == (rows, channels) and not out.any()
        out.sum().backward()
    assert not leaf.grad.any()


def test_wrong_inputs_are_refused_with_what_came_and_what_was_expected():
    engine, attributes, faces, raster = seen("cpu")
    with pytest.raises(ValueError, match=r"barycentric is \[1, 64, 48, 4\] .* expected \[2, 64, 48, 4\]"):
        engine.interpolate(attributes, faces, raster.barycentric[:1], raster.triangle)
    with pytest.raises(ValueError, match=r"attributes is .* torch.float64 .* torch.float32"):
        engine.interpolate(attributes.double(), faces, raster.barycentric, raster.triangle)
    with pytest.raises(ValueError, match="triangle holds indices"):
        engine.interpolate(attributes, faces[:40], raster.barycentric, raster.triangle)
