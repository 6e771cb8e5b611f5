"""A packed HDRI in a world that turns and scales it: what the request says, and what Cycles sees along the axes."""

import math

import bpy
import numpy as np
from common import FOLDER, answer, camera, install, module, nodes_of, read_exr
from mathutils import Matrix

install()
known_light = module("addon.known_light")
scene = bpy.context.scene
height, width = 32, 64
theta = (np.arange(height) + 0.5) / height * math.pi
phi = (0.5 - (np.arange(width) + 0.5) / width) * math.tau
pixels = np.ones((height, width, 4), np.float32)
pixels[..., 0] = 1.0 + np.sin(theta)[:, None] * np.cos(phi)  # red grows towards +X of the picture, green towards its +Y
pixels[..., 1] = 1.0 + np.sin(theta)[:, None] * np.sin(phi)
pixels[..., 2] = 1.0 + np.cos(theta)[:, None]
image = bpy.data.images.new("Sky", width, height, float_buffer=True)
image.colorspace_settings.name = "Linear Rec.709"
image.pixels.foreach_set(pixels[::-1].ravel())
image.update()
image.pack()
scene.world = bpy.data.worlds.new("World")
tree = nodes_of(scene.world)
tree.nodes.clear()
kinds = ("TexCoord", "Mapping", "TexEnvironment", "Background", "OutputWorld")
coordinates, mapping, texture, background, output = (tree.nodes.new(f"ShaderNode{kind}") for kind in kinds)
texture.image = image
mapping.inputs["Rotation"].default_value[2] = math.radians(70.0 + 360.0)
background.inputs["Strength"].default_value = 2.0
for one, other in (
    (coordinates.outputs["Generated"], mapping.inputs["Vector"]),
    (mapping.outputs["Vector"], texture.inputs["Vector"]),
    (texture.outputs["Color"], background.inputs["Color"]),
    (background.outputs["Background"], output.inputs["Surface"]),
):
    tree.links.new(one, other)

light = known_light.read(scene.world)
known_light.write(light, FOLDER)
render = scene.render
render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 4, False
render.resolution_x = render.resolution_y = 4
render.image_settings.file_format = "OPEN_EXR"
seen = {}
for name, turn in (("+X", -90.0), ("+Y", 0.0)):
    pose = Matrix.Rotation(math.radians(turn), 4, "Z") @ Matrix.Rotation(math.radians(90.0), 4, "X")
    scene.camera = camera(name, pose, lens=1000.0)
    render.filepath = str(FOLDER / f"{name}.exr")
    bpy.ops.render.render(write_still=True)
    seen[name] = read_exr(render.filepath)[..., :3].mean(axis=(0, 1)).tolist()
answer(request=light.request(FOLDER), seen=seen)
