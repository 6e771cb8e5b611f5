from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

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

    Attributes:
        names: N image names, as in the source (for messages and reports).
        cameras: N cameras in the normalised box's coordinates.
        images: [N, H, W, 4] float16 or float32, linear Rec.709 premultiplied by alpha (the mask), alpha in [0, 1].
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

    def select(self, index: Tensor) -> Views:
        """The views at `index` ([M] int64), in that order."""
        return Views(tuple(self.names[i] for i in index.tolist()), self.cameras.select(index), self.images[index])

    def span(self, first: int, last: int) -> Views:
        """Views `first` to `last`, the latter excluded, as they are kept; shares their memory."""
        cameras = self.cameras
        own = Cameras(cameras.camera_to_world[first:last], cameras.intrinsics[first:last], cameras.sizes[first:last])
        return Views(self.names[first:last], own, self.images[first:last])

    def to(self, device: torch.device | str) -> Views:
        """The same views on another device."""
        return replace(self, cameras=self.cameras.to(device), images=self.images.to(device))

    def within_reach(self, device: torch.device) -> Views:
        """The same views for work on `device`, their images left in the machine's memory, from where the device reads what it needs.

        The memory is pinned, which a CUDA device addresses like its own: a step fetches the pixels of its views and no more, and nothing
        that works with the images has to know. On the CPU, the views as they are.

        Raises:
            RuntimeError: so much memory cannot be pinned.
        """
        if device.type == "cpu":
            return self
        return replace(self, cameras=self.cameras.to(device), images=_addressable(self.images.pin_memory(), device))

    def masks(self) -> Tensor:
        """[N, H, W] coverage in [0, 1], of the images' type."""
        return self.images[..., 3]

    def valid(self) -> Tensor:
        """[N, H, W, 1] bool: the pixels that belong to an image and not to the canvas around it."""
        height, width = self.canvas
        rows = torch.arange(height, device=self.images.device)[None, :, None]
        columns = torch.arange(width, device=self.images.device)[None, None, :]
        sizes = self.cameras.sizes
        return ((rows < sizes[:, 0, None, None]) & (columns < sizes[:, 1, None, None]))[..., None]


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


def _addressable(pinned: Tensor, device: torch.device) -> Tensor:
    """Pinned memory as a tensor of the device that reads it; the tensor keeps the memory alive."""
    kind = {torch.float16: "<f2", torch.float32: "<f4"}[pinned.dtype]

    class Memory:
        owner = pinned
        __cuda_array_interface__: dict[str, Any] = {  # noqa: RUF012 - read, never written
            "shape": tuple(pinned.shape),
            "typestr": kind,
            "data": (pinned.data_ptr(), False),
            "version": 3,
        }

    return torch.as_tensor(Memory(), device=device)
