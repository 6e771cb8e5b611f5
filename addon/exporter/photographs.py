"""Photographs on camera backgrounds: which file each camera shows, and the pinhole that makes it match the view through the camera."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import bpy
from mathutils import Matrix

from ...backend.contract import RequestError
from ..slices import Slice, Slices, finish
from . import cameras, image_header

SUFFIXES = {".png", ".jpg", ".jpeg", ".exr", ".tif", ".tiff", ".webp", ".bmp", ".hdr"}


@dataclass(frozen=True)
class Photograph:
    """One photograph, its pinhole with lens distortion, and its pose.

    Attributes:
        name: of the view, for messages and files.
        file: the image on the disk; None where `packed` holds its bytes.
        pinhole: intrinsics in pixels of the image.
        distortion: OpenCV's coefficients by name (k1, k2, p1, p2, k3); empty for none.
        pose: camera to world, rigid.
    """

    name: str
    file: Path | None
    suffix: str
    packed: bytes | None
    pinhole: cameras.Pinhole
    distortion: dict[str, float]
    pose: Matrix


def background(camera: bpy.types.Camera) -> bpy.types.CameraBackgroundImage:
    """The one background that counts; RequestError where there is none, or more than one, or it cannot be taken exactly."""
    shown = [item for item in camera.background_images if item.show_background_image and _content(item) is not None]
    if len(shown) != 1:
        raise RequestError(
            f"camera {camera.name!r} shows {len(shown) or 'no'} background image{'s' if len(shown) > 1 else ''}; expected one",
            hint="Give the camera one background image, or leave it out of the selection.",
            code="background-missing",
        )
    item = shown[0]
    if item.use_flip_x or item.use_flip_y:
        raise _refusal(camera, "is flipped", "Mirror the image file instead; no camera sees a mirrored picture.")
    if item.scale <= 0.0:
        raise _refusal(camera, f"has the scale {item.scale:g}", "Give it a scale above zero.")
    return item


def image_file(camera: bpy.types.Camera, item: bpy.types.CameraBackgroundImage) -> Path | None:
    """The file behind a background image at its current frame, None when it is packed; RequestError says why it cannot be used."""
    image = item.image
    if image.source not in {"FILE", "SEQUENCE"}:
        raise _refusal(camera, f"is of the kind {image.source.lower()}", "Use an image file or a sequence of them.")
    if image.packed_file is not None:
        return None
    stored = image.filepath_from_user(image_user=item.image_user) if image.source == "SEQUENCE" else image.filepath
    path = Path(bpy.path.abspath(stored, library=image.library))
    if not path.is_file():
        raise _refusal(camera, f"is not there: {path}", "Find the file, or pick another one.", "image-missing")
    if path.suffix.lower() not in SUFFIXES:
        raise _refusal(camera, f"is of an unknown kind: {path.name}", f"Use one of {', '.join(sorted(SUFFIXES))}.")
    return path


def refuse_clip(camera: bpy.types.Camera, item: bpy.types.CameraBackgroundImage) -> None:
    """RequestError where the background is a movie clip."""
    if item.source == "MOVIE_CLIP":
        raise _refusal(
            camera,
            "is a movie clip",
            "Turn the clip into an image sequence, undistorted, and use that as the background.",
        )


def placed(
    lens: cameras.Pinhole,
    pixel_aspect: float,
    item: bpy.types.CameraBackgroundImage,
    size: tuple[int, int],
    aspect: float,
    frame_width: float,
) -> tuple[cameras.Pinhole, float]:
    """The pinhole of a background image, and the angle in radians by which the camera is rolled for it.

    Blender draws the image as a rectangle in the camera's frame: fitted to it by `frame_method`, scaled, turned about its own centre by
    -rotation, moved by `offset` in the units of `Camera.view_frame`. A move is one of the principal point, a scale one of the focal
    length, and a turn about any centre is one of the camera about its axis, so all three are exact.

    Args:
        lens: the pinhole of the whole frame, in its pixels.
        pixel_aspect: height of one of the frame's pixels over its width.
        item: the background.
        size: width and height of the image in pixels.
        aspect: the image's width over its height as displayed.
        frame_width: the frame's width in the units of `Camera.view_frame`.
    """
    width, height = float(lens.width), lens.height * pixel_aspect  # the frame, in the widths of its pixels
    frame = width / height
    cropped, fitted = item.frame_method == "CROP", item.frame_method == "FIT"
    if (cropped and aspect > frame) or (fitted and aspect <= frame):
        shown = (height * aspect, height)
    elif cropped or fitted:
        shown = (width, width / aspect)
    else:
        shown = (width, height)
    unit = width / frame_width
    moved_x = item.offset[0] * unit * min(1.0, frame)
    moved_y = item.offset[1] * unit / (max(1.0, frame) * (aspect / frame))
    # the image's centre seen from the principal point, x to the right and y up, in the widths of the frame's pixels
    x = 0.5 * width + moved_x - lens.cx
    y = (lens.cy - 0.5 * lens.height) * pixel_aspect + moved_y
    roll = -item.rotation
    along = x * math.cos(roll) + y * math.sin(roll)
    across = -x * math.sin(roll) + y * math.cos(roll)
    per_x, per_y = size[0] / (item.scale * shown[0]), size[1] / (item.scale * shown[1])
    return (
        cameras.Pinhole(
            width=size[0],
            height=size[1],
            fx=lens.fx * per_x,
            fy=lens.fy * pixel_aspect * per_y,
            cx=0.5 * size[0] - along * per_x,
            cy=0.5 * size[1] + across * per_y,
        ),
        roll,
    )


def read(
    objects: Sequence[bpy.types.Object], scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph, suffix: str = ""
) -> list[Photograph]:
    """The photographs that `objects`, cameras, show at the depsgraph's frame. RequestError names the camera that cannot be used."""
    return finish(reading(objects, scene, depsgraph, suffix))


