"""What happens to an asset after its import: replaced in place, thinned, catalogued, lit as before, undone; and refusals."""

import json
import shutil

import bpy
import numpy as np
from common import FOLDER, answer, counts, install, refusal
from mathutils import Euler
from small_result import write_ball

install()
ops, scene = bpy.ops.unrender, bpy.context.scene
settings = scene.unrender
first, second = FOLDER / "first", FOLDER / "second"
CENTRE, RADIUS = (3.0, -2.0, 1.0), 0.25  # where the thing stood, and its size
write_ball(first, 24, (0.8, 0.1, 0.1), views=2, centre=CENTRE, radius=RADIUS)
write_ball(second, 32, (0.1, 0.8, 0.1), views=3)
old_world = scene.world = bpy.data.worlds.new("Mine")
facts = {"nothing": refusal(ops.make_levels), "no_world": refusal(ops.restore_world)}


def triangles(thing):
    return len(thing.data.polygons)


def corner_normals(mesh):
    found = np.empty(len(mesh.loops) * 3, np.float32)
    mesh.corner_normals.foreach_get("vector", found)
    return found.reshape(-1, 3)


def positions(mesh):
    """[L, 3] of each corner."""
    found, corners = np.empty(len(mesh.vertices) * 3, np.float32), np.empty(len(mesh.loops), np.int32)
    mesh.vertices.foreach_get("co", found)
    mesh.loops.foreach_get("vertex_index", corners)
    return found.reshape(-1, 3)[corners]


def base_color(material):
    """The picture behind the base colour: what it shows, as stored, and its name."""
    image = next(node.image for node in material.node_tree.nodes if node.label == "Base Color")
    return [round(value, 1) for value in image.pixels[:3]], image.name


# Where the thing stood, and as large.
ops.import_result(directory=str(first), name="Thing")
asset = bpy.context.view_layer.objects.active
bpy.context.view_layer.update()
corners = np.array([asset.matrix_world @ vertex.co for vertex in asset.data.vertices]) - CENTRE
facts["radius"] = [float(value) for value in np.quantile(np.linalg.norm(corners, axis=1), [0, 1])]
facts["external"] = all(not image.packed_file for image in bpy.data.images if image.source == "FILE")

# What the artist makes of it, all of which a replacement must leave.
material = asset.active_material
props = bpy.data.collections.new("Props")
scene.collection.children.link(props)
props.objects.link(asset)
asset.name = "Hero"
asset.location, asset.rotation_euler, asset.scale = (1, 2, 3), Euler((0.1, 0.2, 0.3)), (2, 2, 2)
asset.modifiers.new("Shell", "SOLIDIFY")
asset.data.materials.append(bpy.data.materials.new("Label"))
asset.data["note"] = "mine"
twin = bpy.data.objects.new("Twin", asset.data)  # shares the mesh
scene.collection.objects.link(twin)
material.node_tree.nodes.new("ShaderNodeHueSaturation").name = "Taste"
mapping = next(node for node in scene.world.node_tree.nodes if node.type == "MAPPING")
mapping.inputs["Rotation"].default_value[2] = 0.7
ops.import_cameras()
ops.make_levels()
bpy.context.view_layer.update()
pose = asset.matrix_world.copy()
facts["before"] = [triangles(asset), *base_color(material)]


def levels():
    group = next(each for each in bpy.data.collections if each.name.endswith("LODs"))
    return {thing.name: thing for thing in group.objects if thing != asset}


def level_facts():
    found = []
    for name, thing in sorted(levels().items()):
        truth = positions(thing.data)
        truth = truth - truth.mean(0)  # a ball: its normals are known anywhere
        truth /= np.linalg.norm(truth, axis=1, keepdims=True)
        leaning = float((truth * corner_normals(thing.data)).sum(1).min())
        found.append(
            {
                "name": name,
                "share": triangles(thing) / triangles(asset),
                "leaning": leaning,
                "hidden": [thing.hide_viewport, thing.hide_render],
                "uvs": [layer.name for layer in thing.data.uv_layers],
                "materials": [each.name for each in thing.data.materials],
                "place": thing.parent == asset
                and thing.matrix_basis.is_identity
                and thing.matrix_parent_inverse.is_identity,
            }
        )
    return found


facts["levels"] = level_facts()
facts["lod0"] = [asset.hide_viewport, asset.hide_render, sorted(each.name for each in asset.users_collection)]

