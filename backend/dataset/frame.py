"""One posed image: mask joined, lens undistorted, shrunk to the run's resolution, intrinsics along with it.

Only the file's own integers lie in memory whole; as light a strip of rows does, so that large photographs need no large memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backend.contract import RequestError
from backend.dataset.picture_file import Picture, mask_channels, read_picture
from backend.dataset.pixels import coverage_of, light_of, resize_area, shrink_rows
from backend.dataset.posed import Lens, PosedImage

Rows = Callable[[int, int], np.ndarray]  # (first, last) -> [last - first, W, 4] float32 light


@dataclass(frozen=True)
class Frame:
    """A view's pixels and lens.

    Attributes:
        rgba: [H, W, 4] float16, linear Rec.709 premultiplied by the mask.
        intrinsics: fx, fy, cx, cy in these pixels.
        masked: a mask file or an alpha channel told object from background.
        notes: what was adjusted, worded for a list of names to follow.
    """

    rgba: np.ndarray
    intrinsics: tuple[float, float, float, float]
    masked: bool
    notes: tuple[str, ...]


def read_frame(posed: PosedImage, resolution: int) -> Frame:
    """Read a posed image and its mask; its long side becomes `resolution` pixels unless it is smaller already (0 keeps every size)."""
    notes: list[str] = []
    picture = _as_the_lens_saw(read_picture(posed.image), posed, notes)
    height, width = picture.values.shape[:2]
    mask = None if posed.mask is None else _mask(posed.mask, height, width, notes)
    fx, fy, cx, cy = posed.lens.intrinsics(width, height)

    def rows(first: int, last: int) -> np.ndarray:
        light = light_of(picture.rows(first, last))
        return light if mask is None else _masked(light, coverage_of(mask.rows(first, last)))

    source = (
        _undistorted(rows, posed.lens, (fx, fy, cx, cy), height, width) if not posed.lens.distortion.straight else rows
    )
    shrink = min(1.0, resolution / max(height, width)) if resolution else 1.0
    size = (max(1, round(height * shrink)), max(1, round(width * shrink)))
    down, across = size[0] / height, size[1] / width
    small = shrink_rows(source, height, width, size).astype(np.float16)
    masked = picture.has_alpha or mask is not None
    return Frame(small, (fx * across, fy * down, cx * across, cy * down), masked, tuple(notes))


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


def _mask(path: Path, height: int, width: int, notes: list[str]) -> Picture:
    """The mask file's coverage channels at the size of its image."""
    mask = mask_channels(read_picture(path).upright())
    own_height, own_width = mask.values.shape[:2]
    if (own_height, own_width) == (height, width):
        return mask
    if not Lens(None, size=(width, height)).fits(own_width, own_height):
        raise RequestError(
            f"{path}: the mask is {own_width} x {own_height}, its image {width} x {height}, which is another aspect",
            hint="make the mask from the image it belongs to",
            code="mask-size",
        )
    notes.append("masks of another size than their images were resized")
    return Picture(resize_area(coverage_of(mask)[..., None], (height, width)), linear=True)


def _masked(light: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Premultiplied by the mask's coverage instead of the image's own alpha, in place."""
    light *= (mask / light[..., 3].clip(min=1e-6))[..., None]
    light[..., 3] = mask
    return light


def _undistorted(
    rows: Rows, lens: Lens, intrinsics: tuple[float, float, float, float], height: int, width: int
) -> Rows:
    """The image a lens without distortion would have taken, with the same intrinsics. What lies beyond the photograph is empty."""
    import torch  # here, so that straight photographs are read before it is there

    fx, fy, cx, cy = intrinsics

    def straight(first: int, last: int) -> np.ndarray:
        x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(first, last) + 0.5)
        x, y = lens.distortion.apply((x - cx) / fx, (y - cy) / fy)
        x, y = (np.nan_to_num(value, nan=-1e6).clip(-1e6, 1e6) for value in (cx + fx * x, cy + fy * y))
        reached = y[(y > -1) & (y < height + 1)]
        if not reached.size:
            return np.zeros((last - first, width, 4), np.float32)
        top, bottom = max(0, math.floor(reached.min()) - 1), min(height, math.ceil(reached.max()) + 1)
        # sampled here and not by cv2.remap, which rounds positions to 1/32 pixel
        where = np.stack([2 * x / width - 1, 2 * (y - top) / (bottom - top) - 1], axis=-1).astype(np.float32)
        strip = torch.from_numpy(rows(top, bottom)).permute(2, 0, 1)[None]
        bent = torch.nn.functional.grid_sample(strip, torch.from_numpy(where)[None], align_corners=False)
        return np.ascontiguousarray(bent[0].permute(1, 2, 0).numpy())

    return straight
