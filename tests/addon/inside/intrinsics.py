"""Random cameras through our formula and through Blender's own two projections; the worst difference in pixels."""

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
for case in range(400):
    whole = case % 2 == 0  # world_to_camera_view knows nothing of a truncated percentage
    render.resolution_x, render.resolution_y = chance.randint(40, 500), chance.randint(40, 500)
    render.resolution_percentage = 100 if whole else chance.randint(10, 300)
    render.pixel_aspect_x, render.pixel_aspect_y = chance.choice(
        [(1, 1), (1, 1), (chance.uniform(1, 2), 1), (1, chance.uniform(1, 2))]
    )
    data = thing.data
    data.sensor_fit = chance.choice(["AUTO", "HORIZONTAL", "VERTICAL"])
    data.lens, data.sensor_width, data.sensor_height = (
        chance.uniform(10, 200),
        chance.uniform(5, 60),
        chance.uniform(5, 60),
    )
    data.shift_x, data.shift_y = (chance.uniform(-0.8, 0.8), chance.uniform(-0.8, 0.8)) if case % 3 else (0.0, 0.0)
    pose = (
        Matrix.Translation([chance.uniform(-1, 1) for _ in range(3)])
        @ Euler([chance.uniform(0, 6.3) for _ in range(3)]).to_matrix().to_4x4()
    )
    thing.parent = parent
    parent.matrix_world = Matrix.Diagonal([chance.uniform(0.3, 3)] * 3).to_4x4()
    thing.matrix_world = pose @ Matrix.Diagonal([*(chance.uniform(0.3, 3) for _ in range(3)), 1]).to_4x4()
    bpy.context.view_layer.update()
    depsgraph = bpy.context.evaluated_depsgraph_get()
    evaluated = thing.evaluated_get(depsgraph)
    pinhole, matrix = cameras.pinhole(evaluated.data, render), cameras.pose(evaluated)
    seen.add((data.sensor_fit, pinhole.width > pinhole.height))
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
answer(worst_matrix=worst[0], worst_view=worst[1], seen=sorted(map(list, seen)))
