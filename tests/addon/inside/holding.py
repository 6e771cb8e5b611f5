"""How long each operator of ours holds the window: a mesh of 300,000 triangles, textures of 4096 texels, 100 photographs of 24 megapixels.

Meshes and views are made by second real Blenders, as for a window. Also what is left when the user gives up in the middle: nothing.
"""

import json
import os
import struct
import sys
import time
import zlib

import bpy
import numpy as np
from common import FOLDER, GIVEN, answer, camera, counts, install, module
from mathutils import Matrix
from small_result import write_ball
from windowed import LIMIT, pressed, second_blender, timed, window

os.environ.pop("UNRENDER_BACKEND_PYTHON", None)
install()
second_blender(FOLDER)
operators = {
    name: module(f"addon.operators.{name}")
    for name in (
        "asset",
        "cancel",
        "export_views",
        "import_result",
        "open_file",
        "pause",
        "presets",
        "reconstruct",
        "sliced",
    )
}
importing, contract, watch = module("addon.importer.scene"), module("backend.contract"), module("addon.watch")
levels, photographed, runs = (module(f"addon.{name}") for name in ("importer.levels", "exporter.photographed", "runs"))
WINDOWED = (*operators.values(), importing, watch, runs)
scene, settings = bpy.context.scene, bpy.context.scene.unrender
sleep = GIVEN.get("sleep", 0.0)


def png(path, width, height, color, level=1):
    """One colour; `level` 0 stores it as large as a photograph is."""
    row = b"\0" + bytes(color) * width

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(row * height, level))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + body + chunk(b"IEND", b""))


big = FOLDER / "big"
write_ball(big, int(GIVEN["columns"]), (0.8, 0.1, 0.1), views=100)
for kind in ("base_color", "orm", "normal"):
    png(big / f"textures/{kind}.png", 4096, 4096, (128, 128, 250))
facts, every = {}, {}


def fair(kind, prepare=lambda: None, **given):
    """Press a button. Where it held the window for too long, twice more: another process may have had the processor, an operator not."""
    for _ in range(3):
        prepare()
        times = {}
        outcome, said = pressed(kind, times, **given)
        ((label, held),) = times.items()
        every[label] = min(every.get(label, held), held)
        if held < LIMIT:
            break
    return sorted(outcome), said


def fresh():
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    globals()["scene"] = bpy.context.scene
    globals()["settings"] = scene.unrender
    scene.world = bpy.data.worlds.new("Mine")
    settings.import_cameras, settings.folder = True, str(FOLDER / "job")


