"""Which triangle each pixel sees, with its barycentric coordinates; layer after layer if asked."""

from __future__ import annotations

from typing import Any

import torch
import warp as wp
from torch import Tensor

from backend.engines.builtin import checks
from backend.engines.builtin.kernels import raster_kernels as kernels
from backend.engines.builtin.launch import Launcher, split
from backend.engines.checks import require
from backend.engines.interface import Raster

QUEUE_TILES = 1 << 18  # tiles of 16 x 16 pixels that wait at a time: 32 full layers of eight images of 512 px
TILE_WORKERS = 2048  # groups of 32 lanes that drain the queue
LARGEST_SIDE = 1 << 15  # a tile's column and row share an int32
BANDS = 4  # launches an image set is cut into at least, so that few images still fill the CPU's threads


def rasterize(
    positions: Tensor,
    faces: Tensor,
    size: tuple[int, int],
    previous: Raster | None,
    derivatives: bool,
    launch: Launcher,
) -> Raster:
    """Find the nearest triangle at each pixel centre, or the nearest one behind `previous`.

    A pixel centre on an edge shared by two triangles belongs to exactly one of them. Triangles may cross the near plane. Those with a
    position that is not finite are left out. Back faces count. Equal depths are decided by the lower triangle index.

    Args:
        positions: [B, V, 4] float32 clip positions, y/w = -1 at the top edge of the image.
        faces: [T, 3] int32.
        size: (H, W) in pixels, each up to 32768; 0 gives an empty raster.
        previous: the layer in front, of the same positions, faces and size; None for the first.
        derivatives: whether to fill `Raster.derivatives`.
        launch: of the tensors' device.

    Returns:
        The raster; gradients of u, v and z/w reach `positions`.

    Raises:
        ValueError: a shape, type, device or index is wrong; the message names what came and what was expected.
    """
    where = "rasterize"
    require(f"{where}: positions", positions, (None, None, 4), launch.device, torch.float32)
    checks.check_faces(where, faces, positions.shape[1], launch.device)
    height, width = size
    if not (0 <= height <= LARGEST_SIDE and 0 <= width <= LARGEST_SIDE):
        raise ValueError(f"{where}: size is {height} x {width} pixels; expected 0 to {LARGEST_SIDE} a side")
    images = positions.shape[0]
    checks.check_count(where, "pixels", images * height * width)
    behind = None
    if previous is not None:
        if previous.depth_key is None:
            raise ValueError(f"{where}: the previous raster has no depth_key; expected one made by this engine")
        behind = previous.depth_key
        require(f"{where}: previous.depth_key", behind, (images, height, width), launch.device, torch.int64)
    return Raster(*_Rasterize.apply(positions, faces, (height, width), behind, derivatives, launch))


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        positions: Tensor,
        faces: Tensor,
        size: tuple[int, int],
        behind: Tensor | None,
        want_derivatives: bool,
        launch: Launcher,
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        positions, faces = positions.contiguous(), faces.contiguous()
        behind = None if behind is None else behind.contiguous()
        images = positions.shape[0]
        key = torch.full((images, *size), -1, dtype=torch.int64, device=positions.device)
        barycentric = positions.new_empty((images, *size, 4))
        triangle = torch.empty((images, *size), dtype=torch.int32, device=positions.device)
        derivatives = torch.empty_like(barycentric) if want_derivatives else None
        if key.numel() == 0 or faces.shape[0] == 0:
            barycentric.zero_()
            triangle.fill_(-1)
            if derivatives is not None:
                derivatives.zero_()
        else:
            _cover(positions, faces, key, behind, launch)
            _resolve(positions, faces, key, barycentric, triangle, derivatives, launch)
        ctx.launch = launch
        ctx.save_for_backward(positions, faces, triangle)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*(t for t in (triangle, derivatives, key) if t is not None))
        return barycentric, triangle, derivatives, key

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        if gradients[0] is None:
            return (None,) * 6
        positions, faces, triangle = ctx.saved_tensors
        return _backward(positions, faces, triangle, gradients[0].contiguous(), ctx.launch), *(None,) * 5


