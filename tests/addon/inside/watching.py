"""A running job seen from inside Blender: tick by tick, over File > New, undo, saving, and the job's end; and how long a tick takes."""

import shutil
import time

import bpy
import numpy as np
from common import FOLDER, answer, counts, install, module

install()
watch, live, contract = module("addon.watch"), module("addon.live"), module("backend.contract")
folder = FOLDER / "job ü"
(folder / "preview").mkdir(parents=True)
bpy.context.scene.unrender.folder = str(folder)
TILES = ((1, 0, 0), (0, 1, 0), (0, 0, 1))  # photo, render, difference


class Stand:
    """A job that says what it is told to."""

    paused, failure, state, folder = False, None, "running", folder

    def __init__(self):
        self.said = []

    def poll(self):
        said, self.said = self.said, []
        return said

    def stop(self):
        self.state = "cancelled"


def picture(step, side=512):
    image = bpy.data.images.new("strip", 3 * side, side)
    pixels = np.ones((side, 3 * side, 4), np.float32)
    for index, color in enumerate(TILES):
        pixels[:, index * side : (index + 1) * side, :3] = color
    image.pixels.foreach_set(pixels.ravel())
    image.filepath_raw, image.file_format = str(folder / f"preview/{step}.png"), "PNG"
    image.save()
    bpy.data.images.remove(image)
    return contract.Preview(path=f"preview/{step}.png", stage="shape", step=step)


def grid(step, side):
    """A height field of 2 (side - 1)^2 triangles."""
    x, y = np.meshgrid(np.linspace(0, 1, side), np.linspace(0, 1, side))
    vertices = np.stack([x, y, np.full_like(x, step)], -1).reshape(-1, 3)
    corner = (np.arange(side - 1)[:, None] * side + np.arange(side - 1)).reshape(-1, 1)
    faces = np.concatenate([corner + np.array([0, 1, side + 1]), corner + np.array([0, side + 1, side])])
    np.savez(folder / f"preview/{step}.npz", vertices=vertices.astype(np.float32), faces=faces)
    return contract.MeshUpdate(path=f"preview/{step}.npz", stage="shape", step=step, triangles=len(faces))


def look():
    for _ in range(3):  # one asks for the mesh, one shows it, one shows the picture
        began, worked = time.perf_counter(), time.thread_time()
        watch.tick()
        times.append(time.thread_time() - worked)
        walls.append(time.perf_counter() - began)
        watch._Holder.reader.wait()
    thing = bpy.data.objects.get(live.NAME)
    return [len(bpy.data.objects), len(bpy.data.meshes), len(bpy.data.images), len(thing.data.polygons) if thing else 0]


times, walls = [], []
before = counts()
stand = Stand()
watch.follow(stand)
tiles = {
    part: [round(float(v), 2) for v in live.read_tile(folder / picture(0).path, part)[5, 5, :3]] for part in live.STRIP
}
maps = live.read_tile(folder / "preview/0.png", "MAPS") is None
seen = {"idle": look()}
for step, side in ((1, 20), (2, 225), (3, 30)):  # the second has 100,352 triangles
    stand.said = [picture(step), grid(step, side)]
    seen[f"mesh {step}"] = look()
worst = max(times)
icon = watch.picture()
(folder / "preview/4.npz").write_bytes(b"half a file")
stand.said = [contract.MeshUpdate(path="preview/4.npz", stage="shape", step=4, triangles=1)]
seen["damaged"] = look()
blend = FOLDER / "saved.blend"
bpy.ops.wm.save_as_mainfile(filepath=str(blend))
copy = shutil.copy(blend, FOLDER / "copy.blend")
with bpy.data.libraries.load(str(copy)) as (stored, _):
    saved = [list(stored.objects), list(stored.collections)]
stand.said = [grid(5, 40)]
seen["after saving"] = look()
bpy.ops.ed.undo_push(message="a step of the artist's")
bpy.ops.mesh.primitive_cube_add()
bpy.ops.ed.undo_push(message="cube")
bpy.ops.ed.undo()
stand.said = [grid(6, 10)]
seen["after undo"] = look()
bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
seen["new file"] = look()
bpy.ops.wm.open_mainfile(filepath=str(blend))
stand.said = [grid(7, 12)]
seen["opened again"] = look()
bpy.context.scene.unrender.live_mesh = False
seen["switched off"] = look()
bpy.context.scene.unrender.live_mesh = True
stand.said = [grid(8, 12)]
look()
stand.state = "cancelled"
seen["ended"] = look()
answer(
    seen=seen,
    tiles=tiles,
    maps=maps,
    icon=icon,
    worst_ms=worst * 1000,
    worst_wall_ms=max(walls) * 1000,
    before=before,
    after=counts(),
    saved=saved,
)
