"""Views rendered by Cycles or EEVEE: linear EXR with alpha and their cameras, written as a job folder. The user's scene is not touched."""

from __future__ import annotations

import contextlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix

from ...backend import contract
from . import cameras, rig
from .studio import Quality, bystander, studio_scene

OnView = Callable[[int, int], None]
CAPTURE_FORMAT = 1
RIG_LENS = 50.0  # mm on Blender's 36 mm sensor
RIG_LOWEST = math.radians(-30.0)
_OWN_FILES = {"images", "masks", "transforms.json", "request.json", "status.json", "log.txt", ".lock", "preview"}


@dataclass(frozen=True)
class View:
    """One picture to take: `camera` is a data-block of its own, `split` is 'train' or 'test'."""

    name: str
    split: str
    camera: bpy.types.Camera
    pose: Matrix


@contextlib.contextmanager
def scene_camera_views(
    objects: Sequence[bpy.types.Object], depsgraph: bpy.types.Depsgraph, held_out: int
) -> Iterator[list[View]]:
    """The views of the scene's own cameras, `held_out` of them, evenly spread, for testing. Their data-blocks go when the block ends."""
    if not objects:
        raise contract.RequestError(
            "the scene has no camera", hint="Add cameras, or let the automatic rig place them.", code="cameras-missing"
        )
    if held_out >= len(objects):
        raise contract.RequestError(
            f"{held_out} of {len(objects)} cameras would be held out; expected to keep at least one", code="held-out"
        )
    tested = held_out_indices(len(objects), held_out)
    views: list[View] = []
    try:
        for index, camera in enumerate(objects):
            data = cameras.snapshot(camera, depsgraph)
            split = "test" if index in tested else "train"
            views.append(View(camera.name, split, data, cameras.pose(camera.evaluated_get(depsgraph))))
        yield views
    finally:
        for view in views:
            bpy.data.cameras.remove(view.camera)


def held_out_indices(count: int, held_out: int) -> set[int]:
    """`held_out` of `count` views, evenly spread."""
    return {int((index + 0.5) * count / held_out) for index in range(held_out)}


@contextlib.contextmanager
def rig_views(
    objects: Iterable[bpy.types.Object],
    depsgraph: bpy.types.Depsgraph,
    count: int,
    held_out: int,
    size: tuple[int, int],
    fill: float = 0.85,
) -> Iterator[list[View]]:
    """Views from a dome around `objects`, whose outline fills `fill` of each frame. The camera goes when the block ends."""
    points = rig.outline_points(objects, depsgraph)
    data = bpy.data.cameras.new("Unrender Rig")
    try:
        data.lens, data.sensor_width, data.sensor_fit = RIG_LENS, 36.0, "AUTO"
        longest = max(size)
        half = 0.5 * data.sensor_width / data.lens / longest
        tangents = (half * size[0], half * size[1])
        poses = rig.poses(points, count, held_out, tangents, fill, RIG_LOWEST)
        extent = float(np.linalg.norm(np.ptp(points, axis=0)))
        reach = float(np.linalg.norm(poses[:, :3, 3] - points.mean(axis=0), axis=-1).max())
        data.clip_start, data.clip_end = 0.01 * extent, reach + 2.0 * extent
        names = [f"train_{i:03}" for i in range(count)] + [f"test_{i:03}" for i in range(held_out)]
        yield [View(name, name.split("_")[0], data, Matrix(pose.tolist())) for name, pose in zip(names, poses)]
    finally:
        bpy.data.cameras.remove(data)


