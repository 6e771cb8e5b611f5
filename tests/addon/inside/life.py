"""Install, enable, draw, run the operators' polls, unregister; and what Blender's own validator says of the zip."""

import contextlib
import io

import bpy
from common import GIVEN, PACKAGE, answer, install, module, refusal
from recording import lint, untold

UNKNOWN = []
DRAWS = ("draw_header", "draw_header_preset", "draw")


def draw_all():
    """Every panel, menu and the preferences: class name -> what was drawn; faults are gathered."""
    drawn = {}
    for name in sorted(
        name for name in dir(bpy.types) if name.startswith("UNRENDER_") and name[8:12] in ("_PT_", "_MT_")
    ):
        layout = lint(getattr(bpy.types, name), bpy.context, () if name.endswith("_presets") else DRAWS)
        drawn[name] = layout.drawn
        UNKNOWN.extend(f"{name}: {fault}" for fault in layout.faults)
    return drawn


def validate():
    """Blender's own `extension validate`, with the tags checked."""
    cli = next(module for name, module in __import__("sys").modules.items() if name.endswith("bl_extension_cli"))
    with contextlib.redirect_stdout(io.StringIO()) as said:
        status = cli.cli_extension_handler(["validate", GIVEN["archive"]])
    return status, said.getvalue()


import bl_pkg.bl_extension_cli  # noqa: E402, F401

status, said = validate()
install()
present = sorted(dir(bpy.ops.unrender))
idle = refusal(bpy.ops.unrender.cancel)
early = refusal(bpy.ops.unrender.reconstruct)
bpy.context.scene.unrender.folder = "/nowhere/at/all"
lost = refusal(bpy.ops.unrender.import_result)
watch, contract = module("addon.watch"), module("backend.contract")
settings = bpy.context.scene.unrender
drawn = draw_all()


class Stand:
    """A job as the panels see it."""

    paused, failure, folder = False, None, settings.job_folder()

    def stop(self):
        pass


watched = watch._Holder.watched = watch.Watched(Stand(), warnings=["two views are blurred " * 5], device="cpu")
watched.progress = contract.Progress(stage="shape", step=3, steps=10, eta=65.0, psnr=21.5)
settings.light, settings.advanced = "WORLD", True
drawn_running = draw_all()
paused_message = refusal(bpy.ops.unrender.resume)
watched.job.paused, watched.state = True, "cancelled"
drawn_paused = draw_all()
watched.job.failure = contract.Failed(code="x", message="The backend ended.\nlast words", hint="Do this.")
watched.state = "failed"
drawn_failed = draw_all()
watched.state = "finished"
drawn_finished = draw_all()
watch._Holder.watched = None
settings.light = "UNKNOWN"
UNKNOWN += untold(type(settings))
request = bpy.context.scene.unrender.to_request()
bpy.ops.preferences.addon_disable(module=PACKAGE)
answer(
    validate=[status, said],
    operators=present,
    idle=idle,
    early=early,
    lost=lost,
    drawn=drawn,
    drawn_running=drawn_running,
    drawn_paused=drawn_paused["UNRENDER_PT_progress"],
    drawn_failed=drawn_failed["UNRENDER_PT_progress"],
    drawn_finished=drawn_finished["UNRENDER_PT_progress"],
    busy=paused_message,
    unknown=UNKNOWN,
    preset=request.preset,
    left=[name for name in dir(bpy.types) if name.startswith("UNRENDER_")]
    + (["Scene.unrender"] if hasattr(bpy.types.Scene, "unrender") else []),
)
