"""The result's arrays as a Blender mesh: positions, texture coordinates and split normals, in the scene's own place."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import bpy
import numpy as np

from ...backend.contract import RequestError
from . import images

SHAPES = {"vertices": 3, "faces": 3, "uvs": 2, "uv_faces": 3}


def read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a mesh.npz, checked; RequestError says what is wrong.

    Returns:
        vertices [V, 3] float32 in scene units, faces [T, 3] int32, uvs [U, 2] float32 with v up, uv_faces [T, 3] int32, and
        corner_normals [T, 3, 3] float32 unit vectors when the file has them.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:  # half-written archives too
        raise RequestError(f"{path} cannot be read: {error}", code="result-unreadable") from error
    for name, columns in SHAPES.items():
        array = arrays.get(name)
        if array is None or array.ndim != 2 or array.shape[1] != columns:
            came = "is missing" if array is None else f"has shape {list(array.shape)}"
            raise RequestError(f"{path}: array {name!r} {came}; expected [n, {columns}]", code="result-unreadable")
    for indices, target in (("faces", "vertices"), ("uv_faces", "uvs")):
        found, limit = arrays[indices], len(arrays[target])
        if len(found) == 0 or found.min() < 0 or found.max() >= limit:
            raise RequestError(f"{path}: {indices} must be 0 to {limit - 1} and not empty", code="result-unreadable")
    first, second, third = arrays["faces"].T
    if ((first == second) | (second == third) | (third == first)).any():
        raise RequestError(f"{path}: faces holds a triangle with two equal corners", code="result-unreadable")
    if len(arrays["uv_faces"]) != len(arrays["faces"]):
        raise RequestError(f"{path}: uv_faces and faces differ in length", code="result-unreadable")
    if not (np.isfinite(arrays["vertices"]).all() and np.isfinite(arrays["uvs"]).all()):
        raise RequestError(f"{path} holds positions or coordinates that are not finite", code="result-unreadable")
    normals, expected = arrays.get("corner_normals"), (len(arrays["faces"]), 3, 3)
    if normals is not None and (normals.shape != expected or not np.isfinite(normals).all()):
        raise RequestError(
            f"{path}: corner_normals has shape {list(normals.shape)}; expected {list(expected)}, all finite",
            code="result-unreadable",
        )
    return arrays


def build(name: str, arrays: dict[str, np.ndarray]) -> bpy.types.Mesh:
    """A new mesh data-block from what `read` gave; smooth, with the stored normals at each corner."""
    faces = arrays["faces"].astype(np.int32)
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(arrays["vertices"]))
    mesh.vertices.foreach_set("co", arrays["vertices"].astype(np.float32).ravel())
    mesh.loops.add(faces.size)
    mesh.loops.foreach_set("vertex_index", faces.ravel())
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 3, dtype=np.int32))
    layer = mesh.uv_layers.new(name="UVMap", do_init=False)
    layer.data.foreach_set("uv", arrays["uvs"][arrays["uv_faces"].ravel()].astype(np.float32).ravel())
    mesh.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    mesh.update(calc_edges=True)
    normals = arrays.get("corner_normals")
    if normals is not None:
        _set_normals(mesh, faces, normals)
    return mesh


def _set_normals(mesh: bpy.types.Mesh, faces: np.ndarray, normals: np.ndarray) -> None:
    """Give each corner its normal. Where a vertex has one normal alone, Blender takes a sixth of the time."""
    shared = np.zeros((len(mesh.vertices), 3), normals.dtype)
    shared[faces] = normals
    if (shared[faces] == normals).all():
        mesh.normals_split_custom_set_from_vertices(shared.tolist())
    else:
        mesh.normals_split_custom_set(normals.reshape(-1, 3).tolist())


def take_over(thing: bpy.types.Object, new: bpy.types.Mesh) -> None:
    """Put `new` wherever the object's mesh is used, with its name, materials and custom properties; the old mesh is removed."""
    old = thing.data
    new.materials.clear()
    for material in old.materials:
        new.materials.append(material)
    for key, value in old.items():
        new[key] = value
    images.take_over(bpy.data.meshes, old, new)