# Refusals, each with the scene as it was.
blank, worldly, data = counts(), scene.world, asset.data
facts["refusals"] = {}
for name, spoil in {
    "incomplete": lambda folder: (folder / "textures/orm.png").unlink(),
    "texture": lambda folder: (folder / "textures/normal.png").write_bytes(b"no picture"),
    "cut off": lambda folder: (folder / "result.json").write_bytes((folder / "result.json").read_bytes()[:60]),
    "empty": lambda folder: (folder / "result.json").write_bytes(b""),
    "not text": lambda folder: (folder / "result.json").write_bytes(bytes(range(256))),
    "newer": lambda folder: change(folder / "result.json", format=2),
    "file names": lambda folder: change(folder / "result.json", files={"arrays": 5}),
    "warnings": lambda folder: change(folder / "result.json", warnings=7),
    "no mesh": lambda folder: change(folder / "result.json", files={"environment": "environment.exr"}),
    "no lens": lambda folder: change(
        folder / "cameras.json",
        cameras=[{**each, "width": 0} for each in json.loads((folder / "cameras.json").read_text())["cameras"]],
    ),
}.items():
    folder = FOLDER / name
    shutil.copytree(second, folder)

    def change(path, **values):
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    spoil(folder)
    settings.import_cameras = True
    said = [refusal(operator, directory=str(folder)) for operator in (ops.import_result, ops.replace_result)]
    same = counts() == blank and scene.world == worldly and asset.data == data
    facts["refusals"][name] = [*said, same and base_color(material)[1] == "Thing Base Color"]

# Replaced, and again: nothing but the data changes, and nothing piles up.
settings.import_cameras = False
ops.replace_result(directory=str(second))
facts["counts"] = [counts(), blank]
ops.import_cameras()
with_three = counts()
ops.replace_result(directory=str(second))
ops.import_cameras()
facts["again"] = [counts(), with_three]
bpy.context.view_layer.update()
facts["kept"] = {
    "name": asset.name,
    "mesh": [asset.data.name, asset.data["note"], twin.data == asset.data],
    "pose": max(abs(a - b) for row, other in zip(asset.matrix_world, pose) for a, b in zip(row, other)),
    "collections": sorted(each.name for each in asset.users_collection),
    "slots": [slot.material.name for slot in asset.material_slots],
    "modifiers": [each.name for each in asset.modifiers],
    "node": "Taste" in material.node_tree.nodes,
    "turn": mapping.inputs["Rotation"].default_value[2],
    "world": scene.world.name,
}
facts["after"] = [triangles(asset), *base_color(material)]
facts["levels_after"] = level_facts()
facts["cameras"] = sorted(thing.name for thing in scene.objects if thing.type == "CAMERA")

# The asset browser: with a picture, and without the light and the cameras when it is appended elsewhere.
ops.mark_asset(author="A. Artist", tags="jar, glass")
entry, preview = asset.asset_data, asset.preview
pixels = np.array(preview.image_pixels_float).reshape(*preview.image_size, 4)
shown = pixels[..., 3] > 0.99
facts["entry"] = [entry.author, entry.description, sorted(tag.name for tag in entry.tags)]
facts["picture"] = [float(shown.mean()), pixels[shown][:, :3].mean(0).tolist(), float(pixels[~shown][:, :3].mean())]
facts["studio"] = counts() == with_three

# The artist's world again, and a second import that may not take its place for good.
ops.restore_world()
facts["restored"] = [scene.world == old_world, worldly.name in bpy.data.worlds, worldly.use_fake_user]
settings.pack_images = True
ops.import_result(directory=str(first), name="Other")
other = bpy.context.view_layer.objects.active
facts["packed"] = sum(bool(image.packed_file) for image in bpy.data.images)
bpy.context.view_layer.objects.active = None
facts["several"] = refusal(ops.make_levels)
ops.restore_world()
facts["restored_again"] = scene.world == old_world
file = FOLDER / "library.blend"
bpy.ops.wm.save_as_mainfile(filepath=str(file))
facts["relative"] = sorted({image.filepath[:2] for image in bpy.data.images if image.packed_file})

# One step back undoes a whole import.
bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
scene = bpy.context.scene
scene.world = bpy.data.worlds.new("Mine")
scene.unrender.import_cameras = True
bpy.ops.ed.undo_push(message="before")
fresh = counts()
ops.import_result("EXEC_DEFAULT", True, directory=str(first), name="Thing")
imported = counts()
bpy.ops.ed.undo()
facts["undone"] = [fresh, imported, counts(), bpy.context.scene.world.name]
bpy.ops.ed.redo()
facts["redone"] = counts() == imported
bpy.ops.ed.undo()
with bpy.data.libraries.load(str(file), assets_only=True) as (there, _):
    facts["library"] = list(there.objects)
bpy.ops.wm.append(directory=f"{file}/Object/", filename="Hero")
facts["appended"] = [
    sorted(block.name for block in bpy.data.worlds),
    [t.type for t in bpy.data.objects],
    len(bpy.data.images),
]
answer(**facts)
