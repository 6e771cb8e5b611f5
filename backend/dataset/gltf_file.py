"""glTF 2.0, .glb and .gltf: triangles with texture coordinates and the metallic-roughness material."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from torch import Tensor

from backend.contract import RequestError
from backend.dataset.mesh_file import (
    Corners,
    SurfaceMaps,
    TexturedMesh,
    alpha_map,
    assemble,
    color_map,
    constant,
    normal_map,
    value_map,
)
from backend.dataset.picture_file import Picture, decode_picture

READABLE_EXTENSIONS = {"KHR_mesh_quantization", "KHR_materials_unlit", "KHR_materials_ior", "KHR_materials_specular"}
COMPONENTS = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


def read_gltf(path: Path) -> TexturedMesh:
    """Read all triangles of the default scene as one mesh.

    Raises RequestError (mesh-unreadable, mesh-no-uv, mesh-empty, mesh-extension), which names the file.
    """
    try:
        return _File(path).mesh()
    except OSError as error:
        raise RequestError(
            f"{path}: {error.filename or ''} {error.strerror}",
            hint="check the file's name and permissions",
            code="mesh-unreadable",
        ) from None
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,  # an object where a list was expected, or the other way round
        ArithmeticError,
        RecursionError,
        MemoryError,
        struct.error,
        binascii.Error,
    ) as error:
        raise RequestError(
            f"{path}: not a valid glTF 2.0 file ({type(error).__name__}: {error})",
            hint="export it again",
            code="mesh-unreadable",
        ) from None


class _File:
    """A glTF file being read: its JSON and its buffers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        data = path.read_bytes()
        packed = b""
        if data[:4] == b"glTF":
            chunks = dict(_chunks(data))
            self.json: dict[str, Any] = json.loads(chunks[b"JSON"])
            packed = chunks.get(b"BIN\0", b"")
        else:
            self.json = json.loads(data)
        unknown = set(self.json.get("extensionsRequired", ())) - READABLE_EXTENSIONS
        if unknown:
            raise RequestError(
                f"{path}: it needs the glTF extensions {', '.join(sorted(unknown))}, which are not read",
                hint="export it without compression and without texture transforms",
                code="mesh-extension",
            )
        self.buffers = [
            self._load(entry["uri"]) if "uri" in entry else packed for entry in self.json.get("buffers", ())
        ]

    def mesh(self) -> TexturedMesh:
        parts = [part for node, world in self._nodes() for part in self._triangles(node, world)]
        if not parts:
            raise RequestError(
                f"{self.path}: the mesh has no triangles", hint="export the object as a mesh", code="mesh-empty"
            )
        with_normals = all(part.normals is not None for part in parts)
        corners = Corners(
            positions=np.concatenate([part.positions for part in parts]),
            uvs=np.concatenate([part.uvs for part in parts]),
            normals=np.concatenate([part.normals for part in parts if part.normals is not None])
            if with_normals
            else None,
            material=np.concatenate([part.material for part in parts]),
        )
        materials = self.json.get("materials", [])
        used = np.unique(corners.material)
        maps = [self._maps(materials[index] if index < len(materials) else {}) for index in used]
        corners = Corners(corners.positions, corners.uvs, corners.normals, np.searchsorted(used, corners.material))
        return assemble(corners, maps, self.path)

    def _load(self, uri: str) -> bytes:
        if uri.startswith("data:"):
            return base64.b64decode(uri.partition(",")[2])
        return (self.path.parent / unquote(uri)).read_bytes()

    def _nodes(self) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        """Nodes with a mesh in the default scene, and their matrices into the world."""
        nodes = self.json.get("nodes", [])
        scenes = self.json.get("scenes")
        roots = scenes[self.json.get("scene", 0)].get("nodes", []) if scenes else range(len(nodes))
        waiting = [(index, np.eye(4)) for index in roots]
        visited: set[int] = set()
        while waiting:
            index, parent = waiting.pop()
            if index in visited:
                raise ValueError(f"node {index} has two parents")
            visited.add(index)
            node = nodes[index]
            world = parent @ _local_matrix(node)
            waiting += [(child, world) for child in node.get("children", ())]
            if "mesh" in node:
                yield node, world

    def _triangles(self, node: dict[str, Any], world: np.ndarray) -> Iterator[Corners]:
        materials = self.json.get("materials", [])
        turn = np.linalg.inv(world[:3, :3]).T
        for primitive in self.json["meshes"][node["mesh"]]["primitives"]:
            mode = primitive.get("mode", 4)
            if mode < 4:  # points and lines
                continue
            attributes = primitive["attributes"]
            positions = self._accessor(attributes["POSITION"])
            index = primitive.get("indices")
            order = np.arange(len(positions)) if index is None else self._accessor(index)[:, 0].astype(np.int64)
            faces = _as_triangles(order, mode)
            if np.linalg.det(world[:3, :3]) < 0:  # a mirrored node turns its faces inside out
                faces = faces[:, ::-1]
            material = primitive.get("material", len(materials))
            channel = _texture_channel(materials[material]) if material < len(materials) else 0
            if f"TEXCOORD_{channel}" not in attributes:
                raise RequestError(
                    f"{self.path}: mesh '{node.get('name', node['mesh'])}' has no texture coordinates",
                    hint="unwrap it (in Blender: UV > Smart UV Project) and export it with UVs",
                    code="mesh-no-uv",
                )
            uvs = self._accessor(attributes[f"TEXCOORD_{channel}"])
            normals = self._accessor(attributes["NORMAL"]) @ turn.T if "NORMAL" in attributes else None
            placed = positions @ world[:3, :3].T + world[:3, 3]
            yield Corners(
                positions=placed[faces],
                uvs=uvs[faces],
                normals=None if normals is None else normals[faces],
                material=np.full(len(faces), material),
            )

    def _accessor(self, index: int) -> np.ndarray:
        """[count, width] float64 values."""
        accessor = self.json["accessors"][index]
        if "sparse" in accessor or "bufferView" not in accessor:
            raise ValueError("sparse accessors are not read")
        view = self.json["bufferViews"][accessor["bufferView"]]
        kind = np.dtype(COMPONENTS[accessor["componentType"]]).newbyteorder("<")
        width, count = WIDTHS[accessor["type"]], accessor["count"]
        start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        stride = view.get("byteStride", width * kind.itemsize)
        data = self.buffers[view["buffer"]]
        if count < 1 or start < 0 or stride < width * kind.itemsize:
            raise ValueError(f"accessor {index} has {count} entries, {stride} bytes apart from byte {start} on")
        if start + stride * (count - 1) + width * kind.itemsize > len(data):
            raise ValueError("the buffer ends early")
        values = np.ndarray((count, width), kind, data, start, (stride, kind.itemsize)).astype(np.float64)
        if accessor.get("normalized"):
            values = np.maximum(values / float(np.iinfo(str(kind)).max), -1.0)
        return values

    def _picture(self, texture: dict[str, Any]) -> Picture:
        if texture.get("extensions", {}).get("KHR_texture_transform"):
            raise RequestError(
                f"{self.path}: a texture is moved or scaled (KHR_texture_transform), which is not read",
                hint="apply the mapping to the texture coordinates before the export",
                code="mesh-extension",
            )
        number = self.json["textures"][texture["index"]]["source"]
        image = self.json["images"][number]
        if "bufferView" in image:
            view = self.json["bufferViews"][image["bufferView"]]
            start = view.get("byteOffset", 0)
            data = bytes(self.buffers[view["buffer"]][start : start + view["byteLength"]])
        else:
            data = self._load(image["uri"])
        name = image.get("name") or image.get("uri", f"image {number}")[:80]
        return decode_picture(data, f"{self.path}: {name}")

    def _maps(self, material: dict[str, Any]) -> SurfaceMaps:
        """Factors times textures, as glTF defines them."""
        surface = material.get("pbrMetallicRoughness", {})
        factor = surface.get("baseColorFactor", (1.0, 1.0, 1.0, 1.0))
        base_color: Tensor = constant(*factor[:3])
        roughness: Tensor = constant(surface.get("roughnessFactor", 1.0))
        metallic: Tensor = constant(surface.get("metallicFactor", 1.0))
        if "baseColorTexture" in surface:
            base_color = base_color * color_map(self._picture(surface["baseColorTexture"]))
        if "metallicRoughnessTexture" in surface:
            values = value_map(self._picture(surface["metallicRoughnessTexture"]))
            roughness, metallic = roughness * values[..., 1:2], metallic * values[..., 2:3]
        normal = None
        if "normalTexture" in material:
            texture = material["normalTexture"]
            normal = normal_map(self._picture(texture), float(texture.get("scale", 1.0)))
        return SurfaceMaps(base_color, roughness, metallic, normal, self._opacity(material, factor[3]))

    def _opacity(self, material: dict[str, Any], factor: float) -> Tensor | None:
        """What the alpha means by the material's mode: nothing, there or not there from its cutoff on, or as much as it says."""
        mode = material.get("alphaMode", "OPAQUE")
        if mode == "OPAQUE":
            return None
        texture = material.get("pbrMetallicRoughness", {}).get("baseColorTexture")
        opacity = constant(factor) if texture is None else factor * alpha_map(self._picture(texture))
        return (opacity >= material.get("alphaCutoff", 0.5)).float() if mode == "MASK" else opacity


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a .glb: type and content."""
    version, length = struct.unpack_from("<II", data, 4)
    if version != 2 or length > len(data):
        raise ValueError(f"version {version}, {len(data)} of {length} bytes")
    at = 12
    while at + 8 <= length:
        size, kind = struct.unpack_from("<I4s", data, at)
        yield kind, data[at + 8 : at + 8 + size]
        at += 8 + size


def _local_matrix(node: dict[str, Any]) -> np.ndarray:
    if "matrix" in node:
        return np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
    x, y, z, w = node.get("rotation", (0.0, 0.0, 0.0, 1.0))
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, :3] *= np.array(node.get("scale", (1.0, 1.0, 1.0)))
    matrix[:3, 3] = node.get("translation", (0.0, 0.0, 0.0))
    return matrix


def _as_triangles(order: np.ndarray, mode: int) -> np.ndarray:
    """[T, 3] corners of a list (4), strip (5) or fan (6)."""
    if mode == 4:
        return order[: len(order) // 3 * 3].reshape(-1, 3)
    if mode == 6:
        return np.stack([np.full(len(order) - 2, order[0]), order[1:-1], order[2:]], axis=1)
    strip = np.stack([order[:-2], order[1:-1], order[2:]], axis=1)
    strip[1::2] = strip[1::2, [1, 0, 2]]
    return strip


def _texture_channel(material: dict[str, Any]) -> int:
    """Which set of texture coordinates the material's maps use: one for all of them."""
    surface = material.get("pbrMetallicRoughness", {})
    textures = [surface.get("baseColorTexture"), surface.get("metallicRoughnessTexture"), material.get("normalTexture")]
    channels = {texture.get("texCoord", 0) for texture in textures if texture}
    if len(channels) > 1:
        raise ValueError("its maps use different sets of texture coordinates")
    return channels.pop() if channels else 0
