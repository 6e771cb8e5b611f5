"""A Blender camera as a pinhole: exact intrinsics in pixels, and its pose without scale."""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Matrix

from ...backend.contract import RequestError


@dataclass(frozen=True)
class Pinhole:
    """Size of the image and intrinsics, all in pixels; cx grows to the right, cy DOWN from the top edge, pixel centres at +0.5."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float


@dataclass(frozen=True)
class Crop:
    """The part of the full image that is written: whole pixels, measured from the full image's top left."""

    left: int
    top: int
    width: int
    height: int


def full_size(render: bpy.types.RenderSettings) -> tuple[int, int]:
    """(width, height) of the whole frame in pixels; Blender truncates the percentage."""
    scale = render.resolution_percentage
    return render.resolution_x * scale // 100, render.resolution_y * scale // 100


def crop(render: bpy.types.RenderSettings) -> Crop:
    """The rectangle a render writes when its border is in use (cropped to it), else the whole frame.

    Blender multiplies in single precision and truncates each edge.
    """
    width, height = full_size(render)
    if not render.use_border:
        return Crop(0, 0, width, height)
    left, right = (int(np.float32(edge) * np.float32(width)) for edge in (render.border_min_x, render.border_max_x))
    bottom, top = (int(np.float32(edge) * np.float32(height)) for edge in (render.border_min_y, render.border_max_y))
    return Crop(left, height - top, right - left, top - bottom)


def pinhole(camera: bpy.types.Camera, render: bpy.types.RenderSettings, whole: bool = False) -> Pinhole:
    """Intrinsics of `camera` in an image of `render`, for every sensor fit, shift, pixel aspect, percentage and border.

    A border counts as cropped, whether `use_crop_to_border` is set or not: `rendered` crops; `whole` ignores the border. Raises
    RequestError for a camera that is no perspective one.
    """
    if camera.type != "PERSP":
        raise RequestError(
            f"camera {camera.name!r} is of type {camera.type}; expected a perspective camera",
            hint="Set the camera's lens type to Perspective, or leave the camera out of the selection.",
            code="camera-type",
        )
    width, height = full_size(render)
    aspect_x, aspect_y = render.pixel_aspect_x, render.pixel_aspect_y
    automatic = camera.sensor_fit == "AUTO"
    horizontal = camera.sensor_fit == "HORIZONTAL" or (automatic and aspect_x * width >= aspect_y * height)
    sensor = camera.sensor_height if camera.sensor_fit == "VERTICAL" else camera.sensor_width
    view = width if horizontal else height * aspect_y / aspect_x  # the side the sensor spans, in pixel widths
    focal_x = camera.lens / sensor * view
    written = Crop(0, 0, width, height) if whole else crop(render)
    return Pinhole(
        width=written.width,
        height=written.height,
        fx=focal_x,
        fy=focal_x * aspect_x / aspect_y,
        cx=width / 2 - camera.shift_x * view - written.left,
        cy=height / 2 + camera.shift_y * view * aspect_x / aspect_y - written.top,
    )


def pose(camera: bpy.types.Object) -> Matrix:
    """Camera to world, rigid: Blender ignores a camera's scale when it renders, so it is taken out. `camera` is an evaluated object.

    Raises RequestError where the scale, its own or its parents', mirrors or flattens the camera: no rigid pose shows what it sees.
    """
    if camera.matrix_world.determinant() <= 0.0:
        raise RequestError(
            f"camera {camera.name!r} is mirrored or flattened by its scale",
            hint="Give the camera and its parents scales above zero (Object > Apply > Scale).",
            code="camera-mirrored",
        )
    return camera.matrix_world.normalized()


def snapshot(camera: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> bpy.types.Camera:
    """A new data-block with the lens `camera` has at this frame (drivers and keys evaluated) and no depth of field."""
    evaluated = camera.evaluated_get(depsgraph).data
    copy = camera.data.copy()
    copy.animation_data_clear()
    for name in ("lens", "sensor_width", "sensor_height", "shift_x", "shift_y", "clip_start", "clip_end"):
        setattr(copy, name, getattr(evaluated, name))
    copy.dof.use_dof = False
    return copy
