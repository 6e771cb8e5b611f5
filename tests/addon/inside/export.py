"""Tiny captures: a glowing ball through an awkward camera, the automatic rig, and what is refused."""

import ctypes.util
import json
import os
from pathlib import Path

import bpy
import numpy as np
from common import FOLDER, answer, camera, counts, install, nodes_of, read_exr, refusal
from mathutils import Matrix

install()
scene = bpy.context.scene
GLOW = (0.5, 0.2, 3.0)
BALL = (0.3, -0.2, 0.4)


def mesh_object(name, add, **where):
    add(**where)
    thing = bpy.context.object
    thing.name = name
    return thing


ball = mesh_object("Ball", bpy.ops.mesh.primitive_ico_sphere_add, subdivisions=4, radius=0.08, location=BALL)
material = bpy.data.materials.new("Glow")
tree = nodes_of(material)
tree.nodes.clear()
glow, output = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeOutputMaterial")
glow.inputs["Color"].default_value, glow.inputs["Strength"].default_value = (*(c / 3.0 for c in GLOW), 1.0), 3.0
tree.links.new(glow.outputs["Emission"], output.inputs["Surface"])
ball.data.materials.append(material)
wall = mesh_object("Wall", bpy.ops.mesh.primitive_cube_add, size=1.0, location=(0.0, 0.0, -1.2))
pose = Matrix.Translation((2.0, -4.0, 2.5)) @ Matrix.Rotation(0.46, 4, "Z") @ Matrix.Rotation(1.1, 4, "X")
awkward = camera(
    "Awkward",
    pose @ Matrix.Diagonal((2.0, 3.0, 0.5, 1.0)),
    sensor_fit="VERTICAL",
    lens=40.0,
    shift_x=0.05,
    shift_y=-0.04,
)
awkward.data.dof.use_dof = True
render = scene.render
render.resolution_x, render.resolution_y, render.resolution_percentage = 301, 400, 50
render.pixel_aspect_x, render.pixel_aspect_y = 1.0, 1.25
render.use_border, render.use_crop_to_border = True, False
render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = 0.11, 0.93, 0.07, 0.88
render.film_transparent, render.use_simplify = False, True
scene.view_settings.exposure, scene.cycles.film_exposure, scene.cycles.use_denoising = 2.0, 3.0, True
scene.timeline_markers.new("Other", frame=1).camera = camera("Other", sensor_width=10.0)
scene.unrender.samples, scene.unrender.source, scene.unrender.held_out = 16, "SCENE", 0


def select(*things):
    for thing in scene.objects:
        thing.select_set(thing in things)


def capture(name):
    scene.unrender.folder = str(FOLDER / name)
    bpy.ops.unrender.export_views()
    data = json.loads((FOLDER / name / "transforms.json").read_text())
    return data["frames"], [read_exr(FOLDER / name / frame["file_path"]) for frame in data["frames"]]


before = (
    counts(),
    render.resolution_x,
    render.use_border,
    render.engine,
    scene.camera,
    ball.hide_render,
    wall.hide_render,
)
select(ball, awkward)
(frame,), (image,) = capture("one")
after = (
    counts(),
    render.resolution_x,
    render.use_border,
    render.engine,
    scene.camera,
    ball.hide_render,
    wall.hide_render,
)

alpha = image[..., 3]
rows, columns = np.mgrid[0 : alpha.shape[0], 0 : alpha.shape[1]] + 0.5
centre = float((alpha * columns).sum() / alpha.sum()), float((alpha * rows).sum() / alpha.sum())
local = np.linalg.inv(np.array(frame["transform_matrix"])) @ np.array([*BALL, 1.0])
predicted = frame["cx"] - frame["fl_x"] * local[0] / local[2], frame["cy"] + frame["fl_y"] * local[1] / local[2]
edge = (alpha > 0.1) & (alpha < 0.9)
inside = image[alpha > 0.999]

select(wall)
scene.unrender.source, scene.unrender.count, scene.unrender.held_out, scene.unrender.resolution = "RIG", 3, 1, 64
frames, images = capture("rig")
fills = []
for picture in images:
    covered = np.argwhere(picture[..., 3] > 0.5)
    fills.append(float((np.ptp(covered, axis=0) + 1).max() / 64))
again, _ = capture("rig")  # an earlier capture of ours is replaced

refusals = {}
select()
refusals["selection"] = refusal(bpy.ops.unrender.export_views)
select(wall)
foreign = FOLDER / "foreign"
foreign.mkdir()
(foreign / "novel.txt").write_text("mine")
refusals["foreign"] = refusal(bpy.ops.unrender.export_views, directory=str(foreign))
used = FOLDER / "used"
(used / "state").mkdir(parents=True)
refusals["used"] = refusal(bpy.ops.unrender.export_views, directory=str(used))
scene.unrender.engine, find = "EEVEE", ctypes.util.find_library
for name in ("DISPLAY", "WAYLAND_DISPLAY"):
    os.environ.pop(name, None)
ctypes.util.find_library = lambda _: None  # a machine without any graphics: EEVEE would end the process
refusals["eevee"] = refusal(bpy.ops.unrender.export_views, directory=str(FOLDER / "eevee"))
scene.unrender.engine, ctypes.util.find_library = "CYCLES", find
awkward.data.type = "ORTHO"
select(wall, awkward)
scene.unrender.source = "SCENE"
scene.unrender.held_out = 0
refusals["ortho"] = refusal(bpy.ops.unrender.export_views, directory=str(FOLDER / "ortho"))
answer(
    size=[frame["w"], frame["h"]],
    image=list(image.shape[:2]),
    centre=centre,
    predicted=predicted,
    inside=[inside.min(axis=0).tolist(), inside.max(axis=0).tolist(), len(inside)],
    edge=[float(np.abs(image[edge][:, :3] / image[edge][:, 3:] - GLOW).max()), int(edge.sum())],
    untouched=before == after,
    splits=[entry["split"] for entry in frames],
    fills=fills,
    same=[entry["file_path"] for entry in again] == [entry["file_path"] for entry in frames],
    refusals=refusals,
    foreign=[path.name for path in foreign.iterdir()],
    ortho_left=sorted(str(path.relative_to(FOLDER)) for path in Path(FOLDER / "ortho").rglob("*") if path.is_file()),
)
