from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from backend import contract
from backend.dataset.views import Similarity, Views
from backend.export.asset import Arrays, Asset, scene_arrays, texture_images
from backend.export.cameras import write_cameras
from backend.export.gltf import write_glb
from backend.export.images import encode_png, write_exr, write_hdr
from backend.export.obj import write_obj
from backend.export.report import Report, write_report

FILES = {
    "mesh": "mesh.glb",
    "mesh_obj": "mesh.obj",
    "mesh_mtl": "mesh.mtl",
    "arrays": "mesh.npz",
    "base_color": "textures/base_color.png",
    "roughness": "textures/roughness.png",
    "metallic": "textures/metallic.png",
    "normal": "textures/normal.png",
    "orm": "textures/orm.png",
    "environment": "environment.exr",
    "environment_hdr": "environment.hdr",
    "cameras": "cameras.json",
    "metrics": "metrics.json",
    "report": "report.html",
}


def write_result(
    folder: Path,
    asset: Asset,
    similarity: Similarity,
    views: Mapping[str, Views | None],
    report: Report,
    result: contract.Result,
) -> contract.Result:
    """Write everything a run found; result.json comes last, so that a folder that has one is complete.

    Args:
        folder: an empty folder nobody looks into yet (`Job.staging_result`): what a failure leaves there is the caller's to remove.
        asset: in the normalised box.
        similarity: scene <-> normalised box.
        views: split ('train', 'test') -> its views, for cameras.json.
        report: what report.html and metrics.json show.
        result: all but `files`, which are filled in here.

    Raises:
        OSError: the disk is full, or writing is not permitted.
        ValueError: the asset has no texture coordinates, or its numbers are not finite.
    """
    arrays = scene_arrays(asset, similarity)
    (folder / "textures").mkdir(parents=True, exist_ok=True)
    environment = asset.environment.detach().cpu()
    with ThreadPoolExecutor() as pool:  # encoders do not hold Python's lock
        images = texture_images(asset.maps)
        encoded = pool.map(encode_png, images.values())
        others = (
            pool.submit(write_report, folder / FILES["report"], report, asset),
            pool.submit(write_exr, folder / FILES["environment"], environment),
            pool.submit(write_hdr, folder / FILES["environment_hdr"], environment),
            pool.submit(write_arrays, folder / FILES["arrays"], arrays),
            pool.submit(write_obj, folder / FILES["mesh_obj"], arrays, opaque=asset.alpha == "opaque"),
            pool.submit(write_cameras, folder / FILES["cameras"], views, similarity),
        )
        textures = dict(zip(images, encoded, strict=True))
        for name, data in textures.items():
            (folder / FILES[name]).write_bytes(data)
        write_glb(folder / FILES["mesh"], arrays, textures, alpha=asset.alpha)
        contract.write_json(folder / FILES["metrics"], report.metrics())
        for other in others:
            other.result()
    return contract.write_result(folder, dataclasses.replace(result, files=dict(FILES)))


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Write what the Blender side builds its mesh from.

    vertices [V, 3] in scene units, faces [T, 3], uvs [U, 2] with v UP as Blender has it, uv_faces [T, 3], corner_normals [T, 3, 3].

    Raises:
        OSError: it cannot be written.
    """
    np.savez(
        path,
        vertices=arrays.vertices,
        faces=arrays.faces,
        uvs=arrays.uvs * np.array([1, -1], np.float32) + np.array([0, 1], np.float32),
        uv_faces=arrays.uv_faces,
        corner_normals=arrays.normals[arrays.faces],
    )
