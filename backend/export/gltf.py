"""glTF 2.0 (ISO/IEC 12113), binary form: one mesh, one metallic-roughness material, textures embedded."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from backend.contract import ALPHA_CUTOFF, Alpha
from backend.export.asset import Arrays, corners_of, to_y_up

FLOAT, UNSIGNED_INT = 5126, 5125
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
LINEAR, LINEAR_MIPMAP_LINEAR, CLAMP_TO_EDGE = 9729, 9987, 33071
_TRANSPARENCY: dict[Alpha, dict[str, Any]] = {
    "opaque": {},
    "clip": {"alphaMode": "MASK", "alphaCutoff": ALPHA_CUTOFF, "doubleSided": True},
    "blend": {"alphaMode": "BLEND", "doubleSided": True},
}


class _Binary:
    """The binary chunk as it grows, with the views and accessors that point into it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def view(self, data: bytes, target: int | None = None) -> int:
        """Append bytes at a multiple of four; the new view's number."""
        self.data += b"\0" * (-len(self.data) % 4)
        entry = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)}
        self.views.append(entry if target is None else {**entry, "target": target})
        self.data += data
        return len(self.views) - 1

    def accessor(self, values: np.ndarray, kind: str, bounds: bool = False) -> int:
        """Append an array of float32 (an attribute) or uint32 (the index); the new accessor's number."""
        index = values.dtype == np.uint32
        entry = {
            "bufferView": self.view(
                np.ascontiguousarray(values).tobytes(), ELEMENT_ARRAY_BUFFER if index else ARRAY_BUFFER
            ),
            "componentType": UNSIGNED_INT if index else FLOAT,
            "count": len(values),
            "type": kind,
        }
        if bounds:
            entry["min"], entry["max"] = values.min(0).tolist(), values.max(0).tolist()
        self.accessors.append(entry)
        return len(self.accessors) - 1


def write_glb(
    path: Path, arrays: Arrays, textures: Mapping[str, bytes], name: str = "Unrender", alpha: Alpha = "opaque"
) -> None:
    """Write a .glb that any glTF viewer shows, in metres where the scene's unit is one.

    Args:
        path: the file.
        arrays: the geometry, Z up; it is turned to glTF's Y up.
        textures: PNG files' bytes: 'base_color' (sRGB), 'orm' (green roughness, blue metallic), 'normal' (+Y).
        name: of the node, the mesh and the material.
        alpha: what the base colour's alpha means; what has one is seen from both sides.

    Raises:
        OSError: it cannot be written.
    """
    (vertex, uv, frame), index = corners_of((arrays.faces, arrays.uv_faces, arrays.tangent_faces))
    binary = _Binary()
    tangent = arrays.tangents[frame]
    attributes = {
        "POSITION": binary.accessor(to_y_up(arrays.vertices[vertex]).astype(np.float32), "VEC3", bounds=True),
        "NORMAL": binary.accessor(to_y_up(arrays.normals[vertex]).astype(np.float32), "VEC3"),
        "TANGENT": binary.accessor(
            np.concatenate([to_y_up(tangent[:, :3]), tangent[:, 3:]], axis=1).astype(np.float32), "VEC4"
        ),
        "TEXCOORD_0": binary.accessor(arrays.uvs[uv].astype(np.float32), "VEC2"),
    }
    indices = binary.accessor(index.reshape(-1).astype(np.uint32), "SCALAR")
    images = [
        {"bufferView": binary.view(textures[kind]), "mimeType": "image/png", "name": kind}
        for kind in ("base_color", "orm", "normal")
    ]
    document = {
        "asset": {"version": "2.0", "generator": "Unrender"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": name}],
        "meshes": [{"name": name, "primitives": [{"attributes": attributes, "indices": indices, "material": 0}]}],
        "materials": [
            {
                "name": name,
                "pbrMetallicRoughness": {"baseColorTexture": {"index": 0}, "metallicRoughnessTexture": {"index": 1}},
                "normalTexture": {"index": 2},
                **_TRANSPARENCY[alpha],
            }
        ],
        "textures": [{"sampler": 0, "source": source} for source in range(len(images))],
        "samplers": [
            {
                "magFilter": LINEAR,
                "minFilter": LINEAR_MIPMAP_LINEAR,
                "wrapS": CLAMP_TO_EDGE,
                "wrapT": CLAMP_TO_EDGE,
            }
        ],
        "images": images,
        "accessors": binary.accessors,
        "bufferViews": binary.views,
        "buffers": [{"byteLength": len(binary.data)}],
    }
    path.write_bytes(_pack(document, bytes(binary.data)))


def _pack(document: dict[str, Any], binary: bytes) -> bytes:
    """A header and two chunks, each a multiple of four bytes long."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    total = 12 + 8 + len(text) + 8 + len(binary)
    head = struct.pack("<4sII", b"glTF", 2, total)
    return head + struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
