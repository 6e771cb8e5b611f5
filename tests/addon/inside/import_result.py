"""A result made by hand, every part of it lopsided, imported and looked at with Cycles; and results that must be refused."""

import json
import math
import shutil

import bpy
import numpy as np
from common import FOLDER, answer, camera, counts, install, module, read_exr, refusal
from mathutils import Euler, Matrix, Vector
from small_result import save

install()
contract = module("backend.contract")
mesh_module, cameras_module = module("addon.importer.mesh"), module("addon.importer.cameras")
exporter = module("addon.exporter.cameras")
scene = bpy.context.scene
CENTRE = (3.0, -2.0, 1.0)  # where the thing stood; the asset must land there


def make_result(folder):
    """A square facing up: its left half matt in four colours, its right half a mirror bent towards +V by the normal map."""
    n = 64
    row, column = np.mgrid[0:n, 0:n]
    left, top, inner = column < n // 2, row < n // 2, column < n // 4
    base = np.ones((n, n, 3)) * 0.9
    for where, color in (
        (left & top & inner, (0.8, 0.1, 0.1)),
        (left & top & ~inner, (0.1, 0.8, 0.1)),
        (left & ~top & inner, (0.1, 0.1, 0.8)),
        (left & ~top & ~inner, (0.8, 0.8, 0.1)),
    ):
        base[where] = color
    orm = np.where(left[..., None], (1.0, 1.0, 0.0), (1.0, 0.0, 1.0))
    tilt = math.radians(22.5)
    normal = np.where(left[..., None], (0.5, 0.5, 1.0), (0.5, 0.5 + 0.5 * math.sin(tilt), 0.5 + 0.5 * math.cos(tilt)))
    save(folder / "textures/base_color.png", base, "PNG", "sRGB")
    save(folder / "textures/orm.png", orm, "PNG", "Non-Color")
    save(folder / "textures/normal.png", normal, "PNG", "Non-Color")
    height = 64
    v, u = (np.mgrid[0:height, 0 : 2 * height] + 0.5) / np.array([height, 2 * height]).reshape(2, 1, 1)
    azimuth = (0.5 - u) * 2 * math.pi
    sky = np.zeros((height, 2 * height, 3))
    for angle, color in ((0, (1, 0, 0)), (90, (0, 1, 0)), (180, (0, 0, 1)), (270, (1, 1, 0))):  # +X +Y -X -Y
        sky[np.cos(azimuth - math.radians(angle)) > math.cos(math.pi / 4)] = color
    sky[v < 1 / 6] = 2.0  # +Z, within 30 degrees
    sky[v > 5 / 6] = 0.0
    save(folder / "environment.exr", sky, "OPEN_EXR", "Non-Color")
    corners = np.array([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)], np.float32)
    leaning = np.tile(np.float32([0, 0, 1]), (2, 3, 1))
    leaning[1, 2] = np.float32([0.6, 0.0, 0.8])  # one corner leans, far from what the mirror's centre shows
    arrays = {
        "vertices": corners + np.float32(CENTRE),
        "faces": np.int32([(0, 1, 2), (0, 2, 3)]),
        "uvs": np.float32([(0, 0), (1, 0), (1, 1), (0, 1)]),
        "uv_faces": np.int32([(0, 1, 2), (0, 2, 3)]),
        "corner_normals": leaning,
    }
    np.savez(folder / "mesh.npz", **arrays)
    pose = Matrix.Translation((1.0, 2.0, 3.0)) @ Euler((0.4, 0.2, 1.0)).to_matrix().to_4x4()
    shot = {
        "name": "images/007_test.exr",
        "split": "test",
        "width": 200,
        "height": 130,
        "fx": 310.0,
        "fy": 260.0,
        "cx": 93.0,
        "cy": 71.5,
    }
    (folder / "cameras.json").write_text(
        json.dumps({"cameras": [{**shot, "camera_to_world": [list(line) for line in pose]}]})
    )
    files = {"arrays": "mesh.npz", "environment": "environment.exr", "cameras": "cameras.json"}
    files |= {kind: f"textures/{kind}.png" for kind in ("base_color", "orm", "normal")}
    contract.write_result(folder, contract.Result(files=files))
    return arrays, shot, pose


