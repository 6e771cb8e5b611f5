from __future__ import annotations

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

    def to(self, device: torch.device | str) -> Views:
        """The same views on another device."""
        return replace(self, cameras=self.cameras.to(device), images=self.images.to(device))

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
