"""One posed image read whole: mask joined, lens undistorted, shrunk to the run's resolution, intrinsics along with it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.contract import RequestError
from backend.dataset.image_file import Picture, coverage_of, light_of, read_picture, resize_area
from backend.dataset.posed import Lens, PosedImage


@dataclass(frozen=True)
class Frame:
    """A view's pixels and lens.

    Attributes:
        rgba: [H, W, 4] float16, linear Rec.709 premultiplied by the mask.
        intrinsics: fx, fy, cx, cy in these pixels.
        masked: a mask file or an alpha channel told object from background.
        notes: what was adjusted, worded for a list of names to follow.
    """

    rgba: Tensor
    intrinsics: tuple[float, float, float, float]
    masked: bool
    notes: tuple[str, ...]


def read_frame(posed: PosedImage, resolution: int) -> Frame:
    """Read a posed image and its mask; its long side becomes `resolution` pixels unless it is smaller already (0 keeps every size)."""
    notes: list[str] = []
    picture = _as_the_lens_saw(read_picture(posed.image), posed, notes)
    light = light_of(picture)
    masked = picture.has_alpha
    if posed.mask is not None:
        light = _with_mask(light, posed, notes)
        masked = True
    height, width = light.shape[:2]
    fx, fy, cx, cy = posed.lens.intrinsics(width, height)
    if any(posed.lens.distortion):
        light = _undistort(light, posed.lens, (fx, fy, cx, cy))
    shrink = min(1.0, resolution / max(height, width)) if resolution else 1.0
    size = (max(1, round(height * shrink)), max(1, round(width * shrink)))
    down, across = size[0] / height, size[1] / width
    small = resize_area(light, size)
    return Frame(small.half(), (fx * across, fy * down, cx * across, cy * down), masked, tuple(notes))


def _as_the_lens_saw(picture: Picture, posed: PosedImage, notes: list[str]) -> Picture:
    """The picture in the pose its camera was solved for. Solvers ignore EXIF's turn, exporters apply it: the lens's size tells which."""
    size = posed.lens.size
    height, width = picture.values.shape[:2]
    if picture.orientation != 1:
        on_its_side = picture.orientation in (5, 6, 7, 8) and height != width
        turned_fits = size is not None and posed.lens.fits(height, width)
        if not on_its_side or size is None or posed.lens.fits(width, height) == turned_fits:
            raise RequestError(
                f"{posed.image}: its EXIF data asks for a turn (orientation {picture.orientation}), and the camera file does not tell "
                "whether the cameras were solved with it",
                hint="save the images upright and without the orientation tag, and solve the cameras for these; or give w and h",
                code="image-orientation",
            )
        if turned_fits:
            notes.append("turned upright as EXIF asks")
            picture = picture.upright()
            height, width = picture.values.shape[:2]
    if not posed.lens.fits(width, height):
        assert size is not None
        raise RequestError(
            f"{posed.image}: the image is {width} x {height}, its camera was solved for {size[0]} x {size[1]}, which is another aspect",
            hint="use the images the cameras were solved with, or scale them without cropping",
            code="image-size",
        )
    return picture


def _with_mask(light: Tensor, posed: PosedImage, notes: list[str]) -> Tensor:
    """Premultiplied by the mask file's coverage instead of the image's own alpha."""
    assert posed.mask is not None
    mask = coverage_of(read_picture(posed.mask).upright())
    height, width = light.shape[:2]
    if mask.shape != (height, width):
        if not Lens(None, size=(width, height)).fits(mask.shape[1], mask.shape[0]):
            raise RequestError(
                f"{posed.mask}: the mask is {mask.shape[1]} x {mask.shape[0]}, its image {width} x {height}, which is another aspect",
                hint="make the mask from the image it belongs to",
                code="mask-size",
            )
        notes.append("masks of another size than their images were resized")
        mask = resize_area(mask[..., None], (height, width))[..., 0]
    alpha = light[..., 3:]
    straight = torch.where(alpha > 0, light[..., :3] / alpha.clamp(min=1e-6), light[..., :3])
    return torch.cat([straight * mask[..., None], mask[..., None]], dim=2)


def _undistort(light: Tensor, lens: Lens, intrinsics: tuple[float, float, float, float]) -> Tensor:
    """The image a lens without distortion would have taken, with the same intrinsics. What lies beyond the photograph is empty."""
    fx, fy, cx, cy = intrinsics
    height, width = light.shape[:2]
    matrix = np.array(
        [[fx, 0, cx - 0.5], [0, fy, cy - 0.5], [0, 0, 1]]
    )  # OpenCV counts from the centre of the first pixel
    x, y = cv2.initUndistortRectifyMap(matrix, np.array(lens.distortion), None, matrix, (width, height), cv2.CV_32FC1)
    # sampled here and not by cv2.remap, which rounds positions to 1/32 pixel
    where = torch.from_numpy(np.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], axis=-1))
    return (
        F.grid_sample(light.permute(2, 0, 1)[None], where[None], align_corners=False)[0].permute(1, 2, 0).contiguous()
    )
