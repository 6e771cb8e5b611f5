"""The result's arrays as a Blender mesh: positions, texture coordinates and split normals, in the scene's own place."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ...backend.contract import RequestError
from ..slices import Slice, Slices, finish
from . import images

MOST_AT_ONCE = 50_000  # triangles of a mesh that Blender can be given in slices of less than a tenth of a second
_PORTION = 4096
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


@dataclass(frozen=True)
class Normals:
    """Split normals as Blender takes them: one of each vertex, which it works through in a third of the time, or one of each corner."""

    of_vertices: bool
    rows: list[list[float]]


def normals_of(arrays: dict[str, np.ndarray]) -> Normals | None:
    """The normals that `read` gave, in rows; None where the file has none. No bpy."""
    normals, faces = arrays.get("corner_normals"), arrays["faces"]
    if normals is None:
        return None
    shared = np.zeros((len(arrays["vertices"]), 3), normals.dtype)
    shared[faces] = normals
    of_vertices = bool((shared[faces] == normals).all())
    whole = shared if of_vertices else normals.reshape(-1, 3)
    # portion by portion, for Blender's own thread waits while one is made into lists
    rows = [row for start in range(0, len(whole), _PORTION) for row in whole[start : start + _PORTION].tolist()]
    return Normals(of_vertices, rows)


def build(name: str, arrays: dict[str, np.ndarray]) -> bpy.types.Mesh:
    """A new mesh data-block from what `read` gave; smooth, with the stored normals at each corner."""
    return finish(building(name, arrays, normals_of(arrays)))


def building(name: str, arrays: dict[str, np.ndarray], normals: Normals | None) -> Slices[bpy.types.Mesh]:
    """The same in slices, which are short for meshes of `MOST_AT_ONCE` triangles."""
    faces = np.ascontiguousarray(arrays["faces"], np.int32)
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(arrays["vertices"]))
    mesh.loops.add(faces.size)
    mesh.polygons.add(len(faces))
    mesh.polygons.foreach_set("loop_start", np.arange(0, faces.size, 3, dtype=np.int32))
    mesh.uv_layers.new(name="UVMap", do_init=False)
    # by their attributes: the same through `vertices`, `loops` and the layer takes up to a hundred times as long
    for attribute, key, values in (
        ("position", "vector", arrays["vertices"].astype(np.float32)),
        (".corner_vert", "value", faces),
        ("UVMap", "vector", arrays["uvs"].astype(np.float32)[arrays["uv_faces"].ravel()]),
    ):
        mesh.attributes[attribute].data.foreach_set(key, values.ravel())
    yield Slice("Adding the mesh")
    mesh.update(calc_edges=True)
    if normals is None:
        return mesh
    yield Slice("Adding the mesh")
    if normals.of_vertices:
        mesh.normals_split_custom_set_from_vertices(normals.rows)
    else:
        mesh.normals_split_custom_set(normals.rows)
    return mesh


def give_materials(thing: bpy.types.Mesh, source: bpy.types.Mesh) -> None:
    """Give a mesh the materials of another, slot by slot; which face has which slot stays."""
    while len(thing.materials) > len(source.materials):
        thing.materials.pop()
    for index, material in enumerate(source.materials):
        if index < len(thing.materials):
            thing.materials[index] = material
        else:
            thing.materials.append(material)


def take_over(thing: bpy.types.Object, new: bpy.types.Mesh) -> None:
    """Put `new` wherever the object's mesh is used, with its name, materials and custom properties; the old mesh is removed."""
    old = thing.data
    give_materials(new, old)
    for key, value in old.items():
        new[key] = value
    images.take_over(bpy.data.meshes, old, new)
