"""What is taken of a finished asset."""

import bpy


class ResultSettings:
    """The part of a scene's settings that the Result panel shows."""

    import_world: bpy.props.BoolProperty(
        name="World", description="Light the scene with the found HDRI; the world it had is kept", default=True
    )
    import_cameras: bpy.props.BoolProperty(
        name="Cameras", description="Add the cameras the views were taken with", default=False
    )
    pack_images: bpy.props.BoolProperty(
        name="Pack Images",
        description="Keep the images in the .blend. Otherwise they are read from the result folder, which the next reconstruction there "
        "writes anew",
        default=False,
    )