def look(pose, pixels, transparent):
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 64, False
    scene.render.film_transparent, scene.render.use_persistent_data = transparent, True
    scene.world.cycles.sampling_method, scene.world.cycles.sample_map_resolution = (
        "MANUAL",
        128,
    )  # quick; nothing shines sharply
    scene.render.resolution_x = scene.render.resolution_y = pixels
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.filepath = str(FOLDER / "look.exr")
    scene.camera = camera("Look", pose, lens=50.0)
    bpy.ops.render.render(write_still=True)
    return read_exr(FOLDER / "look.exr")


good = FOLDER / "job" / "result"
good.mkdir(parents=True)
arrays, shot, pose = make_result(good)
old_world = bpy.data.worlds.new("Mine")
scene.world = old_world
blank = counts()

refusals = {}
for name, spoil in {
    "incomplete": lambda folder: (folder / "textures/orm.png").unlink(),
    "arrays": lambda folder: (folder / "mesh.npz").write_bytes(b"PK junk"),
    "texture": lambda folder: (folder / "textures/normal.png").write_bytes(b"no picture"),
    "light": lambda folder: (folder / "environment.exr").write_bytes(b"no picture"),
    "cameras": lambda folder: (folder / "cameras.json").write_text('{"cameras": [{}]}'),
    "indices": lambda folder: np.savez(folder / "mesh.npz", **{**arrays, "faces": np.int32([(0, 1, 9), (0, 2, 3)])}),
}.items():
    folder = FOLDER / name
    shutil.copytree(good, folder)
    spoil(folder)
    scene.unrender.import_cameras = True
    said = refusal(bpy.ops.unrender.import_result, directory=str(folder))
    refusals[name] = [said, counts() == blank, scene.world == old_world, "unrender_previous_world" in scene]

bpy.ops.unrender.import_result(directory=str(FOLDER / "job"), name="Thing")  # the job folder around the result does too
thing = bpy.context.view_layer.objects.active
normals = np.empty(18, np.float32)
thing.data.corner_normals.foreach_get("vector", normals)
imported = scene.objects["007_test"]
scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = (
    shot["width"],
    shot["height"],
    100,
)
stored = cameras_module.read(good / "cameras.json")[0]
scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = cameras_module.pixel_aspect(stored)
bpy.context.view_layer.update()
back = exporter.pinhole(imported.data, scene.render)
scene.render.pixel_aspect_x = scene.render.pixel_aspect_y = 1.0

above = look(Matrix.Translation(Vector(CENTRE) + Vector((0, 0, 4.0))), 64, True)  # +Y up in the image
patches = {name: above[y, x, :3].tolist() for name, y, x in (
    ("top outer", 20, 13), ("top inner", 20, 25), ("bottom outer", 44, 13), ("bottom inner", 44, 25), ("mirror", 32, 44),
)}  # fmt: skip
sky = {}
for name, direction in (
    ("+X", (1, 0, 0)),
    ("+Y", (0, 1, 0)),
    ("-X", (-1, 0, 0)),
    ("-Y", (0, -1, 0)),
    ("+Z", (0, 0, 1)),
):
    turn = Vector(direction).to_track_quat("Z", "Y").to_matrix().to_4x4()
    sky[name] = look(Matrix.Translation((40.0, 40.0, 40.0)) @ turn @ Matrix.Rotation(math.pi, 4, "Y"), 4, False)[
        2, 2, :3
    ].tolist()
answer(
    refusals=refusals,
    patches=patches,
    sky=sky,
    collection=[thing.users_collection[0].name, thing.name],
    spread=[list(map(float, np.ptp(arrays["vertices"], axis=0))), list(thing.dimensions)],
    normals=float(np.abs(normals.reshape(2, 3, 3) - arrays["corner_normals"]).max()),
    camera=max(abs(getattr(back, key) - shot[key]) for key in ("width", "height", "fx", "fy", "cx", "cy")),
    pose=max(abs(a - b) for one, other in zip(imported.matrix_world, pose) for a, b in zip(one, other)),
    world=[scene.world.name, old_world.users],
    spaces=sorted(
        image.colorspace_settings.name for image in bpy.data.images if image.source == "FILE" and image.users
    ),
)
