"""Photographs on camera backgrounds: against the rectangle Blender draws, written out with its own matrices; and what is refused."""

import json
import random

import bpy
from common import FOLDER, answer, camera, counts, install, module, refusal
from mathutils import Matrix, Vector

install()
photographs = module("addon.exporter.photographs")
capture = module("addon.properties.capture")
scene, render = bpy.context.scene, bpy.context.scene.render
chance = random.Random(3)
sizes = [(40, 24), (24, 40), (32, 32)]
pictures, masks = [], FOLDER / "masks in"
masks.mkdir()
for index, (width, height) in enumerate(sizes):
    made = bpy.data.images.new(f"made{index}", width, height)
    made.filepath_raw, made.file_format = str(FOLDER / f"shot {index}ü.png"), "PNG"
    made.save()
    made.filepath_raw = str(masks / f"shot {index}ü.png")
    made.save()
    bpy.data.images.remove(made)
    pictures.append(bpy.data.images.load(str(FOLDER / f"shot {index}ü.png")))


def drawn(thing, item, size):
    """Where Blender draws the image: the matrix that takes its square, -1 to 1, into the camera's space."""
    corners = thing.data.view_frame(scene=scene)
    wide, high = abs(corners[0].x - corners[3].x), abs(corners[0].y - corners[1].y)
    frame, aspect = wide / high, size[0] / size[1]
    shown = {"STRETCH": (wide, high)}.get(item.frame_method)
    if shown is None:
        by_height = (aspect > frame) == (item.frame_method == "CROP")
        shown = (high * aspect, high) if by_height else (wide, wide / aspect)
    middle = (corners[0] + corners[2]) / 2
    offset = item.offset[0] * min(1, frame), item.offset[1] / (max(1, frame) * (aspect / frame))
    return (
        Matrix.Translation((middle.x + offset[0], middle.y + offset[1], corners[0].z))
        @ Matrix.Rotation(-item.rotation, 4, "Z")
        @ Matrix.Diagonal((shown[0] * item.scale / 2, shown[1] * item.scale / 2, 1, 1))
    )


things = []
for index in range(3):
    thing = camera(f"Shot {index}")
    item = thing.data.background_images.new()
    item.image = pictures[index]
    things.append(thing)
worst, seen = 0.0, set()
for case in range(120):
    thing, size = things[case % 3], sizes[case % 3]
    data, item = thing.data, thing.data.background_images[0]
    render.resolution_x, render.resolution_y = chance.randint(40, 400), chance.randint(40, 400)
    render.pixel_aspect_x, render.pixel_aspect_y = chance.choice([(1, 1), (1.5, 1), (1, 1.25)])
    data.sensor_fit = chance.choice(["AUTO", "HORIZONTAL", "VERTICAL"])
    data.lens, data.shift_x, data.shift_y = chance.uniform(15, 90), chance.uniform(-0.4, 0.4), chance.uniform(-0.4, 0.4)
    item.frame_method = chance.choice(["STRETCH", "FIT", "CROP"])
    item.scale, item.rotation = chance.uniform(0.5, 2), chance.uniform(-3, 3)
    item.offset = chance.uniform(-0.3, 0.3), chance.uniform(-0.3, 0.3)
    thing.matrix_world = Matrix.Translation((1, 2, 3)) @ Matrix.Rotation(chance.uniform(0, 6), 4, "X")
    bpy.context.view_layer.update()
    (found,) = photographs.read([thing], scene, bpy.context.evaluated_depsgraph_get())
    at = Vector((chance.uniform(-1, 1), chance.uniform(-1, 1), 0))
    local = found.pose.inverted() @ (thing.matrix_world @ (drawn(thing, item, size) @ at))
    hole = found.pinhole
    u, v = hole.cx - hole.fx * local.x / local.z, hole.cy + hole.fy * local.y / local.z
    worst = max(worst, abs(u - (at.x + 1) / 2 * size[0]), abs(v - (1 - at.y) / 2 * size[1]))
    seen.add((item.frame_method, data.sensor_fit))

before = counts()
settings = scene.unrender
settings.source, settings.held_out, settings.folder = "PHOTOS", 1, str(FOLDER / "job ü")
settings.mask_folder = str(masks)
bpy.ops.unrender.export_views()
written = json.loads((FOLDER / "job ü/transforms.json").read_text(encoding="utf-8"))
same = all(
    (FOLDER / "job ü" / f["file_path"]).is_file() and (FOLDER / "job ü" / f["mask_path"]).is_file()
    for f in written["frames"]
)

checks = module("addon.exporter.checks")
said = {"well": checks.messages(bpy.context)}
refusals = {}
item = things[1].data.background_images[0]
item.use_flip_x = True
refusals["flip"] = refusal(bpy.ops.unrender.export_views)
item.use_flip_x = False
things[1].scale.x = -1.0
refusals["mirrored"] = refusal(bpy.ops.unrender.export_views)
things[1].scale.x = 1.0
pictures[1].filepath = "//gone.png"
refusals["missing"] = refusal(bpy.ops.unrender.export_views)
things[1].data.background_images.clear()
refusals["none"] = refusal(bpy.ops.unrender.export_views)
settings.mask_folder = ""
said["spoilt"] = checks.messages(bpy.context)
settings.mask_folder = str(masks)
(masks / "shot 0ü.png").unlink()
bpy.data.objects.remove(things[1])
settings.held_out = 0
refusals["mask"] = refusal(bpy.ops.unrender.export_views)

box = bpy.data.objects.new("Box", None)
scene.collection.objects.link(box)
box.empty_display_type, box.empty_display_size = "CUBE", 2.0
box.location, box.scale = (1, 0, 0), (1, 0.5, 1)
bpy.context.view_layer.update()
settings.box, settings.source, settings.image_folder = box, "FOLDER", str(FOLDER / "job ü")
request = settings.to_request()
said["folder"] = checks.messages(bpy.context)
settings.source = "RIG"
said["rig"] = list(checks.remembered(bpy.context))
answer(
    worst=worst,
    seen=len(seen),
    splits=[frame["split"] for frame in written["frames"]],
    same=same,
    refusals=refusals,
    said=said,
    box=list(request.views.box),
    source=request.source == str(FOLDER / "job ü"),
    untouched=before == {**counts(), "cameras": before["cameras"], "objects": before["objects"]},
)
