"""The sidebar in the 3D view, in the order of work. Drawing computes nothing beyond a look at the job folder."""

import bpy

from . import capture, progress, reconstruct, result

CLASSES = (*capture.CLASSES, *reconstruct.CLASSES, *progress.CLASSES, *result.CLASSES)


def register() -> None:
    """Add the panels."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    """Take them away."""
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