def reading(
    objects: Sequence[bpy.types.Object], scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph, suffix: str = ""
) -> Slices[list[Photograph]]:
    """The same in slices, a camera each."""
    found: list[Photograph] = []
    for thing in objects:
        yield Slice(f"Looking at camera {len(found) + 1} of {len(objects)}", len(found) / len(objects))
        evaluated = thing.evaluated_get(depsgraph)
        camera = evaluated.data
        item = background(thing.data)
        refuse_clip(thing.data, item)
        file = image_file(thing.data, item)
        packed = bytes(item.image.packed_file.data) if file is None else None
        size = (file and image_header.size(file)) or (item.image.size[0], item.image.size[1])
        if not all(size):
            raise _refusal(thing.data, "cannot be read", "Check the file.", "image-unreadable")
        aspect = size[0] * item.image.display_aspect[0] / (size[1] * item.image.display_aspect[1])
        pixel_aspect = scene.render.pixel_aspect_y / scene.render.pixel_aspect_x
        frame = camera.view_frame(scene=scene)
        whole = cameras.pinhole(camera, scene.render, whole=True)
        lens, roll = placed(whole, pixel_aspect, item, size, aspect, abs(frame[0].x - frame[3].x))
        pose = cameras.pose(evaluated) @ Matrix.Rotation(roll, 4, "Z")
        ending = (file.suffix if file else Path(item.image.filepath).suffix or ".png").lower()
        found.append(Photograph(thing.name + suffix, file, ending, packed, lens, {}, pose))
    return found


def _content(item: bpy.types.CameraBackgroundImage) -> bpy.types.ID | None:
    return item.image if item.source == "IMAGE" else item.clip


def _refusal(camera: bpy.types.Camera, what: str, hint: str, code: str = "background-unusable") -> RequestError:
    return RequestError(f"the background image of camera {camera.name!r} {what}", hint=hint, code=code)