def write(
    scene: bpy.types.Scene,
    view_layer: bpy.types.ViewLayer,
    views: Sequence[View],
    quality: Quality,
    folder: Path,
    only: Iterable[bpy.types.Object] | None = None,
    on_view: OnView = lambda done, total: None,
) -> Path:
    """Render `views` of `scene` and write the job folder: images/*.exr, then transforms.json, last and in one piece.

    Args:
        scene, view_layer: what is photographed, at the current frame, under its world as it is.
        folder: made when absent; an earlier capture in it is replaced, anything else there is refused with RequestError.
        only: the objects that are seen; None shows the scene as it is. Lights stay in either case.
        on_view: called with (views done, views in all).

    Returns:
        The path of transforms.json.
    """
    names = contract.JobFolder(folder)
    frames = []
    with studio_scene(scene, view_layer, quality, only) as (studio, camera):
        pinholes = [cameras.pinhole(view.camera, studio.render) for view in views]  # refuses before anything is written
        prepare(names)
        for index, (view, pinhole) in enumerate(zip(views, pinholes)):
            on_view(index, len(views))
            camera.data, camera.matrix_world = view.camera, view.pose
            if quality.engine == "CYCLES":
                studio.cycles.seed = quality.seed + index  # no two views share their noise
            relative = f"images/{index:03}_{file_stem(view.name)}.exr"
            studio.render.filepath = str(folder / relative)
            with bystander(studio):
                bpy.ops.render.render(write_still=True, scene=studio.name)
            if not (folder / relative).is_file():
                raise contract.EnvironmentFault(
                    f"{folder / relative} was not written by the renderer", code="not-written"
                )
            frames.append(frame_of(relative, view.split, pinhole, view.pose))
    on_view(len(views), len(views))
    return write_transforms(names, frames, "scene-linear, premultiplied by alpha")


def write_transforms(names: contract.JobFolder, frames: Sequence[dict[str, object]], color: str) -> Path:
    """Write transforms.json, which makes the capture complete, and return its path. `color` says how the images are encoded."""
    distorted = any(key in frame for frame in frames for key in ("k1", "k2", "p1", "p2", "k3"))
    data = {
        "generator": f"Unrender {contract.version()}",
        "capture_format": CAPTURE_FORMAT,
        "camera_model": "OPENCV" if distorted else "PINHOLE",
        "color": color,
        "working_space": getattr(getattr(bpy.data, "colorspace", None), "working_space", "Linear Rec.709"),
        "frames": frames,
        "train_filenames": [frame["file_path"] for frame in frames if frame["split"] == "train"],
        "test_filenames": [frame["file_path"] for frame in frames if frame["split"] == "test"],
    }
    contract.write_json(names.transforms, data)
    return names.transforms


def frame_of(
    relative: str, split: str, pinhole: cameras.Pinhole, pose: Matrix, distortion: dict[str, float] | None = None
) -> dict[str, object]:
    """A frame of transforms.json: the image's path in the job folder, 'train' or 'test', and the camera."""
    return {
        "file_path": relative,
        "split": split,
        "w": pinhole.width,
        "h": pinhole.height,
        "fl_x": pinhole.fx,
        "fl_y": pinhole.fy,
        "cx": pinhole.cx,
        "cy": pinhole.cy,
        **(distortion or {}),
        "transform_matrix": [list(row) for row in pose],
    }


def prepare(names: contract.JobFolder) -> None:
    """Make the folder ready for a capture, or refuse one that holds anything but an earlier capture of ours."""
    folder = names.path
    if names.state.exists() or names.result.exists():
        raise contract.RequestError(
            f"{folder} holds a reconstruction already",
            hint="Choose another job folder; nothing in this one was touched.",
            code="folder-in-use",
        )
    written = [image for part in (names.images, names.masks) if part.is_dir() for image in part.iterdir()]
    ours = all(re.fullmatch(r"\d{3,}_[A-Za-z0-9_-]*\.[a-z]+", image.name) for image in written)
    others = {item.name for item in folder.iterdir()} - _OWN_FILES if folder.exists() else set()
    if names.transforms.exists():
        try:
            ours = ours and "capture_format" in json.loads(names.transforms.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            ours = False
    if others or not ours:
        raise contract.RequestError(
            f"{folder} is not empty and holds no capture of Unrender" + (f" but {min(others)}" if others else ""),
            hint="Choose a new or empty job folder; nothing in this one was touched.",
            code="folder-in-use",
        )
    for path in (names.transforms, names.request, *written):
        path.unlink(missing_ok=True)
    names.images.mkdir(parents=True, exist_ok=True)


def file_stem(name: str) -> str:
    """A view's name as part of a file's name on every system."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:60]
