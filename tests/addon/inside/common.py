"""What the scripts that run inside Blender share. They get one JSON argument and write one JSON answer."""

import importlib
import json
import sys
from pathlib import Path

import bpy
import numpy as np

GIVEN = json.loads(sys.argv[1])
FOLDER = Path(GIVEN["folder"])
PACKAGE = "bl_ext.user_default.unrender"
KINDS = ("objects", "meshes", "materials", "images", "worlds", "cameras", "collections", "scenes", "node_groups")


def install():
    """Install and enable the built zip, and start from an empty file."""
    bpy.ops.extensions.package_install_files(filepath=GIVEN["archive"], repo="user_default", enable_on_install=True)
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)


def module(name):
    return importlib.import_module(f"{PACKAGE}.{name}")


def answer(**facts):
    Path(GIVEN["answer"]).write_text(json.dumps(facts), encoding="utf-8")


def counts():
    """How many data-blocks there are, but for the picture Blender itself keeps of a render."""
    return {
        kind: sum(getattr(block, "type", "") != "RENDER_RESULT" for block in getattr(bpy.data, kind)) for kind in KINDS
    }


def refusal(operator, **arguments):
    """What an operator that must fail says."""
    try:
        operator(**arguments)
    except RuntimeError as error:
        return str(error)
    return ""


def read_exr(path):
    """[H, W, 4] as stored, row 0 on top."""
    image = bpy.data.images.load(str(path), check_existing=False)
    image.colorspace_settings.name = "Non-Color"
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    pixels = pixels.reshape(image.size[1], image.size[0], 4)[::-1].copy()
    bpy.data.images.remove(image)
    return pixels


def camera(name="Camera", matrix=None, **settings):
    data = bpy.data.cameras.new(name)
    for key, value in settings.items():
        setattr(data, key, value)
    thing = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(thing)
    if matrix is not None:
        thing.matrix_world = matrix
    return thing


def nodes_of(block):
    if block.node_tree is None:
        block.use_nodes = True
    return block.node_tree
