import pytest
import torch

from backend.loss.silhouette import mask_absolute, mask_squared


def test_coverage_alone_counts_and_only_inside_the_image():
    rendered, reference = torch.rand(1, 1, 4, 4), torch.rand(1, 1, 4, 4)
    rendered[..., 3] = torch.tensor([1.0, 0.25, 0.0, 1.0])
    reference[..., 3] = torch.tensor([0.5, 0.5, 0.0, 0.0])
    valid = torch.tensor([True, True, True, False]).view(1, 1, 4, 1)  # the last pixel is canvas
    rendered.requires_grad_()
    squared, absolute = mask_squared(rendered, reference, valid), mask_absolute(rendered, reference, valid)
    assert squared.item() == pytest.approx((0.25 + 0.0625) / 3)
    assert absolute.item() == pytest.approx((0.5 + 0.25) / 3)
    for loss, expected in ((squared, [1 / 3, -0.5 / 3, 0, 0]), (absolute, [1 / 3, -1 / 3, 0, 0])):
        (gradient,) = torch.autograd.grad(loss, rendered)
        assert gradient[0, 0, :, 3].tolist() == pytest.approx(expected)
        assert (gradient[..., :3] == 0).all()
