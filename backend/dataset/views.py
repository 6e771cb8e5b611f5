from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Cameras:
    """Pinhole cameras, all fields on one device.

    Attributes:
        camera_to_world: [N, 4, 4] rigid poses; a camera looks down its local -Z, +Y is up in the image.
        intrinsics: [N, 4] fx, fy, cx, cy in pixels; cx grows to the right, cy grows DOWN from the top edge, pixel centres at +0.5.
        sizes: [N, 2] int64 (height, width) of each image in pixels.
    """

    camera_to_world: Tensor
    intrinsics: Tensor
    sizes: Tensor

    def __len__(self) -> int:
        return self.camera_to_world.shape[0]

    def select(self, index: Tensor) -> Cameras:
        """The cameras at `index` ([M] int64), in that order."""
        return Cameras(self.camera_to_world[index], self.intrinsics[index], self.sizes[index])

    def to(self, device: torch.device | str) -> Cameras:
        """The same cameras on another device."""
        return Cameras(self.camera_to_world.to(device), self.intrinsics.to(device), self.sizes.to(device))


@dataclass(frozen=True)
class Views:
    """Posed images of different sizes on one canvas: image i fills rows [0, sizes[i, 0]) and columns [0, sizes[i, 1]), zeros beyond.

    The images may be kept in half the memory (uint8) and away from the device (`placed`): `select` brings out what a step needs.

    Attributes:
        names: N image names, as in the source (for messages and reports).
        cameras: N cameras in the normalised box's coordinates, on the device that works with the views.
        images: [N, H, W, 4] float16 or float32, linear Rec.709 premultiplied by alpha (the mask), alpha in [0, 1]; or uint8, see `compact`.
    """

    names: tuple[str, ...]
    cameras: Cameras
    images: Tensor

    def __len__(self) -> int:
        return len(self.names)

    @property
    def canvas(self) -> tuple[int, int]:
        """(height, width) shared by all images."""
        return self.images.shape[1], self.images.shape[2]

    @property
    def device(self) -> torch.device:
        """Where the cameras are, and where `select` puts the images; these may be kept elsewhere until then."""
        return self.cameras.camera_to_world.device

    def select(self, index: Tensor) -> Views:
        """The views at `index` ([M] int64, on any device), in that order, their images linear and on the views' device."""
        numbers = index.tolist()
        if self.images.device == self.device:
            chosen = self.images[index.to(self.device)]
        else:  # image by image, straight out of pinned memory
            chosen = torch.empty(len(numbers), *self.images.shape[1:], dtype=self.images.dtype, device=self.device)
            for target, number in zip(chosen, numbers):
                target.copy_(self.images[number], non_blocking=True)
        names = tuple(self.names[number] for number in numbers)
        return Views(names, self.cameras.select(index.to(self.device)), linear(chosen))

    def span(self, first: int, last: int) -> Views:
        """Views `first` to `last`, the latter excluded, as they are kept; shares their memory."""
        cameras = self.cameras
        own = Cameras(cameras.camera_to_world[first:last], cameras.intrinsics[first:last], cameras.sizes[first:last])
        return Views(self.names[first:last], own, self.images[first:last])

    def to(self, device: torch.device | str) -> Views:
        """The same views on another device."""
        return replace(self, cameras=self.cameras.to(device), images=self.images.to(device))

    def placed(self, device: torch.device | str) -> Views:
        """The same views for work on `device`, their images kept in the machine's memory, pinned where that can be had."""
        images = self.images
        if torch.device(device).type != images.device.type and images.device.type == "cpu":
            with contextlib.suppress(RuntimeError):  # no more memory can be pinned: copies are slower then
                images = images.pin_memory()
        return replace(self, cameras=self.cameras.to(device), images=images)

    def masks(self) -> Tensor:
        """[N, H, W] float16 coverage in [0, 1], where the images are kept."""
        alpha = self.images[..., 3]
        return alpha.half() / 255 if alpha.dtype == torch.uint8 else alpha.half()

    def valid(self) -> Tensor:
        """[N, H, W, 1] bool: the pixels that belong to an image and not to the canvas around it."""
        height, width = self.canvas
        rows = torch.arange(height, device=self.device)[None, :, None]
        columns = torch.arange(width, device=self.device)[None, None, :]
        sizes = self.cameras.sizes
        return ((rows < sizes[:, 0, None, None]) & (columns < sizes[:, 1, None, None]))[..., None]


def compact(images: Tensor) -> Tensor:
    """Images in half the memory: [..., 4] linear premultiplied in [0, 1] -> uint8, straight sRGB-encoded colour and alpha.

    An 8-bit photograph comes back as exactly as its colours were stored; values beyond 1 are cut off.
    """
    alpha = images[..., 3:].float().clamp(0.0, 1.0)
    straight = (images[..., :3].float() / alpha.clamp(min=1e-6)).clamp(0.0, 1.0)
    encoded = torch.where(straight <= 0.0031308, 12.92 * straight, 1.055 * straight.pow(1 / 2.4) - 0.055)
    return (torch.cat([encoded, alpha], -1) * 255).round().to(torch.uint8)


def linear(images: Tensor) -> Tensor:
    """What `compact` made, as [..., 4] float16 linear premultiplied; other images as they are."""
    if images.dtype != torch.uint8:
        return images
    stored = images.float() / 255
    color, alpha = stored[..., :3], stored[..., 3:]
    light = torch.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055).pow(2.4))
    return torch.cat([light * alpha, alpha], -1).half()


@dataclass(frozen=True)
class Similarity:
    """The way between the scene's own coordinates and the normalised box: normalised = (scene - centre) * scale."""

    centre: tuple[float, float, float]
    scale: float

    def to_normalised(self, points: Tensor) -> Tensor:
        """[..., 3] scene points -> [..., 3] normalised points."""
        return (points - points.new_tensor(self.centre)) * self.scale

    def to_scene(self, points: Tensor) -> Tensor:
        """[..., 3] normalised points -> [..., 3] scene points."""
        return points / self.scale + points.new_tensor(self.centre)


@dataclass(frozen=True)
class Dataset:
    """What one source of posed images gives a run.

    Attributes:
        train: views that are fitted.
        test: views that are held out, or None where the source holds none out.
        similarity: scene <-> normalised box; the cameras of both sets are normalised already.
        warnings: sentences for the artist about what was missing, skipped or doubtful.
    """

    train: Views
    test: Views | None
    similarity: Similarity
    warnings: tuple[str, ...] = ()
