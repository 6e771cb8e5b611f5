from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.contract import write_json
from backend.dataset.views import Similarity, Views

_CONVENTION = (
    "camera_to_world in scene units, Z up; a camera looks down its local -Z with +Y up in the image (OpenGL, Blender)."
    " fx fy cx cy in pixels, cy down from the top edge, pixel centres at +0.5."
)


def write_cameras(path: Path, views: Mapping[str, Views | None], similarity: Similarity) -> None:
    """Write the cameras as the fit used them, in the scene's own units.

    Args:
        path: the .json file.
        views: split ('train', 'test') -> its views, or None.
        similarity: scene <-> normalised box.

    Raises:
        OSError: it cannot be written.
    """
    cameras = [
        entry for split, part in views.items() if part is not None for entry in _entries(split, part, similarity)
    ]
    write_json(path, {"format": 1, "convention": _CONVENTION, "cameras": cameras})


def _entries(split: str, views: Views, similarity: Similarity) -> list[dict[str, Any]]:
    poses = views.cameras.camera_to_world.detach().cpu().double().clone()
    poses[:, :3, 3] = similarity.to_scene(poses[:, :3, 3])
    intrinsics = views.cameras.intrinsics.detach().cpu().double().tolist()
    sizes = views.cameras.sizes.tolist()
    return [
        {
            "name": name,
            "split": split,
            "width": width,
            "height": height,
            **dict(zip(("fx", "fy", "cx", "cy"), values)),
            "camera_to_world": pose,
        }
        for name, (height, width), values, pose in zip(views.names, sizes, intrinsics, poses.tolist())
    ]
