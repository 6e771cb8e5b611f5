"""Masks of rendered views: what the rest of the scene does to the chosen object, seen and unseen; and that the scene stays as it is."""

import json

import bpy
import numpy as np
from common import FOLDER, answer, camera, install, nodes_of, read_exr, refusal
from dump import difference, dump
from mathutils import Matrix

install()
scene = bpy.context.scene
changed = []


def ball(name, place, radius, color, glow):
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=3, radius=radius, location=place)
    thing = bpy.context.object
    thing.name = name
    material = bpy.data.materials.new(name)
    tree = nodes_of(material)
    tree.nodes.clear()
    shader = tree.nodes.new("ShaderNodeEmission" if glow else "ShaderNodeBsdfDiffuse")
    shader.inputs["Color"].default_value = (*color, 1.0)
    tree.links.new(shader.outputs[0], tree.nodes.new("ShaderNodeOutputMaterial").inputs["Surface"])
    thing.data.materials.append(material)
    return thing


subject = ball("Subject", (0, 0, 0), 1.0, (1, 1, 1), False)
front = ball("Front", (0, -3, 0), 0.5, (0, 1, 0), True)  # between the camera and the subject, and what lights it
hidden = ball("Hidden", (1.5, -1, 0), 0.4, (0, 0, 1), True)
hidden.hide_render = True
subject.pass_index = 7
eye = camera("Eye", Matrix.Translation((0, -8, 0)) @ Matrix.Rotation(np.pi / 2, 4, "X"))
scene.render.resolution_x = scene.render.resolution_y = 40
bpy.context.view_layer.update()


def export(name, selected, **settings):
    for thing in scene.objects:
        thing.select_set(thing in selected)
    for key, value in {"source": "SCENE", "held_out": 0, "samples": 16, **settings}.items():
        setattr(scene.unrender, key, value)
    bpy.context.view_layer.update()
    before = dump()
    bpy.ops.unrender.export_views(directory=str(FOLDER / name))
    changed.extend(difference(before, dump()))
    frames = json.loads((FOLDER / name / "transforms.json").read_text())["frames"]
    return [read_exr(FOLDER / name / frame["file_path"]) for frame in frames]


def told(image):
    return {"alpha": image[..., 3].tolist(), "mean": image[..., :3].mean(axis=(0, 1)).tolist()}


scene.unrender.mask = "ALPHA"
(alone,) = export("alone", [subject], mask="ALPHA", only_selected=True)
(whole,) = export("whole", [subject], mask="ALPHA", only_selected=False)
(selected,) = export("selected", [subject], mask="SELECTED")
(indexed,) = export("indexed", [], mask="INDEX", mask_index=7)
rig = export("rig", [], mask="INDEX", source="RIG", count=2, resolution=40)
refusals = {}
scene.unrender.mask_index = 9
refusals["index"] = refusal(bpy.ops.unrender.export_views, directory=str(FOLDER / "no"))
scene.unrender.mask_index, scene.unrender.engine = 7, "EEVEE"
module_studio = __import__("importlib").import_module("bl_ext.user_default.unrender.addon.exporter.studio")
module_studio._can_draw = lambda: True
refusals["eevee"] = refusal(bpy.ops.unrender.export_views, directory=str(FOLDER / "no"))
answer(
    alone=told(alone),
    whole=told(whole),
    selected=told(selected),
    indexed=told(indexed),
    rig=[float((image[..., 3] > 0.5).mean()) for image in rig],
    changed=changed,
    refusals=refusals,
)
