"""432 cameras, all combinations of what bends a projection, through our formula and Blender's own two; the worst difference in pixels."""

import itertools
import random

import bpy
from bpy_extras.object_utils import world_to_camera_view
from common import answer, camera, install, module
from mathutils import Euler, Matrix, Vector

install()
cameras = module("addon.exporter.cameras")
scene, render = bpy.context.scene, bpy.context.scene.render
chance = random.Random(7)
thing = camera()
parent = bpy.data.objects.new("Parent", None)
scene.collection.objects.link(parent)
worst, seen = [0.0, 0.0], set()
SHAPES = {"landscape": (200, 500, 40, 199), "portrait": (40, 199, 200, 500), "square": (180, 180, 180, 180)}
CASES = itertools.product(
    ("AUTO", "HORIZONTAL", "VERTICAL"),
    (False, True),
    SHAPES,
    ("square", "wide", "tall"),
    (100, 37),
    ("mm", "fov"),
    (1, 3),
)  # fit, shifted, shape, pixels, percentage, unit of the lens, scale
count = 0
for fit, shifted, shape, pixels, percentage, unit, scale in CASES:
    count += 1
    low_x, high_x, low_y, high_y = SHAPES[shape]
    render.resolution_x, render.resolution_y = chance.randint(low_x, high_x), chance.randint(low_y, high_y)
    whole = percentage == 100  # world_to_camera_view knows nothing of a truncated percentage
    render.resolution_percentage = percentage
    render.pixel_aspect_x = chance.uniform(1.1, 2) if pixels == "wide" else 1
    render.pixel_aspect_y = chance.uniform(1.1, 2) if pixels == "tall" else 1
    data = thing.data
    data.sensor_fit = fit
    data.lens, data.sensor_width, data.sensor_height = (
        chance.uniform(10, 200),
        chance.uniform(5, 60),
        chance.uniform(5, 60),
    )
    data.shift_x, data.shift_y = (chance.uniform(-0.8, 0.8), chance.uniform(-0.8, 0.8)) if shifted else (0.0, 0.0)
    if unit == "fov":
        data.lens_unit, data.angle = "FOV", chance.uniform(0.2, 2.0)
    else:
        data.lens_unit = "MILLIMETERS"
    pose = (
        Matrix.Translation([chance.uniform(-1, 1) for _ in range(3)])
        @ Euler([chance.uniform(0, 6.3) for _ in range(3)]).to_matrix().to_4x4()
    )
    thing.parent = parent
    parent.matrix_world = Matrix.Diagonal([chance.uniform(0.3, 3) if scale > 1 else 1.0] * 3).to_4x4()
    thing.matrix_world = (
        pose @ Matrix.Diagonal([*(chance.uniform(0.3, 3) if scale > 1 else 1.0 for _ in range(3)), 1]).to_4x4()
    )
    bpy.context.view_layer.update()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    evaluated = thing.evaluated_get(depsgraph)
    pinhole, matrix = cameras.pinhole(evaluated.data, render), cameras.pose(evaluated)
    seen.add((fit, pinhole.width > pinhole.height))
    x, y, depth = chance.uniform(0, pinhole.width), chance.uniform(0, pinhole.height), chance.uniform(4, 9)
    local = ((x - pinhole.cx) / pinhole.fx * depth, (pinhole.cy - y) / pinhole.fy * depth, -depth)
    world = matrix @ Vector(local)
    clip = evaluated.calc_matrix_camera(
        depsgraph, x=pinhole.width, y=pinhole.height, scale_x=render.pixel_aspect_x, scale_y=render.pixel_aspect_y
    ) @ Vector((*local, 1.0))
    device = (clip.x / clip.w * 0.5 + 0.5) * pinhole.width, (0.5 - clip.y / clip.w * 0.5) * pinhole.height
    worst[0] = max(worst[0], abs(x - device[0]), abs(y - device[1]))
    if whole:
        view = world_to_camera_view(scene, thing, world)
        worst[1] = max(worst[1], abs(x - view.x * pinhole.width), abs(y - (1 - view.y) * pinhole.height))
answer(count=count, worst_matrix=worst[0], worst_view=worst[1], seen=sorted(map(list, seen)))
