from __future__ import annotations

import torch
from torch import Tensor

from backend.dataset.views import Cameras

# Half the diagonal of the normalised box with room to spare: nothing that is fitted lies farther from the origin.
_REACH = 2.0


def world_to_camera(cameras: Cameras) -> Tensor:
    """[N, 4, 4] inverses of the rigid poses (rotation transposed, so exact for rigid ones)."""
    rotation = cameras.camera_to_world[:, :3, :3].transpose(1, 2)
    inverse = torch.zeros_like(cameras.camera_to_world)
    inverse[:, :3, :3] = rotation
    inverse[:, :3, 3:] = -rotation @ cameras.camera_to_world[:, :3, 3:]
    inverse[:, 3, 3] = 1.0
    return inverse


def projection(cameras: Cameras, canvas: tuple[int, int]) -> Tensor:
    """Camera space to clip space, row 0 of the image at y/w = -1, near and far planes fitted to the normalised box.

    A point (X, Y, Z) before the camera (Z < 0) lands on pixel x = cx + fx X / -Z, y = cy - fy Y / -Z.

    Args:
        cameras: N cameras in the normalised box's coordinates.
        canvas: (height, width) of the images rendered; each camera's own image is its top left part.

    Returns:
        [N, 4, 4] matrices for column vectors. Gradients reach the intrinsics.
    """
    height, width = canvas
    fx, fy, cx, cy = cameras.intrinsics.unbind(-1)
    distance = cameras.camera_to_world[:, :3, 3].detach().norm(dim=-1)
    near = torch.maximum(distance - _REACH, 0.01 * distance).clamp(min=1e-3)
    far = distance + _REACH
    matrix = cameras.intrinsics.new_zeros(len(cameras), 4, 4)
    matrix[:, 0, 0] = 2.0 * fx / width
    matrix[:, 0, 2] = 1.0 - 2.0 * cx / width
    matrix[:, 1, 1] = -2.0 * fy / height
    matrix[:, 1, 2] = 1.0 - 2.0 * cy / height
    matrix[:, 2, 2] = -(far + near) / (far - near)
    matrix[:, 2, 3] = -2.0 * far * near / (far - near)
    matrix[:, 3, 2] = -1.0
    return matrix


def clip_positions(points: Tensor, cameras: Cameras, canvas: tuple[int, int]) -> Tensor:
    """Points [V, 3] seen by N cameras -> [N, V, 4] clip positions. Gradients reach the points, poses and intrinsics."""
    matrix = projection(cameras, canvas) @ world_to_camera(cameras)
    return (points @ matrix[:, :, :3].transpose(1, 2) + matrix[:, None, :, 3]).contiguous()