classes = {name: getattr(bpy.types, name) for name in dir(bpy.types) if name.startswith("UNRENDER_OT_")}
with window(*WINDOWED):
    fresh()
    blank = counts()
    if sleep:  # what the limit is for: one slice that takes its time
        real = importing.images.load
        importing.images.load = lambda *given: time.sleep(sleep) or real(*given)
    facts["import"] = fair(classes["UNRENDER_OT_import_result"], fresh, directory=str(big), name="Big")
    asset = bpy.context.view_layer.objects.active
    facts["imported"] = [
        asset.name,
        len(asset.data.polygons),
        asset.data.name,
        len(bpy.data.images),
        len(bpy.data.libraries),
    ]
    facts["materials"] = [each.name for each in asset.data.materials]
    normals = np.empty(len(asset.data.loops) * 3, np.float32)
    asset.data.corner_normals.foreach_get("vector", normals)
    at, corner = np.empty(len(asset.data.vertices) * 3, np.float32), np.empty(len(asset.data.loops), np.int32)
    asset.data.vertices.foreach_get("co", at)
    asset.data.loops.foreach_get("vertex_index", corner)
    facts["leaning"] = float((at.reshape(-1, 3)[corner] * normals.reshape(-1, 3)).sum(1).min())
    if sleep:
        answer(times=every, **facts)
        sys.exit()

    # Given up after each look: nothing stays. A small mesh is made here, slice by slice.
    small = FOLDER / "small"
    write_ball(small, 24, (0.8, 0.1, 0.1))
    operators["sliced"].BUDGET = 0.0  # one slice a look
    facts["given_up"] = []
    for stop in range(40):
        fresh()
        outcome, _ = pressed(
            classes["UNRENDER_OT_import_result"],
            {},
            lambda look, at=stop: look == at,
            directory=str(small),
            name="Small",
        )
        if outcome == {"FINISHED"}:
            break
        facts["given_up"].append(outcome == {"CANCELLED"} and counts() == blank)
    operators["sliced"].BUDGET = 0.02
    fresh()
    pressed(classes["UNRENDER_OT_import_result"], {}, directory=str(big), name="Big")
    asset = bpy.context.view_layer.objects.active

    levels.RATIOS = (0.1,)
    facts["levels"] = fair(classes["UNRENDER_OT_make_levels"])
    group = next(each for each in bpy.data.collections if each.name.endswith("LODs"))
    facts["level"] = [
        [thing.name, len(thing.data.polygons), [m.name for m in thing.data.materials]]
        for thing in group.objects
        if thing != asset
    ]
    facts["replace"] = fair(classes["UNRENDER_OT_replace_result"], directory=str(big))
    facts["replaced"] = [len(asset.data.polygons), len(bpy.data.images), len(bpy.data.meshes)]

    # The short ones, which need no slices.
    (FOLDER / "job/result").parent.mkdir()
    (FOLDER / "job/result").symlink_to(big)
    for name in ("import_finished", "replace_finished", "import_cameras", "restore_world"):
        fair(classes[f"UNRENDER_OT_{name}"], name="Again", directory="")
    asset.select_set(True)
    bpy.context.view_layer.objects.active = asset
    (FOLDER / "job/log.txt").write_text("said")
    os.environ["PATH"] = ""  # no program opens what is to be opened
    # in a window Blender draws the picture by and by, which needs one
    module("addon.importer.catalogue").draw_preview = lambda *_: None
    for name in ("mark_asset", "open_log", "open_report"):  # presets: see presets.py
        fair(classes[f"UNRENDER_OT_{name}"], name="Mine", author="", summary="", tags="")
    facts["saved"] = [timed(every, "save", lambda: operators["export_views"]._save_copy(FOLDER / "copy.blend"))]

    # The photographs: heads are read, files are copied beside.
    fresh()
    png(FOLDER / "photograph.png", 6000, 4000, (90, 120, 60))
    picture = bpy.data.images.load(str(FOLDER / "photograph.png"))
    for number in range(100):
        thing = camera(f"Shot {number}", Matrix.Translation((0, number, 9)))
        thing.data.background_images.new().image = picture.copy()
    bpy.context.view_layer.update()
    settings.source, settings.folder = "PHOTOS", str(FOLDER / "photographed")
    facts["photographs"] = fair(classes["UNRENDER_OT_export_views"], directory="")
    frames = json.loads((FOLDER / "photographed/transforms.json").read_text())["frames"]
    facts["frames"] = [
        len(frames),
        frames[99]["w"],
        frames[99]["h"],
        len(list((FOLDER / "photographed/images").iterdir())),
    ]
    facts["decoded"] = sum(image.has_data for image in bpy.data.images)
    fair(
        classes["UNRENDER_OT_export_views"],
        lambda: setattr(settings, "folder", str(FOLDER / "given up")),
        interrupt=lambda look: look == 0,
    )
    facts["stopped"] = not (FOLDER / "given up/transforms.json").exists()

    # A second real Blender renders what was never saved, and is ended in the middle of another export.
    fresh()
    bpy.ops.mesh.primitive_cube_add()
    export = operators["export_views"]
    for folder, count in (("rendered", 2), ("ended", 400)):
        settings.source, settings.count, settings.held_out = "RIG", count, 0
        settings.resolution, settings.samples, settings.folder = 32, 1, str(FOLDER / folder)
        times = {}
        facts[folder] = [sorted(pressed(classes["UNRENDER_OT_export_views"], times, directory="")[0])]
        facts[folder].append(times["unrender.export_views"])
        job, limit = export._Running.job, time.monotonic() + 60
        while export.progress() is not None and time.monotonic() < limit:
            export.tick()
            if count > 100 and export.progress() and export.progress()[0]:
                fair(classes["UNRENDER_OT_cancel_export"])
            time.sleep(0.05)
        while job._child.place.exists() and time.monotonic() < limit:
            time.sleep(0.05)
        facts[folder] += [
            export.last_message(),
            (FOLDER / folder / "transforms.json").is_file(),
            job._child.place.exists(),
        ]
        facts[folder].append(job._child._process.poll() is None)

    # The backend, which is a process of its own.
    settings.folder = str(FOLDER / "rendered")
    python = FOLDER / "python"
    python.write_text(f"#!{sys.executable}\nimport time\ntime.sleep(30)\n")
    python.chmod(0o755)
    os.environ["UNRENDER_BACKEND_PYTHON"] = str(python)
    fair(classes["UNRENDER_OT_reconstruct"], restart=True)
    fair(classes["UNRENDER_OT_pause"])
    watch.current().job.kill()
    watch.current().job.wait(10)
    watch.current().take()
    (FOLDER / "rendered/state").mkdir()
    fair(classes["UNRENDER_OT_resume"])
    fair(classes["UNRENDER_OT_cancel"])
    watch.current().job.wait(10)
    facts["backend"] = watch.current().job.process.poll() is not None
    watch.unregister()
operators["sliced"]._Going.now = operators["sliced"].Slice("x")
timed(every, "unrender.cancel_work", bpy.ops.unrender.cancel_work)
operators["sliced"]._Going.now = None
facts["all"] = [
    f"unrender.{name}" for name in dir(bpy.ops.unrender) if "environment" not in name and "backend" not in name
]
answer(times=every, **facts)
