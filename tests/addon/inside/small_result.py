"""Results made by hand for the scripts inside Blender."""

import json

import bpy
import numpy as np
from common import module
from mathutils import Matrix


def save(path, pixels, kind, color_space):
    """Write [H, W, 3] values as they are; row 0 on top."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = pixels.shape[:2]
    image = bpy.data.images.new("scratch", width, height, float_buffer=kind == "OPEN_EXR")
    image.colorspace_settings.name = color_space
    rgba = np.concatenate([pixels, np.ones((height, width, 1))], axis=2)[::-1].astype(np.float32)
    image.pixels.foreach_set(rgba.ravel())
    image.filepath_raw, image.file_format = str(path), kind
    image.save()
    bpy.data.images.remove(image)


def ball(columns, rows, centre, radius):
    """A sphere without poles, cut open along one meridian for its texture coordinates; its normals are the true ones."""
    down, around = np.mgrid[0 : rows + 1, 0 : columns + 1]
    polar, azimuth = 0.15 + (np.pi - 0.3) * down / rows, 2 * np.pi * around / columns
    normals = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], -1)
    here = np.arange((rows + 1) * (columns + 1)).reshape(rows + 1, -1)
    a, b, c, d = (each.ravel() for each in (here[:-1, :-1], here[1:, :-1], here[1:, 1:], here[:-1, 1:]))
    uv_faces = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32)
    weld = (down * columns + around % columns).ravel()
    vertices = normals[:, :-1].reshape(-1, 3)
    faces = weld[uv_faces].astype(np.int32)
    return {
        "vertices": np.float32(vertices * radius + centre),
        "faces": faces,
        "uvs": np.float32(np.stack([around / columns, 1 - down / rows], -1).reshape(-1, 2)),
        "uv_faces": uv_faces,
        "corner_normals": np.float32(vertices[faces]),
    }


def write_ball(folder, columns, color, views=2, centre=(0.0, 0.0, 0.0), radius=1.0):
    """A result folder: a ball of `columns` x half of it, in one colour, seen by `views` cameras under a grey sky."""
    contract = module("backend.contract")
    folder.mkdir(parents=True)
    np.savez(folder / "mesh.npz", **ball(columns, columns // 2, np.array(centre), radius))
    for kind, value, space in (
        ("base_color", color, "sRGB"),
        ("orm", (1.0, 0.6, 0.0), "Non-Color"),
        ("normal", (0.5, 0.5, 1.0), "Non-Color"),
    ):
        save(folder / f"textures/{kind}.png", np.tile(value, (4, 4, 1)), "PNG", space)
    save(folder / "environment.exr", np.tile((0.5, 0.5, 0.5), (4, 8, 1)), "OPEN_EXR", "Non-Color")
    shots = [
        {
            "name": f"train/{number:03}.png",
            "split": "train",
            "width": 64,
            "height": 48,
            "fx": 70.0 + len(color),
            "fy": 70.0,
            "cx": 32.0,
            "cy": 24.0,
            "camera_to_world": [list(row) for row in Matrix.Translation((number, columns, 3.0))],
        }
        for number in range(views)
    ]
    (folder / "cameras.json").write_text(json.dumps({"cameras": shots}))
    files = {"arrays": "mesh.npz", "environment": "environment.exr", "cameras": "cameras.json"}
    files |= {kind: f"textures/{kind}.png" for kind in ("base_color", "orm", "normal")}
    contract.write_result(
        folder, contract.Result(files=files, metrics={"psnr": 31.25, "held_out_views": 2.0}, version="9.9.9")
    )
