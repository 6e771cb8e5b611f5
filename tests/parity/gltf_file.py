"""A glTF file with one mesh of one primitive as plain arrays and pictures, read without Blender."""

import base64
import json
import struct
from pathlib import Path

import numpy as np

TYPES = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
COLUMNS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


class GltfFile:
    """A .gltf or .glb."""

    def __init__(self, path):
        self.folder, self.binary = path.parent, b""
        data = path.read_bytes()
        if data[:4] == b"glTF":
            length = struct.unpack_from("<I", data, 12)[0]
            self.binary = data[20 + length + 8 :]
            data = data[20 : 20 + length]
        self.content = json.loads(data)

    def _uri(self, uri):
        return base64.b64decode(uri.partition(",")[2]) if uri.startswith("data:") else (self.folder / uri).read_bytes()

    def _view(self, number):
        view = self.content["bufferViews"][number]
        buffer = self.content["buffers"][view["buffer"]]
        data = self._uri(buffer["uri"]) if "uri" in buffer else self.binary
        start = view.get("byteOffset", 0)
        assert "byteStride" not in view, "interleaved attributes are not read"
        return data[start : start + view["byteLength"]]

    def accessor(self, number):
        """[n, columns] as stored."""
        entry = self.content["accessors"][number]
        columns, start = COLUMNS[entry["type"]], entry.get("byteOffset", 0)
        values = np.frombuffer(
            self._view(entry["bufferView"]), TYPES[entry["componentType"]], entry["count"] * columns, start
        )
        return values.reshape(-1, columns)

    def arrays(self):
        """The mesh as a result's mesh.npz holds it: Z up, v up, positions welded, a normal for each corner."""
        node = next(node for node in self.content["nodes"] if "mesh" in node)
        (primitive,) = self.content["meshes"][node["mesh"]]["primitives"]
        attributes = {name: self.accessor(number) for name, number in primitive["attributes"].items()}
        turn = z_up() @ rotation(node.get("rotation", (0, 0, 0, 1)))
        corners = self.accessor(primitive["indices"]).reshape(-1, 3).astype(np.int64)
        scale, place = np.array(node.get("scale", (1, 1, 1))), np.array(node.get("translation", (0, 0, 0)))
        vertices, weld = np.unique(attributes["POSITION"], axis=0, return_inverse=True)
        uvs, uv_weld = np.unique(attributes["TEXCOORD_0"], axis=0, return_inverse=True)
        normals = attributes["NORMAL"] / scale @ turn.T
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        return {
            "vertices": ((vertices * scale) @ turn.T + place @ z_up().T).astype(np.float32),
            "faces": weld.ravel()[corners].astype(np.int32),
            "uvs": (uvs * (1, -1) + (0, 1)).astype(np.float32),
            "uv_faces": uv_weld.ravel()[corners].astype(np.int32),
            "corner_normals": normals[corners].astype(np.float32),
        }

    def pictures(self):
        """Result's name of a texture -> the picture file's bytes."""
        material = self.content["materials"][0]
        surface = material["pbrMetallicRoughness"]
        found = {
            "base_color": surface.get("baseColorTexture"),
            "orm": surface.get("metallicRoughnessTexture"),
            "normal": material.get("normalTexture"),
        }
        return {name: self._picture(entry["index"]) for name, entry in found.items() if entry}

    def _picture(self, texture):
        image = self.content["images"][self.content["textures"][texture]["source"]]
        return self._uri(image["uri"]) if "uri" in image else self._view(image["bufferView"])


def z_up():
    """glTF's axes -> Blender's: (x, y, z) -> (x, -z, y)."""
    return np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def rotation(quaternion):
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def write_result_files(gltf, light, folder):
    """The true mesh, textures and light of a glTF file as a result's files; what `contract.Result` wants as its `files`."""
    file = GltfFile(Path(gltf))
    (folder / "textures").mkdir(parents=True, exist_ok=True)
    np.savez(folder / "mesh.npz", **file.arrays())
    (folder / "environment.exr").write_bytes(Path(light).read_bytes())
    files = {"arrays": "mesh.npz", "environment": "environment.exr"}
    for name, data in file.pictures().items():
        files[name] = f"textures/{name}.png"
        (folder / files[name]).write_bytes(data)
    return files
