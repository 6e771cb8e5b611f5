from __future__ import annotations

import torch
from torch.nn import functional as F

from backend.dataset.views import Cameras, Views

_AT_ONCE = 8  # images


def halved(views: Views, times: int) -> Views:
    """The views at 1 / 2^times of their size (area-averaged, premultiplied), for the coarse steps of a fit.

    The canvas is padded to a multiple first; an image whose size is odd keeps a last row or column that is partly empty, which
    `valid` leaves out.
    """
    if times == 0:
        return views
    factor = 2**times
    height, width = views.canvas
    padding = (0, -width % factor, 0, -height % factor)
    small = views.images.new_empty(len(views), -(-height // factor), -(-width // factor), 4)
    for index in torch.arange(len(views)).split(_AT_ONCE):  # as floats all of them would be twice the memory again
        images = F.pad(views.select(index).images.permute(0, 3, 1, 2).float(), padding)
        means = F.avg_pool2d(images, factor).permute(0, 2, 3, 1)
        small[index[0] : index[-1] + 1] = means
    sizes = torch.div(views.cameras.sizes, factor, rounding_mode="floor")
    return Views(views.names, Cameras(views.cameras.camera_to_world, views.cameras.intrinsics / factor, sizes), small)
