"""What scripts/screen.py does in Blender's window: a small job through the panels, step by step on a timer, as the window stays alive."""

import json
import math
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import bpy

GIVEN = json.loads(os.environ["UNRENDER_SCREEN"])
FOLDER = Path(GIVEN["folder"])
PAINT = (0.8, 0.25, 0.08, 1.0)
PATIENCE = 400.0  # seconds for any one step


def until(condition: Callable[[], bool], words: str) -> Iterator[None]:
    """Give the window its time until the condition holds."""
    limit = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > limit:
            raise TimeoutError(f"{words}: not after {PATIENCE:.0f} s")
        yield


def pause(seconds: float) -> Iterator[None]:
    """Give the window its time."""
    end = time.monotonic() + seconds
    return until(lambda: time.monotonic() > end, "a pause")


def picture(name: str) -> Iterator[None]:
    """Have a picture taken of the screen."""
    for area in bpy.context.window_manager.windows[0].screen.areas:
        area.tag_redraw()
    yield from pause(1.0)
    print(f"PICTURE {name}", flush=True)
    yield from until((FOLDER / f"{name}.taken").exists, f"the picture {name}")


def view() -> tuple[bpy.types.Window, bpy.types.Area, bpy.types.Region, bpy.types.Region]:
    """The window, its large 3D view, and that view's main part and sidebar."""
    window = bpy.context.window_manager.windows[0]
    area = max((a for a in window.screen.areas if a.type == "VIEW_3D"), key=lambda a: a.width)
    regions = {region.type: region for region in area.regions}
    return window, area, regions["WINDOW"], regions["UI"]


def make_scene() -> None:
    """A painted monkey under an even sky, alone."""
    for thing in list(bpy.data.objects):
        bpy.data.objects.remove(thing)
    bpy.ops.mesh.primitive_monkey_add(size=2.0)
    monkey = bpy.context.object
    bpy.ops.object.shade_smooth()
    monkey.modifiers.new("Smooth", "SUBSURF").levels = 2
    material = bpy.data.materials.new("Paint")
    material.diffuse_color = PAINT
    material.use_nodes = True
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = PAINT
    shader.inputs["Roughness"].default_value = 0.45
    monkey.data.materials.append(material)
    world = bpy.context.scene.world
    world.use_nodes = True
    sky = next(node for node in world.node_tree.nodes if node.type == "BACKGROUND")
    sky.inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)


def arrange() -> Iterator[None]:
    """The object in the middle of the view, with the sidebar open at our tab."""
    window, area, region, sidebar = view()
    space = area.spaces.active
    space.show_region_ui = True
    space.shading.color_type = "TEXTURE"  # drawn at once without a GPU, unlike the other ways to see textures
    yield from pause(1.0)
    sidebar = view()[3]
    sidebar.active_panel_category = "Unrender"
    space.region_3d.view_rotation = (math.cos(0.6), math.sin(0.6), 0.0, 0.0)
    with bpy.context.temp_override(window=window, area=area, region=region):
        bpy.ops.view3d.view_axis(type="FRONT")
        bpy.ops.view3d.view_orbit(angle=math.radians(25), type="ORBITLEFT")
        bpy.ops.view3d.view_orbit(angle=math.radians(-15), type="ORBITUP")
        bpy.ops.view3d.view_selected()
    space.region_3d.view_distance *= 1.3


def settings() -> Any:
    """The scene's settings of ours."""
    return bpy.context.scene.unrender


def set_up() -> None:
    """The smallest job that shows something."""
    chosen = {
        "folder": str(FOLDER / "job"),
        "source": "RIG",
        "count": 12,
        "held_out": 2,
        "resolution": 64,
        "samples": 16,
        "preset": "draft",
        "device": "cpu",
        "advanced": True,
        "view_resolution": 64,
        "grid_cells": 32,
        "shape_steps": 200 if GIVEN["sitting"] == "whole" else 260,  # time to be killed in
        "refine_steps": 120,
        "threads": 2,
    }
    for name, value in chosen.items():
        setattr(settings(), name, value)


def press(operator: Any) -> None:
    """Press a button of the sidebar."""
    window, area, region, _ = view()
    with bpy.context.temp_override(window=window, area=area, region=region):
        began = time.perf_counter()
        said = operator("INVOKE_DEFAULT")
        print(f"{operator.idname_py()} {said} held the window for {time.perf_counter() - began:.3f} s", flush=True)


