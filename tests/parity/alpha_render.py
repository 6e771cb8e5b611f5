"""Runs under a Python that has bpy: an asset with alpha, seen by Cycles as our import of its result and as Blender's of its .glb.

    /path/to/bpy/python tests/parity/alpha_render.py RESULT FOLDER

FOLDER receives an .exr a camera of the result and a reading ('ours 0.exr', 'gltf 0.exr') and material.json: what our material is.
"""

import json
import os
import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from round_trip import original, ours


def imported(folder):
    """Our import, with the cameras the views were taken with, in their order."""
    contract, importer, slices = (ours(name) for name in ("backend.contract", "addon.importer.scene", "addon.slices"))
    scene = bpy.data.scenes.new("ours")
    bpy.context.window.scene = scene
    result, wish = contract.read_result(folder), importer.Wish(world=True, cameras=True)
    asset = slices.finish(importer.adding(scene, result, "Cards", wish, print))
    cameras = sorted((thing for thing in scene.objects if thing.type == "CAMERA"), key=lambda thing: thing.name)
    return scene, asset, cameras


def render(scene, cameras, folder):
    """Light that comes from the world alone, as the fit has it; whatever is in front lets through what its alpha says."""
    scene.render.engine, scene.render.film_transparent = "CYCLES", True
    scene.render.threads_mode, scene.render.threads = "FIXED", 2
    scene.cycles.samples, scene.cycles.seed, scene.cycles.max_bounces = 64, 3, 0
    scene.cycles.use_denoising = scene.cycles.use_adaptive_sampling = False
    scene.cycles.pixel_filter_type = "BOX"
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 72, 64, 100
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "OPEN_EXR", "RGBA", "32"
    bpy.context.window.scene = scene
    for number, camera in enumerate(cameras):
        if camera.name not in scene.objects:
            scene.collection.objects.link(camera)
        scene.camera, scene.render.filepath = camera, str(folder / f"{scene.name} {number}.exr")
        bpy.ops.render.render(write_still=True, scene=scene.name)


def main():
    result, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene, asset, cameras = imported(result)
    material = asset.data.materials[0]
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    facts = {
        "from": shader.inputs["Alpha"].links[0].from_node.type,
        "method": material.surface_render_method,
        "packing": next(node.image.alpha_mode for node in material.node_tree.nodes if node.label == "Base Color"),
    }
    (folder / "material.json").write_text(json.dumps(facts))
    render(scene, cameras, folder)
    theirs = original(result / "mesh.glb", result / "environment.exr")
    theirs.name = "gltf"
    render(theirs, cameras, folder)


main()
sys.stdout.flush()
os._exit(0)  # bpy's own clean-up at exit is slow and, in some versions, crashes
