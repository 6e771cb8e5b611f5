"""What the views are made of."""

import bpy


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
        ),
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
        name="Only Selected", description="Hide all but the selected objects from the views; lights stay", default=True
    )
