"""What the views are made of."""

from pathlib import Path
from typing import Any

import bpy
from mathutils import Vector

from ...backend.contract import RequestError

# what the picker of the box offers. Blender 4.2 as a module crashes at its end over a property that has a poll function
_EMPTIES: dict[str, Any] = (
    {"poll": lambda _settings, thing: thing.type == "EMPTY"}
    if bpy.app.version >= (4, 3, 0) or bpy.app.binary_path
    else {}
)


class CaptureSettings:
    """The part of a scene's settings that the Capture panel shows."""

    folder: bpy.props.StringProperty(
        name="Job Folder",
        description="Where views, checkpoints and the asset are kept. Empty means a folder beside the saved file",
        subtype="DIR_PATH",
    )
    source: bpy.props.EnumProperty(
        name="Cameras",
        description="Where the views are seen from",
        items=(
            ("RIG", "Automatic Rig", "Cameras on a dome around the selected objects"),
            ("SCENE", "Scene Cameras", "The cameras of this scene; where cameras are selected, only those"),
            (
                "PHOTOS",
                "Camera Backgrounds",
                "The photographs, sequences, movies and clips behind this scene's cameras",
            ),
            ("CLIP", "Movie Clip", "The frames of a movie clip whose camera was solved"),
            ("FOLDER", "Image Folder", "A folder of images with cameras, as other programs write them"),
        ),
    )
    image_folder: bpy.props.StringProperty(
        name="Images", description="Folder with images and their cameras (transforms.json)", subtype="DIR_PATH"
    )
    clip: bpy.props.PointerProperty(
        type=bpy.types.MovieClip, name="Clip", description="The solved movie clip. None takes the scene's active clip"
    )
    frames: bpy.props.IntProperty(
        name="Frames",
        description="Most frames taken of a clip, a sequence or a movie within the scene's range, evenly spread",
        default=60,
        min=1,
        max=10000,
    )
    mask_folder: bpy.props.StringProperty(
        name="Masks",
        description="Folder of mask images named like the photographs (a movie's like its frames: shot_0001), white on "
        "the object. Empty uses their alpha",
        subtype="DIR_PATH",
    )
    engine: bpy.props.EnumProperty(
        name="Renderer",
        description="What renders the views",
        items=(
            ("CYCLES", "Cycles", "True reflections and shadows"),
            ("EEVEE", "EEVEE", "Faster, with reflections and shadows that are only near the truth"),
        ),
    )
    mask: bpy.props.EnumProperty(
        name="Mask",
        description="What the views' alpha marks as the object",
        items=(
            ("ALPHA", "All That Is Seen", "Everything the views show"),
            (
                "SELECTED",
                "Selected Objects",
                "The selected objects; the rest lights and shades them, unseen. Needs Cycles",
            ),
            (
                "INDEX",
                "Object Index",
                "The objects with a pass index; the rest lights and shades them, unseen. Needs Cycles",
            ),
        ),
    )
    mask_index: bpy.props.IntProperty(
        name="Index",
        description="Pass Index (Object Properties > Relations) of the objects",
        default=1,
        min=0,
        max=32767,
    )
    box: bpy.props.PointerProperty(
        type=bpy.types.Object,
        name="Box",
        description="An empty displayed as a cube, around what is to be reconstructed. None finds the bounds itself",
        **_EMPTIES,
    )
    count: bpy.props.IntProperty(
        name="Views", description="Views of the rig that are fitted", default=48, min=2, max=1000
    )
    held_out: bpy.props.IntProperty(
        name="Held Out", description="Views that are only used to measure the result", default=6, min=0, max=500
    )
    resolution: bpy.props.IntProperty(
        name="Resolution", description="Side of the rig's square views", default=512, min=32, max=8192, subtype="PIXEL"
    )
    samples: bpy.props.IntProperty(
        name="Samples", description="Cycles samples of a pixel", default=64, min=1, max=65536
    )
    only_selected: bpy.props.BoolProperty(
        name="Only Selected",
        description="Take all but the selected objects out of the scene for the views, so that they neither show nor shade; "
        "lights stay. Not used where Mask is other than all that is seen",
        default=True,
    )

    def capture_request(self, folder: Path) -> dict[str, Any]:
        """The request's keys that this panel sets: the source, which is `folder`, the job's, but for an image folder; and the box."""
        request: dict[str, Any] = {"source": str(folder)}
        if self.source == "FOLDER":
            request["source"] = bpy.path.abspath(self.image_folder)
        if self.box is not None:
            request["views"] = {"box": bounds_of(self.box)}
        return request


def bounds_of(empty: bpy.types.Object) -> list[float]:
    """Min x, min y, min z, max x, max y, max z in the world of an empty displayed as a cube; a turned one gives the box around it."""
    if empty.type != "EMPTY" or empty.empty_display_type != "CUBE":
        raise RequestError(
            f"the box {empty.name!r} is no empty displayed as a cube",
            hint="Add one (Add > Empty > Cube) around what is to be reconstructed, or clear Box.",
            code="box-invalid",
        )
    side = empty.empty_display_size
    corners = [
        empty.matrix_world @ Vector((x, y, z)) for x in (-side, side) for y in (-side, side) for z in (-side, side)
    ]
    return [function(corner[axis] for corner in corners) for function in (min, max) for axis in range(3)]
