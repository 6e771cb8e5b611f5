"""Movie clips with a solved camera: the lens that was solved, exact as the solver has it, and where its cameras stand."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np
from mathutils import Matrix

from ...backend.contract import RequestError
from . import cameras, frames


def followed(thing: bpy.types.Object, scene: bpy.types.Scene) -> bpy.types.MovieClip | None:
    """The clip whose solution moves this camera by a Camera Solver constraint; None where none does."""
    for constraint in thing.constraints:
        if isinstance(constraint, bpy.types.CameraSolverConstraint) and not constraint.mute:
            clip = scene.active_clip if constraint.use_active_clip else constraint.clip
            if clip is not None:
                return clip
    return None


def solved_frames(clip: bpy.types.MovieClip, scene: bpy.types.Scene) -> list[int]:
    """The scene's frames, within its range, for which the clip has a picture and a solved camera.

    Raises RequestError where the clip cannot be read or is not solved, or none of its solved frames is in the scene's range.
    """
    if not all(clip.size):
        raise _refusal(clip, "cannot be read", "Find its file in the Movie Clip Editor.", "image-missing")
    solution = _solution(clip)
    if not solution.is_valid:
        raise _refusal(
            clip, "has no solved camera", "Solve its camera in the Movie Clip Editor (Solve > Camera Motion)."
        )
    known = {camera.frame for camera in solution.cameras}
    found = [frame for frame in frames.of_clip(clip, scene) if frame - clip.frame_start + 1 in known]
    if not found:
        raise _refusal(
            clip,
            f"has no solved frame from {scene.frame_start} to {scene.frame_end}, the scene's range",
            "Set the scene's frame range to the clip's (Clip > Set Scene Frames).",
        )
    return found


def solved_pose(clip: bpy.types.MovieClip, frame: int) -> Matrix:
    """Camera to world of the solution itself at one of `solved_frames`, for a clip that no camera of the scene follows."""
    wanted = frame - clip.frame_start + 1
    return next(camera.matrix for camera in _solution(clip).cameras if camera.frame == wanted).normalized()


def lens(clip: bpy.types.MovieClip) -> tuple[cameras.Pinhole, dict[str, float]]:
    """The solved pinhole in pixels of the clip, and its distortion as OpenCV's coefficients.

    The solver works in square pixels, on an image whose height it truncates to whole pixels: the vertical focal length is with respect
    to that, and so is the principal point that it writes back. It measures upwards, which turns the sign of y and so the tangential
    terms' names. Raises RequestError for a lens model whose distortion OpenCV's coefficients do not express.
    """
    camera, (width, height) = clip.tracking.camera, clip.size
    square = int(np.float32(height) * (np.float32(1) / np.float32(camera.pixel_aspect)))
    focal, stretch = camera.focal_length_pixels, height / square
    across, up = camera.principal_point_pixels
    pinhole = cameras.Pinhole(
        width=width,
        height=height,
        fx=focal,
        fy=focal * stretch,
        cx=across,
        cy=height - up,
    )
    return pinhole, distortion(clip)


def distortion(clip: bpy.types.MovieClip) -> dict[str, float]:
    """k1 to k4, p1, p2 of OpenCV's model, empty for a lens without distortion; RequestError for a model that it does not express."""
    camera = clip.tracking.camera
    if camera.distortion_model == "POLYNOMIAL":
        found = {"k1": camera.k1, "k2": camera.k2, "k3": camera.k3}
    elif camera.distortion_model == "BROWN":
        found = {f"k{n}": getattr(camera, f"brown_k{n}") for n in (1, 2, 3, 4)}
        found |= {"p1": -camera.brown_p2, "p2": camera.brown_p1}
    else:
        names = {"DIVISION": ("division_k1", "division_k2"), "NUKE": ("nuke_k1", "nuke_k2", "nuke_p1", "nuke_p2")}
        if any(getattr(camera, name, 0.0) for name in names.get(camera.distortion_model, ())):
            raise _refusal(
                clip,
                f"has a lens of the model {camera.distortion_model.title()}, whose distortion cannot be passed on exactly",
                "Set Lens > Lens Distortion to Polynomial or Brown in the Movie Clip Editor and solve again.",
            )
        found = {}
    return found if any(found.values()) else {}


def follower(clip: bpy.types.MovieClip, scene: bpy.types.Scene) -> bpy.types.Object | None:
    """The scene's camera that follows the clip's solution, the active one before others by name."""
    known = [thing for thing in scene.objects if thing.type == "CAMERA" and followed(thing, scene) == clip]
    return min(known, key=lambda thing: (thing != scene.camera, thing.name), default=None)


def chosen(clip: bpy.types.MovieClip, scene: bpy.types.Scene, most: int) -> Sequence[int]:
    """At most `most` of the clip's solved frames, evenly spread."""
    return frames.spread(solved_frames(clip, scene), most)


def _solution(clip: bpy.types.MovieClip) -> bpy.types.MovieTrackingReconstruction:
    return next(thing for thing in clip.tracking.objects if thing.is_camera).reconstruction


def _refusal(clip: bpy.types.MovieClip, what: str, hint: str, code: str = "clip-unusable") -> RequestError:
    return RequestError(f"the movie clip {clip.name!r} {what}", hint=hint, code=code)
