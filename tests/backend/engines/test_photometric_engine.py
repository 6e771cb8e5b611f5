import math

import pytest
import torch
import warp as wp
from shapes import DEVICES

from backend.engines.builtin.kernels.photometric_kernels import background
from backend.engines.reference import photometric as reference
from backend.engines.select import select_engine

SIZES = torch.tensor([[5, 9], [7, 9], [7, 4]])
INDEX = torch.tensor([2, 0])


@wp.kernel(enable_backward=False)
def draw(seed: int, out: wp.array(dtype=wp.vec3)):
    out[wp.tid()] = background(seed, wp.tid())


def backgrounds(seed):
    """What stands behind the photographs in INDEX: drawn by photograph, not by its place in the step."""
    drawn = torch.empty(3 * 7 * 9, 3)
    wp.launch(draw, 3 * 7 * 9, inputs=[seed, wp.from_torch(drawn, dtype=wp.vec3)], device="cpu")
    return drawn.view(3, 7, 9, 3)[INDEX]


def pictures(kind=torch.float32):
    """Two renders, some values beyond [0, 1], and three photographs, empty, full and half covered, with rubbish beyond their sizes."""
    generator = torch.Generator().manual_seed(0)
    rendered = torch.rand(2, 7, 9, 4, generator=generator) * 1.4 - 0.1
    photographs = torch.rand(3, 7, 9, 4, generator=generator)
    photographs[..., 3] = (photographs[..., 3] * 2.0 - 0.5).clamp(0.0, 1.0)
    photographs[..., :3] *= photographs[..., 3:] * 3.0
    rendered[0, 0, 0] = photographs[2, 0, 0] = 0.0  # black on nothing: an error of zero
    rendered[0, 0, 1] = photographs[2, 0, 1] = 0.0
    rendered[0, 0, 1, 3] = photographs[2, 0, 1, 3] = 1.0  # black on black: the curve's foot
    return rendered, photographs.to(kind)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", [torch.float16, torch.float32])
def test_sums_and_gradients_equal_float64(device, kind):
    rendered, photographs = pictures(kind)
    engine = select_engine("builtin", torch.device(device))
    seed = torch.tensor([5], dtype=torch.int32)
    weights = torch.tensor([0.7, 0.4, 1.3, 1.0])
    leaf = rendered.clone().to(device).requires_grad_()
    sums = engine.photometric(leaf, *(t.to(device) for t in (photographs, INDEX, SIZES, seed)))
    (sums * weights.to(device)).sum().backward()
    exact_leaf = rendered.double().requires_grad_()
    exact = reference.photometric(exact_leaf, photographs.double(), INDEX, SIZES, backgrounds(5).double())
    (exact * weights).sum().backward()
    assert (exact > 0.1).all()
    assert torch.allclose(sums.cpu().double(), exact, rtol=1e-5)
    assert (leaf.grad.cpu().double() - exact_leaf.grad).abs().max() < 1e-5 * exact_leaf.grad.abs().max()
    beyond = torch.ones(2, 7, 9, dtype=torch.bool)
    for image, size in enumerate(SIZES[INDEX]):
        beyond[image, : size[0], : size[1]] = False
    assert not leaf.grad.cpu()[beyond].any()
    assert not leaf.grad[0, 0, 0].any()  # right already, and not covered: nothing pulls


def test_one_pixel_by_hand():
    """Half covered, over the drawn background, inside the photograph's mask, through log(1 + x) and the sRGB curve."""

    def curve(linear):
        return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055

    rendered = torch.tensor([0.1, 0.0, 0.3, 0.25]).view(1, 1, 1, 4)
    photograph = torch.tensor([0.2, 0.1, 0.0, 0.5]).view(1, 1, 1, 4)
    engine = select_engine("builtin", torch.device("cpu"))
    one = torch.zeros(1, dtype=torch.int64), torch.ones(1, 2, dtype=torch.int64)
    sums = engine.photometric(rendered, photograph, *one, torch.tensor([9], dtype=torch.int32))
    behind = backgrounds(9)[1, 0, 0].tolist()  # of photograph 0
    ours = [(c + 0.75 * b) * 0.5 for c, b in zip((0.1, 0.0, 0.3), behind, strict=True)]
    theirs = [(c + 0.5 * b) * 0.5 for c, b in zip((0.2, 0.1, 0.0), behind, strict=True)]
    color = sum(abs(curve(math.log1p(a)) - curve(math.log1p(b))) for a, b in zip(ours, theirs, strict=True))
    squared = (curve(0.1) - curve(0.2)) ** 2 + curve(0.1) ** 2 + curve(0.3) ** 2
    assert sums.tolist() == pytest.approx([color, 0.25, 0.0625, squared], rel=1e-5)


def test_backgrounds_are_uniform_and_differ_between_pixels_channels_and_seeds():
    drawn = torch.stack([backgrounds(seed) for seed in range(40)])
    assert drawn.min() >= 0 and drawn.max() <= 1
    assert abs(drawn.mean() - 0.5) < 0.02 and abs(drawn.var() - 1 / 12) < 0.005
    flat = drawn.view(40, -1)
    assert len(flat.unique()) > 0.99 * flat.numel()
    assert torch.corrcoef(flat[:, :200].T).triu(1).abs().mean() < 0.2


@pytest.mark.parametrize("threads", [2, 7])
def test_threads_do_not_change_a_bit(threads):
    rendered, photographs = pictures()
    rendered = rendered.repeat(1, 20, 20, 1)
    photographs, sizes = photographs.repeat(1, 20, 20, 1), SIZES * 20
    found = []
    for count in (1, threads):
        engine = select_engine("builtin", torch.device("cpu"), count)
        leaf = rendered.clone().requires_grad_()
        sums = engine.photometric(leaf, photographs, INDEX, sizes, torch.tensor([1], dtype=torch.int32))
        sums[:3].sum().backward()
        found.append((sums.detach(), leaf.grad))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_wrong_inputs_are_refused_with_what_came_and_what_was_expected():
    rendered, photographs = pictures()
    engine, seed = select_engine("builtin", torch.device("cpu")), torch.zeros(1, dtype=torch.int32)
    with pytest.raises(ValueError, match=r"photographs is \[3, 6, 9, 4\].*expected \[any, 7, 9, 4\]"):
        engine.photometric(rendered, photographs[:, :6], INDEX, SIZES, seed)
    with pytest.raises(ValueError, match="index holds indices 2 to 3; expected 0 to 2"):
        engine.photometric(rendered, photographs, INDEX + torch.tensor([0, 3]), SIZES, seed)
    with pytest.raises(ValueError, match=r"photographs are torch\.float64"):
        engine.photometric(rendered, photographs.double(), INDEX, SIZES, seed)
