import torch
from known import camera_on_minus_y

from backend.dataset.views import Cameras, Views
from backend.optimise.pyramid import halved
from backend.render.camera import clip_positions


def test_a_points_pixel_halves_also_where_sizes_are_odd():
    """A canvas of 13 x 11 with images of 13 x 10 and 9 x 11: a spot painted on a point stays where the halved camera sees the point."""
    one = camera_on_minus_y(4.0, (20.0, 20.0), (5.0, 6.5), (13, 10))
    cameras = Cameras(
        one.camera_to_world.repeat(2, 1, 1), one.intrinsics.repeat(2, 1), torch.tensor([[13, 10], [9, 11]])
    )
    images = torch.zeros(2, 13, 11, 4, dtype=torch.float16)
    point = torch.tensor([[0.5, 0.0, 0.3]])  # x = 5 + 2.5, y = 6.5 - 1.5
    images[:, 4:6, 6:8] = torch.tensor([0.5, 0.25, 0.125, 1.0], dtype=torch.float16)  # 4 pixels, their middle at (7, 5)
    small = halved(Views(("a", "b"), cameras, images), 1)
    assert small.canvas == (7, 6) and small.images.dtype == torch.float16
    assert small.cameras.sizes.tolist() == [
        [6, 5],
        [4, 5],
    ]  # a last row or column that is partly empty is no part of the image
    for views, expected in ((Views(("a", "b"), cameras, images), (7.5, 5.0)), (small, (3.75, 2.5))):
        height, width = views.canvas
        clip = clip_positions(point, views.cameras, views.canvas)
        place = (clip[..., :2] / clip[..., 3:] + 1.0) * 0.5 * torch.tensor([float(width), float(height)])
        assert torch.allclose(place, torch.tensor(expected).expand(2, 1, 2), atol=1e-4)
    assert torch.equal(small.images[0, 2, 3], torch.tensor([0.5, 0.25, 0.125, 1.0], dtype=torch.float16))
    assert small.images[..., 3].float().sum() == 2.0  # area and premultiplied colour are kept
    assert small.valid().flatten(1).sum(1).tolist() == [30, 20]
    assert halved(Views(("a", "b"), cameras, images), 2).cameras.sizes.tolist() == [[3, 2], [2, 2]]
