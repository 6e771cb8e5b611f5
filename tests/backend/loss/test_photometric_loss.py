import math

import pytest
import torch

from backend.dataset.views import Cameras, Views
from backend.engines.select import select_engine
from backend.loss.photometric import photometric


def test_terms_are_means_over_the_photographs_own_pixels():
    """A grey render against darker photographs of two sizes: each term by hand, whatever lies on the canvas beyond them."""
    sizes = torch.tensor([[4, 6], [2, 3]])
    images = torch.full((2, 4, 6, 4), 9.0)
    for image, (height, width) in zip(images, sizes.tolist(), strict=True):
        image[:height, :width] = torch.tensor([0.25, 0.25, 0.25, 1.0])
    views = Views(("a", "b"), Cameras(torch.eye(4).repeat(2, 1, 1), torch.ones(2, 4), sizes), images.half())
    rendered = torch.full((2, 4, 6, 4), 0.5)
    rendered[..., 3] = 0.75
    engine = select_engine("builtin", torch.device("cpu"))
    index, seed = torch.tensor([1, 0]), torch.tensor([3], dtype=torch.int32)
    opaque = rendered.clone()
    opaque[..., 3] = 1.0  # no background is seen

    def curve(linear):
        return 1.055 * linear ** (1 / 2.4) - 0.055

    terms = photometric(engine, opaque, views, index, seed)
    assert terms.color.item() == pytest.approx(curve(math.log1p(0.5)) - curve(math.log1p(0.25)), rel=1e-5)
    assert terms.psnr.item() == pytest.approx(-20 * math.log10(curve(0.5) - curve(0.25)), rel=1e-5)
    assert (terms.mask_absolute.item(), terms.mask_squared.item()) == (0.0, 0.0)
    thin = photometric(engine, rendered, views, index, seed)
    assert (thin.mask_absolute.item(), thin.mask_squared.item()) == pytest.approx((0.25, 0.0625))
    assert thin.color > terms.color  # wrong coverage costs colour too
    perfect = photometric(engine, images[[1, 0]], views, index, seed)
    assert perfect.color == 0.0 and perfect.psnr.item() == pytest.approx(100.0)