def package() -> str:
    """The extension's name, once it is enabled."""
    names = (addon.module for addon in bpy.context.preferences.addons)
    return next(name for name in names if name.endswith(".unrender"))


def watch_module() -> ModuleType:
    """What follows the job."""
    return sys.modules[f"{package()}.addon.watch"]


def begin() -> Iterator[None]:
    """From an empty window to a reconstruction that has something to show."""
    yield from pause(2.0)
    make_scene()
    bpy.ops.extensions.package_install_files(filepath=GIVEN["archive"], repo="user_default", enable_on_install=True)
    bpy.context.preferences.addons[package()].preferences.interpreter = GIVEN["backend"]
    watch = watch_module()
    set_up()
    yield from arrange()
    yield from picture("capture")
    press(bpy.ops.unrender.export_views)
    export = sys.modules[f"{package()}.addon.operators.export_views"]
    yield from until(lambda: export.progress() is None, "the views")
    print(f"Export: {export.last_message()}", flush=True)
    press(bpy.ops.unrender.reconstruct)
    yield from until(lambda: shown(watch), "the live mesh and the preview")
    bpy.context.object.hide_set(True)  # the live mesh stands where the monkey is
    yield from pause(2.0)
    yield from picture("progress")


def finish() -> Iterator[None]:
    """From a running reconstruction to the asset in the scene."""
    watch = watch_module()
    yield from until(lambda: not watch.running(), "the reconstruction's end")
    state = watch.current().state
    if state != "finished":
        raise RuntimeError(f"the reconstruction is {state}: {watch.current().job.failure}")
    press(bpy.ops.unrender.import_result)
    monkey = bpy.data.objects["Suzanne"]
    yield from until(lambda: len(bpy.context.scene.objects) > 1, "the asset")
    monkey.hide_set(True)
    yield from pause(3.0)
    yield from picture("result")
    (FOLDER / "done").touch()


def whole() -> Iterator[None]:
    """All in one sitting; each yield gives the window its time."""
    yield from begin()
    yield from finish()


def killed() -> Iterator[None]:
    """The first sitting of two: it ends in the middle of the reconstruction, by force."""
    yield from begin()
    bpy.data.objects["Suzanne"].hide_set(False)
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / "monkey.blend"))
    bpy.ops.wm.save_userpref()  # that the extension is enabled, and where its backend is
    progress = watch_module().current().progress
    print(f"Killed at {progress.stage}, step {progress.step}", flush=True)
    print(f"KILL {os.getpid()}", flush=True)
    yield from until(lambda: False, "the end")


def again() -> Iterator[None]:
    """The second sitting, with the file of the first: the panel offers to resume, and the job is brought to its end."""
    yield from pause(3.0)
    yield from arrange()
    watch = watch_module()
    if watch.running() or not bpy.ops.unrender.resume.poll():
        raise RuntimeError("the panel does not offer to resume")
    yield from picture("offered")
    press(bpy.ops.unrender.resume)

    def fitting() -> bool:
        progress = watch.current().progress
        return progress is not None and progress.stage != "views"

    yield from until(fitting, "the resumed job's first step")
    progress = watch.current().progress
    print(f"Resumed at {progress.stage}, step {progress.step}", flush=True)
    if progress.stage == "shape" and progress.step < 30:
        raise RuntimeError(f"it began anew: {progress}")
    yield from until(lambda: shown(watch), "the live mesh and the preview")
    bpy.data.objects["Suzanne"].hide_set(True)
    yield from pause(2.0)
    yield from picture("resumed")
    bpy.data.objects["Suzanne"].hide_set(False)
    yield from finish()


def shown(watch: ModuleType) -> bool:
    """True when there is something to see; RuntimeError where the job has failed."""
    now = watch.current()
    if now is not None and now.state not in ("running", "starting"):
        raise RuntimeError(f"the reconstruction is {now.state}: {now.job.failure}")
    return bool(now and now.preview and now.progress and (now.progress.psnr or 0) > 12 and now.progress.step > 60)


def tick() -> float | None:
    """The next step; Blender calls this."""
    try:
        next(STEPS)
        return 0.1
    except StopIteration:
        bpy.ops.wm.quit_blender()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(4)
    return None


bpy.context.preferences.view.show_splash = False
STEPS = {"whole": whole, "killed": killed, "again": again}[GIVEN["sitting"]]()
bpy.app.timers.register(tick, first_interval=1.0, persistent=True)
