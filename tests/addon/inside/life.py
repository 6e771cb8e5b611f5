"""Install, enable, draw, run the operators' polls, unregister; and what Blender's own validator says of the zip."""

import contextlib
import io

import bpy
from common import GIVEN, PACKAGE, answer, install, module, refusal

UNKNOWN = []


class Sub:
    """What a fake operator button hands out: takes any property the operator has."""

    def __init__(self, operator):
        object.__setattr__(self, "known", operator.get_rna_type().properties.keys())

    def __setattr__(self, name, value):
        if name not in self.known:
            UNKNOWN.append(f"operator property {name}")


class Layout:
    """Records what a draw function asks for and checks each name against Blender's own."""

    real = bpy.types.UILayout.bl_rna
    icons = real.functions["label"].parameters["icon"].enum_items.keys()

    def __init__(self, drawn):
        object.__setattr__(self, "drawn", drawn)

    def __setattr__(self, name, value):
        if name not in self.real.properties:
            UNKNOWN.append(f"layout.{name}")

    def __getattr__(self, name):
        if name not in self.real.functions:
            UNKNOWN.append(f"layout.{name}()")
        function = self.real.functions[name]

        def call(*arguments, **settings):
            UNKNOWN.extend(f"{name}({key}=)" for key in settings if key not in function.parameters)
            if settings.get("icon", "NONE") not in self.icons:
                UNKNOWN.append(f"icon {settings['icon']}")
            if name == "prop":
                data, prop = arguments
                if prop not in data.bl_rna.properties:
                    UNKNOWN.append(f"property {prop}")
                self.drawn.append(prop)
            if name == "operator":
                space, verb = arguments[0].split(".")
                if verb not in dir(getattr(bpy.ops, space)):
                    UNKNOWN.append(f"operator {arguments[0]}")
                self.drawn.append(arguments[0])
                return Sub(getattr(getattr(bpy.ops, space), verb))
            if name in ("label", "progress"):
                self.drawn.append(settings.get("text", ""))
            return Layout(self.drawn)

        return call


def draw_all(panel):
    drawn = {}
    for cls in panel.CLASSES:
        drawn[cls.__name__] = []
        stand_in = type("StandIn", (cls.__mro__[1],), {"draw": cls.draw})()
        stand_in.layout = Layout(drawn[cls.__name__])
        stand_in.draw(bpy.context)
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
panel, watch = module("addon.panels"), module("addon.watch")
drawn = draw_all(panel)


class Running:
    """A job that is busy."""

    failure = None


watch._Holder.watched = watch.Watched(Running())
watch._Holder.watched.progress = watch.contract.Progress(stage="shape", step=3, steps=10, eta=65.0, psnr=21.5)
drawn_running = draw_all(panel)
watch._Holder.watched = None
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
    unknown=UNKNOWN,
    preset=request.preset,
    left=[name for name in dir(bpy.types) if name.startswith("UNRENDER_")]
    + (["Scene.unrender"] if hasattr(bpy.types.Scene, "unrender") else []),
)
