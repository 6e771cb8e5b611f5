"""The running job."""

from __future__ import annotations

import bpy

from .. import watch
from ..operators.cancel import UNRENDER_OT_cancel


def draw_running(below: bpy.types.UILayout) -> None:
    """Bar, figures and the way out."""
    watched = watch.current()
    if watched is not None and watched.state == "running":
        below.progress(factor=watched.fraction(), text=watched.headline())
        if watched.progress and watched.progress.psnr is not None:
            below.label(text=f"{watched.progress.psnr:.1f} dB on {watched.device}")
    else:
        below.label(text="Running, started elsewhere", icon="INFO")
    below.operator(UNRENDER_OT_cancel.bl_idname, icon="CANCEL")


CLASSES = ()
