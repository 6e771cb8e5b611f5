"""Runs under a Python that has bpy: is an asset that went through our importer the same to Cycles as the original?

    /path/to/bpy/python tests/parity/round_trip.py GLTF HDRI FOLDER [--size 128] [--samples 64]

Original: Blender's own import of the glTF file, under the HDRI. Copy: our import of a result folder made of that file's true mesh and
textures and of that HDRI. Both are seen by eight cameras with the same samples and seed. The folder receives all pictures, one
comparison.png (original, copy, difference times ten) and figures.json: for each camera the PSNR in dB of the sRGB-encoded colours over the
pixels that the object covers, so that no empty background flatters it. The last line printed is those figures.

Emission is taken from the original, since a result has none; it also turns the mesh into a lamp, which would draw other random numbers.
"""

import argparse
import importlib
import json
import math
import os
import sys
import types
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))
from gltf_file import write_result_files  # noqa: E402

VIEWS = 8


def ours(name):
    """A module of the project, imported as the extension imports it but without registering anything."""
    for package, folder in (("unrender_tree", ROOT), ("unrender_tree.addon", ROOT / "addon")):
        if package not in sys.modules:
            sys.modules[package] = types.ModuleType(package)
            sys.modules[package].__path__ = [str(folder)]
    return importlib.import_module(f"unrender_tree.{name}")


def original(gltf, light):
    """Blender's own reading of both files."""
    scene = bpy.data.scenes.new("Original")
    bpy.context.window.scene = scene
    bpy.ops.import_scene.gltf(filepath=str(gltf))
    for material in bpy.data.materials:
        for node in material.node_tree.nodes:
            if node.type == "BSDF_PRINCIPLED":
                for link in node.inputs["Emission Color"].links:
                    material.node_tree.links.remove(link)
                node.inputs["Emission Strength"].default_value = 0.0
    world = bpy.data.worlds.new("Original")
    if world.node_tree is None:
        world.use_nodes = True
    nodes = world.node_tree.nodes
    picture = nodes.new("ShaderNodeTexEnvironment")
    picture.image = bpy.data.images.load(str(light), check_existing=False)
    background = next(node for node in nodes if node.type == "BACKGROUND")
    world.node_tree.links.new(picture.outputs["Color"], background.inputs["Color"])
    scene.world = world
    return scene


def copy(gltf, light, folder):
    """The same through a result folder and our importer."""
    contract, importer = ours("backend.contract"), ours("addon.importer.scene")
    folder.mkdir(parents=True, exist_ok=True)
    contract.write_result(folder, contract.Result(files=write_result_files(gltf, light, folder)))
    scene = bpy.data.scenes.new("Copy")
    bpy.context.window.scene = scene
    wish = importer.Wish(world=True, cameras=False)
    ours("addon.slices").finish(importer.adding(scene, contract.read_result(folder), "Copy", wish, print))
    return scene


def add_cameras(scene, others):
    """Eight around the meshes of `scene`, linked into the others too."""
    bpy.context.window.scene = scene
    bpy.context.view_layer.update()
    corners = [
        thing.matrix_world @ Vector(corner)
        for thing in scene.objects
        if thing.type == "MESH"
        for corner in thing.bound_box
    ]
    low, high = np.min(corners, axis=0), np.max(corners, axis=0)
    centre, reach = Vector((low + high) / 2), float(np.linalg.norm(high - low)) / 2
    made = []
    for number in range(VIEWS):
        azimuth, height = 2 * math.pi * number / VIEWS + 0.2, math.radians((10, 45, -25, 70)[number % 4])
        away = Vector((math.cos(azimuth) * math.cos(height), math.sin(azimuth) * math.cos(height), math.sin(height)))
        data = bpy.data.cameras.new(f"View {number}")
        data.angle, data.clip_start, data.clip_end = math.radians(40), reach * 0.01, reach * 100
        thing = bpy.data.objects.new(data.name, data)
        turn = away.to_track_quat("Z", "Y").to_matrix().to_4x4()
        thing.matrix_world = Matrix.Translation(centre + away * reach / math.sin(math.radians(20)) * 0.95) @ turn
        for each in (scene, *others):
            each.collection.objects.link(thing)
        made.append(thing)
    return made


def render(scene, cameras, size, samples, folder):
    """[views, H, W, 4] linear, premultiplied: the light is seen in the object alone."""
    bpy.context.window.scene = scene
    settings, cycles = scene.render, scene.cycles
    settings.engine, settings.use_persistent_data, settings.film_transparent = "CYCLES", True, True
    settings.resolution_x = settings.resolution_y = size
    settings.resolution_percentage = 100
    settings.threads_mode, settings.threads = "FIXED", 2
    cycles.samples, cycles.seed, cycles.use_denoising, cycles.use_adaptive_sampling = samples, 7, False, False
    settings.image_settings.file_format, settings.image_settings.color_depth = "OPEN_EXR", "32"
    seen = []
    for camera in cameras:
        file = folder / f"{scene.name} {camera.name}.exr"
        scene.camera, settings.filepath = camera, str(file)
        bpy.ops.render.render(write_still=True, scene=scene.name)
        image = bpy.data.images.load(str(file), check_existing=False)
        image.colorspace_settings.name = "Non-Color"
        pixels = np.empty(size * size * 4, np.float32)
        image.pixels.foreach_get(pixels)
        bpy.data.images.remove(image)
        seen.append(pixels.reshape(size, size, 4)[::-1])
    return np.stack(seen)


def encoded(linear):
    """What a screen shows: sRGB, clipped."""
    linear = linear.clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)


def psnr(error):
    return float(-10 * np.log10(max(np.square(error).mean(), 1e-12)))


def picture(path, rows):
    """[H, W, 3] in [0, 1] to a PNG as it is."""
    height, width = rows.shape[:2]
    image = bpy.data.images.new("comparison", width, height)
    image.colorspace_settings.name = "Non-Color"
    image.pixels.foreach_set(np.dstack([rows, np.ones(rows.shape[:2])])[::-1].astype(np.float32).ravel())
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()


def main():
    parser = argparse.ArgumentParser()
    for name in ("gltf", "light", "folder"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--samples", type=int, default=64)
    given = parser.parse_args()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    first = original(given.gltf, given.light)
    second = copy(given.gltf, given.light, given.folder / "result")
    cameras = add_cameras(first, (second,))
    pictures = [render(scene, cameras, given.size, given.samples, given.folder) for scene in (first, second)]
    covered = np.maximum(pictures[0][..., 3], pictures[1][..., 3]) > 0
    truth, seen = (encoded(each[..., :3]) for each in pictures)
    error = seen - truth
    figures = {
        "blender": bpy.app.version_string,
        "psnr": [round(psnr(one[where]), 2) for one, where in zip(error, covered)],
        "covered": round(float(covered.mean()), 3),
    }
    strips = [np.concatenate(list(each), axis=1) for each in (truth, seen, np.abs(error) * 10)]
    picture(given.folder / "comparison.png", np.concatenate(strips).clip(0, 1))
    (given.folder / "figures.json").write_text(json.dumps(figures))
    print(json.dumps(figures))
    sys.stdout.flush()
    os._exit(0)  # bpy's own clean-up at exit crashes in some versions


if __name__ == "__main__":
    main()
