"""Child process under a Python that has bpy: renders one mesh under one light with Cycles, once for each material asked for.

    python cycles_render.py JOB_FOLDER

The folder holds job.json (camera, image size, samples, cases) and mesh.npz; out comes CASE.exr beside them, linear, premultiplied.
"""

import json
import os
import sys
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix


def add_mesh(folder):
    arrays = np.load(folder / "mesh.npz")
    mesh = bpy.data.meshes.new("object")
    mesh.from_pydata(arrays["vertices"].tolist(), [], arrays["faces"].tolist())
    layer = mesh.uv_layers.new(name="UVMap")
    corner_uvs = arrays["uvs"][arrays["uv_faces"].ravel()].copy()
    corner_uvs[:, 1] = 1.0 - corner_uvs[:, 1]  # Blender counts v upwards
    layer.data.foreach_set("uv", corner_uvs.astype(np.float32).ravel())
    mesh.polygons.foreach_set("use_smooth", np.ones(len(mesh.polygons), bool))
    mesh.normals_split_custom_set_from_vertices(arrays["normals"].tolist())
    item = bpy.data.objects.new("object", mesh)
    bpy.context.scene.collection.objects.link(item)
    return mesh


def add_camera(job):
    camera = bpy.data.cameras.new("camera")
    camera.lens, camera.sensor_width, camera.sensor_fit = job["lens"], job["sensor_width"], "AUTO"
    camera.shift_x, camera.shift_y = job["shift"]
    item = bpy.data.objects.new("camera", camera)
    item.matrix_world = Matrix(job["camera_to_world"])
    scene = bpy.context.scene
    scene.collection.objects.link(item)
    scene.camera = item


def add_world(folder):
    world = bpy.data.worlds.new("world")
    world.use_nodes = True
    nodes = world.node_tree.nodes
    picture = nodes.new("ShaderNodeTexEnvironment")
    picture.image = load(folder / "light.exr", "Linear Rec.709")
    world.node_tree.links.new(picture.outputs["Color"], nodes["Background"].inputs["Color"])
    bpy.context.scene.world = world


def load(path, color_space):
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = color_space
    return image


def make_material(folder, case):
    material = bpy.data.materials.new(case["name"])
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    shader = nodes["Principled BSDF"]
    shader.inputs["Roughness"].default_value = case["roughness"]
    shader.inputs["Metallic"].default_value = case["metallic"]
    if case["base_color"] is None:
        color = nodes.new("ShaderNodeTexImage")
        color.image = load(folder / "base_color.png", "sRGB")
        color.extension = "EXTEND"
        links.new(color.outputs["Color"], shader.inputs["Base Color"])
    else:
        shader.inputs["Base Color"].default_value = (*case["base_color"], 1.0)
    if case["normal_map"]:
        texture = nodes.new("ShaderNodeTexImage")
        texture.image = load(folder / "normal.png", "Non-Color")
        texture.extension = "EXTEND"
        bump = nodes.new("ShaderNodeNormalMap")
        bump.uv_map = "UVMap"
        links.new(texture.outputs["Color"], bump.inputs["Color"])
        links.new(bump.outputs["Normal"], shader.inputs["Normal"])
    return material


def set_up_render(job):
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = job["samples"]
    scene.cycles.use_denoising = False
    scene.cycles.use_adaptive_sampling = False
    scene.cycles.max_bounces = job["max_bounces"]
    scene.cycles.sample_clamp_indirect = 0.0
    scene.cycles.sample_clamp_direct = 0.0
    scene.cycles.pixel_filter_type = "BOX"
    scene.render.film_transparent = True
    scene.render.use_persistent_data = True
    scene.render.threads_mode = "FIXED"
    scene.render.threads = job["threads"]
    scene.render.resolution_x, scene.render.resolution_y = job["width"], job["height"]
    scene.render.resolution_percentage = 100
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGBA", "32"


def main():
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text())
    bpy.ops.wm.read_factory_settings(use_empty=True)
    set_up_render(job)
    add_camera(job)
    add_world(folder)
    mesh = add_mesh(folder)
    for case in job["cases"]:
        mesh.materials.clear()
        mesh.materials.append(make_material(folder, case))
        bpy.context.scene.render.filepath = str(folder / f"{case['name']}.exr")
        bpy.ops.render.render(write_still=True)


main()
sys.stdout.flush()
os._exit(0)  # bpy's own clean-up at exit is slow and, in some versions, crashes