def _cover(positions: Tensor, faces: Tensor, key: Tensor, behind: Tensor | None, launch: Launcher) -> None:
    """Put the smallest key (greater than the one in `behind`) of each pixel into `key` [B, H, W]."""
    if launch.on_cpu:
        _cover_by_bands(positions, faces, key, behind, launch)
    else:
        _cover_by_queue(positions, faces, key, behind, launch, QUEUE_TILES)


def _cover_by_bands(positions: Tensor, faces: Tensor, key: Tensor, behind: Tensor | None, launch: Launcher) -> None:
    """The CPU's way: launches own the rows of an image that they write."""
    images, height, _ = key.shape
    bands = split(height, -(-max(BANDS, launch.threads) // images))
    arguments = _cover_arguments(positions, faces, key, behind, launch)
    launch.run(
        kernels.cover_band,
        [
            (faces.shape[0], (image, first, first + rows, *arguments))
            for image in range(images)
            for first, rows in bands
        ],
    )


def _cover_by_queue(
    positions: Tensor, faces: Tensor, key: Tensor, behind: Tensor | None, launch: Launcher, capacity: int
) -> None:
    """The GPU's way: a thread a triangle, large ones cut into tiles that wait in a queue of `capacity` on the device."""
    queued = torch.zeros(1, dtype=torch.int32, device=key.device)
    queue = torch.empty((capacity, 3), dtype=torch.int32, device=key.device)
    arguments = (
        *_cover_arguments(positions, faces, key, behind, launch),
        launch.array(queued, wp.int32),
        launch.array(queue, wp.vec3i),
    )
    launch.run(kernels.cover_small, [((key.shape[0], faces.shape[0]), arguments)])
    launch.run(kernels.cover_tiles, [((TILE_WORKERS, 32), (*arguments, TILE_WORKERS))])


def _cover_arguments(
    positions: Tensor, faces: Tensor, key: Tensor, behind: Tensor | None, launch: Launcher
) -> tuple[Any, ...]:
    """What the kernels that cover pixels have in common."""
    _, height, width = key.shape
    keys = launch.array(key.view(-1), wp.uint64)
    return (
        launch.array(positions, wp.vec4),
        launch.array(faces, wp.int32),
        width,
        height,
        int(behind is not None),
        keys if behind is None else launch.array(behind.view(-1), wp.uint64),
        keys,
    )


def _resolve(
    positions: Tensor,
    faces: Tensor,
    key: Tensor,
    barycentric: Tensor,
    triangle: Tensor,
    derivatives: Tensor | None,
    launch: Launcher,
) -> None:
    """Fill barycentric, triangle and derivatives from the keys."""
    _, height, width = key.shape
    out = launch.array(barycentric.view(-1, 4), wp.vec4)
    launch.items(
        kernels.resolve,
        key.numel(),
        (
            launch.array(positions, wp.vec4),
            launch.array(faces, wp.int32),
            width,
            height,
            launch.array(key.view(-1), wp.uint64),
            int(derivatives is not None),
            out,
            launch.array(triangle.view(-1), wp.int32),
            out if derivatives is None else launch.array(derivatives.view(-1, 4), wp.vec4),
        ),
    )


def _backward(positions: Tensor, faces: Tensor, triangle: Tensor, gradient: Tensor, launch: Launcher) -> Tensor:
    """[B, V, 4] gradient of the clip positions from that of u, v, z/w [B, H, W, 4]."""
    images, height, width = triangle.shape
    if triangle.numel() == 0 or faces.shape[0] == 0:
        return torch.zeros_like(positions)
    out = positions.new_zeros((launch.image_copies(images), *positions.shape))
    launch.image_sums(
        kernels.resolve_adjoint,
        images,
        height * width,
        (
            launch.array(positions, wp.vec4),
            launch.array(faces, wp.int32),
            width,
            height,
            launch.array(triangle.view(-1), wp.int32),
            launch.array(gradient.view(-1, 4), wp.vec4),
            launch.array(out.view(-1), wp.float32),
        ),
    )
    return out[0] if out.shape[0] == 1 else out.sum(0)
