"""Into the normalised box and back."""

from __future__ import annotations

from dataclasses import replace

import torch

from backend.dataset.views import Cameras, Similarity


def similarity_of(low: torch.Tensor, high: torch.Tensor) -> Similarity:
    """The similarity that centres the box [3] to [3] at 0 and makes its longest side 2."""
    centre = (0.5 * (low.double() + high.double())).tolist()
    return Similarity((centre[0], centre[1], centre[2]), 2.0 / float((high.double() - low.double()).max()))


def normalise_cameras(cameras: Cameras, similarity: Similarity) -> Cameras:
    """Cameras in the normalised box: their positions move and scale, their rotations and intrinsics stay, so images stay the same."""
    poses = cameras.camera_to_world.clone()
    poses[:, :3, 3] = similarity.to_normalised(poses[:, :3, 3])
    return replace(cameras, camera_to_world=poses)
