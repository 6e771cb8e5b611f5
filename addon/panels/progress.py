"""The job: how far it is, what it looks like so far, and the ways to stop it."""

from __future__ import annotations

import textwrap

import bpy

from .. import job, watch
from ..operators.cancel import UNRENDER_OT_cancel
from ..operators.open_file import UNRENDER_OT_open_log
from ..operators.pause import UNRENDER_OT_follow, UNRENDER_OT_pause, UNRENDER_OT_resume
from .base import Panel

_LINE = 46  # characters that fit the sidebar's usual width
_MOST_LINES = 10
_SCALE = 8.0  # of the picture, in icon sizes

_STANDINGS = {
    "interrupted": "The job stopped before its end; Resume goes on",
    "cancelled": "The job was stopped; Resume goes on",
    "failed": "The job failed; the log says why, Resume tries again",
    "finished": "Finished",
}


class UNRENDER_PT_progress(Panel):
    """The job of this Blender, or of this job folder."""

    bl_idname = "UNRENDER_PT_progress"
    bl_label = "Progress"

    def draw(self, context: bpy.types.Context) -> None:
        """Blender calls this."""
        settings = context.scene.unrender
        layout = self.layout
        watched = watch.current()
        standing = job.standing(settings.job_folder())
        if watched is not None and watched.state == "running":
            draw_running(layout, settings, watched)
        elif standing == "running":
            layout.label(text="Running, started elsewhere", icon="INFO")
            layout.operator(UNRENDER_OT_follow.bl_idname, icon="HIDE_OFF")
            layout.operator(UNRENDER_OT_cancel.bl_idname, icon="CANCEL")
        elif watched is not None:
            draw_ended(layout, watched)
        else:
            layout.label(text=_STANDINGS.get(standing, "No job has been started"), icon="INFO")
        if standing != "none" or watched is not None:
            layout.operator(UNRENDER_OT_open_log.bl_idname, icon="TEXT")


def draw_running(layout: bpy.types.UILayout, settings: bpy.types.PropertyGroup, watched: watch.Watched) -> None:
    """Bar, figures, picture and the ways out."""
    layout.progress(factor=watched.fraction(), text=watched.headline())
    facts = [f"{watched.progress.psnr:.1f} dB"] if watched.progress and watched.progress.psnr is not None else []
    facts += [f"on {watched.device}"] if watched.device else []
    if facts:
        layout.label(text=" ".join(facts))
    draw_warnings(layout, watched)
    icon = watch.picture()
    parts = layout.grid_flow(columns=2, even_columns=True, align=True)  # side by side 'Difference' is cut off
    parts.prop(settings, "preview_part", expand=True)
    if icon:
        layout.template_icon(icon_value=icon, scale=_SCALE)
    else:
        has_pictures = watched.preview is not None
        layout.label(text="This picture is not written yet" if has_pictures else "The first picture comes soon")
    layout.prop(settings, "live_mesh")
    row = layout.row(align=True)
    row.operator(UNRENDER_OT_pause.bl_idname, icon="PAUSE")
    row.operator(UNRENDER_OT_cancel.bl_idname, icon="CANCEL")


def draw_ended(layout: bpy.types.UILayout, watched: watch.Watched) -> None:
    """How it ended, and for a failure the last words and what to do."""
    failure = watched.job.failure if watched.state == "failed" else None
    if failure is None:
        layout.label(text=watched.headline(), icon="CHECKMARK" if watched.state == "finished" else "INFO")
    else:
        column = layout.column(align=True)
        lines = wrapped(failure.message)
        column.label(text=lines[0], icon="ERROR")
        for line in lines[1:_MOST_LINES]:
            column.label(text=line)
        for line in wrapped(failure.hint):
            column.label(text=line)
    if watched.state in ("failed", "cancelled"):
        layout.operator(UNRENDER_OT_resume.bl_idname, icon="PLAY")
    draw_warnings(layout, watched)


def draw_warnings(layout: bpy.types.UILayout, watched: watch.Watched) -> None:
    """What the artist should know, the last of it."""
    column = layout.column(align=True)
    for message in watched.warnings[-3:]:
        for index, line in enumerate(wrapped(message)[:3]):
            column.label(text=line, icon="NONE" if index else "INFO")


def wrapped(text: str) -> list[str]:
    """The text in lines that fit the sidebar; its own line breaks are kept."""
    return [line for part in text.splitlines() for line in textwrap.wrap(part, _LINE) or [""]]


CLASSES = (UNRENDER_PT_progress,)
