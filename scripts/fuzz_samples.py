"""Small sound files of every binary kind that is read, from which `fuzz.py` starts."""

from __future__ import annotations

import io
import json
import struct
import tempfile
from pathlib import Path

import cv2
import numpy as np


def colmap_cameras() -> bytes:
    """One camera."""
    return struct.pack("<QiiQQ4d", 1, 1, 1, 64, 48, 50.0, 50.0, 32.0, 24.0)


def colmap_images() -> bytes:
    """One image with a point."""
    head = struct.pack("<QI7dI", 1, 1, 1, 0, 0, 0, 0, 0, 1, 1)
    return head + b"a b.jpg\0" + struct.pack("<Qddq", 1, 1.5, 2.5, -1)


def colmap_points() -> bytes:
    """One point."""
    return struct.pack("<QQ3d3BdQ2i", 1, 1, 0, 0, 0, 1, 2, 3, 0.5, 1, 1, 0)


def npy() -> bytes:
    """Two rows of an LLFF file."""
    buffer = io.BytesIO()
    np.save(buffer, np.arange(34.0).reshape(2, 17))
    return buffer.getvalue()


def npz() -> bytes:
    """The matrices of one camera."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, world_mat_0=np.eye(4), scale_mat_0=np.eye(4))
    return buffer.getvalue()


def _encoded(suffix: str, values: np.ndarray) -> bytes:
    done, data = cv2.imencode(suffix, values)
    assert done
    return data.tobytes()


def png() -> bytes:
    """Four by three pixels with alpha."""
    return _encoded(".png", np.arange(48, dtype=np.uint8).reshape(3, 4, 4))


def jpeg() -> bytes:
    """Eight by eight pixels with EXIF data that ask for a turn."""
    data = _encoded(".jpg", np.arange(192, dtype=np.uint8).reshape(8, 8, 3))
    turn = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(turn) + 2) + turn + data[2:]


def hdr() -> bytes:
    """Nine by four pixels."""
    return _encoded(".hdr", np.linspace(0, 3, 108, dtype=np.float32).reshape(4, 9, 3))


def exr() -> bytes:
    """Four by three pixels."""
    import OpenEXR

    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    channels = {"RGBA": np.linspace(0, 2, 48, dtype=np.float32).reshape(3, 4, 4)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.exr"
        OpenEXR.File(header, channels).write(str(path))
        return path.read_bytes()


def glb() -> bytes:
    """A triangle with texture coordinates and a picture."""
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], "<f4").tobytes()
    uvs = np.array([[0, 0], [1, 0], [0, 1]], "<f4").tobytes()
    picture = png()
    picture += b"\0" * (-len(picture) % 4)
    content = {
        "asset": {"version": "2.0"},
        "buffers": [{"byteLength": 60 + len(picture)}],
        "bufferViews": [
            {"buffer": 0, "byteLength": 36},
            {"buffer": 0, "byteOffset": 36, "byteLength": 24},
            {"buffer": 0, "byteOffset": 60, "byteLength": len(picture)},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5126, "count": 3, "type": "VEC2"},
        ],
        "images": [{"bufferView": 2, "mimeType": "image/png"}],
        "textures": [{"source": 0}],
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}, "roughnessFactor": 0.5}}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "material": 0}]}],
        "nodes": [{"mesh": 0, "rotation": [0, 0, 0, 1]}],
        "scenes": [{"nodes": [0]}],
        "scene": 0,
    }
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    body = points + uvs + picture
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(body), b"BIN\0") + body
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
