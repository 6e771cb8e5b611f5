import base64
import json
import struct

import cv2
import numpy as np
import pytest
import torch
from posed_scene import write_png

from backend.contract import RequestError
from backend.dataset.reference import read_environment, read_mesh

# A box of 1 x 2 x 3 (x, y up, z), its top face with a texture of four colours.
CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 2) for z in (0, 3)], float)
QUADS = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
UVS = [[0, 0], [1, 0], [1, 1], [0, 1]]  # v up
TEXTURE = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [188, 188, 188]]], np.uint8)


def volume(mesh):
    a, b, c = mesh.vertices[mesh.faces.long()].unbind(1)
    return float((a * torch.cross(b, c, dim=-1)).sum() / 6)


def write_obj(folder, mtl="Kd 0.5 0.25 1\nPr 0.3\nPm 1\n", material_names=("one",), uv_scale=1.0):
    lines = ["mtllib box.mtl"] + [f"v {x} {y} {z}" for x, y, z in CORNERS] + [f"vt {uv_scale * u} {v}" for u, v in UVS]
    for index, quad in enumerate(QUADS):
        lines += [f"usemtl {material_names[index % len(material_names)]}"]
        lines += ["f " + " ".join(f"{corner + 1}/{k + 1}" for k, corner in enumerate(quad))]
    (folder / "box.obj").write_text("\n".join(lines))
    (folder / "box.mtl").write_text("newmtl one\n" + mtl)
    return folder / "box.obj"


def test_obj_becomes_z_up_welded_and_outward(tmp_path):
    mesh = read_mesh(write_obj(tmp_path))
    assert mesh.vertices.shape == (8, 3) and mesh.faces.shape == (12, 3) and mesh.uvs.shape == (4, 2)
    assert mesh.vertices.amin(0).tolist() == [0, -3, 0] and mesh.vertices.amax(0).tolist() == [1, 0, 2]
    assert volume(mesh) == pytest.approx(6.0)
    assert mesh.maps.base_color.flatten().tolist() == [0.5, 0.25, 1] and mesh.normals is None
    assert mesh.maps.roughness.item() == pytest.approx(0.3) and mesh.maps.metallic.item() == 1
    corner = (
        mesh.faces[0, 0],
        mesh.uv_faces[0, 0],
    )  # the first face begins at the file's first corner, v 0 = the texture's bottom
    assert mesh.vertices[corner[0]].tolist() == [0, 0, 0] and mesh.uvs[corner[1]].tolist() == [0, 1]


def test_obj_negative_indices_polygons_and_normals(tmp_path):
    (tmp_path / "a.obj").write_text(
        "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv -0.5 0.5 -0\nvt 0 0\nvn 0 0 2\nf -5/-1/-1 2/1/1 3/1/1 4/1/1 5/1/1\n"
    )
    mesh = read_mesh(tmp_path / "a.obj")
    assert mesh.faces.shape == (3, 3)
    assert mesh.normals is not None and mesh.normals.tolist() == [[0, -1, 0]]  # +Z of the file is -Y here


def test_mtl_textures_and_the_packed_statement(tmp_path):
    write_png(tmp_path / "a b.png", TEXTURE)
    write_png(tmp_path / "orm.png", np.array([[[0, 51, 255]]], np.uint8))
    obj = write_obj(tmp_path, "map_Kd -s 1 1 1 a b.png\nmap_Pr orm.png\nnorm orm.png\n")
    maps = read_mesh(obj).maps
    assert maps.base_color[0, 1].tolist() == [0, 1, 0] and maps.base_color[1, 1, 0] == pytest.approx(0.50289, abs=1e-5)
    assert maps.roughness.item() == 0 and maps.normal is not None
    expected = torch.tensor([-1.0, -0.6, 1.0])
    torch.testing.assert_close(maps.normal[0, 0], expected / expected.norm())
    (tmp_path / "other.mtl").write_text("newmtl whatever\nbsdf pbr\nKs 0 0.25 0.75\nmap_Kd a b.png\n")
    other = read_mesh(obj, tmp_path / "other.mtl").maps
    assert (other.roughness.item(), other.metallic.item()) == (0.25, 0.75)
    (tmp_path / "other.mtl").write_text("newmtl whatever\nbsdf pbr\nmap_Ks orm.png\n")
    packed = read_mesh(obj, tmp_path / "other.mtl").maps
    assert (packed.roughness.item(), packed.metallic.item()) == (pytest.approx(0.2), 1.0)


def test_materials_share_a_sheet(tmp_path):
    write_png(tmp_path / "a.png", TEXTURE)
    obj = write_obj(tmp_path, "map_Kd a.png\nnewmtl two\nKd 0.1 0.2 0.3\nPr 1\n", ("one", "two"))
    mesh = read_mesh(obj)
    assert mesh.maps.base_color.shape == (4, 4, 3)
    u, v = mesh.uvs[mesh.uv_faces.long()].mean(1).unbind(-1)  # a triangle of each quad, inside its tile
    row, column = (v * 4).floor().long(), (u * 4).floor().long()
    second = torch.arange(12) // 2 % 2 == 1
    torch.testing.assert_close(mesh.maps.base_color[row, column][second], torch.tensor([0.1, 0.2, 0.3]).repeat(6, 1))
    assert (u[~second] < 0.5).all() and (v < 0.5).all()
    with pytest.raises(RequestError, match="repeat within a triangle"):
        read_mesh(write_obj(tmp_path, "map_Kd a.png\nnewmtl two\n", ("one", "two"), uv_scale=3.0))


def write_gltf(path, node=None, factor=1.0):
    """The box as .glb or, with its data in the JSON, as .gltf: the top half of one texture, metallic-roughness and normal maps."""
    triangles = np.array([[q[0], q[i], q[i + 1]] for q in QUADS for i in (1, 2)])
    uvs = np.array([[UVS[0], UVS[i], UVS[i + 1]] for q in QUADS for i in (1, 2)], np.float32).reshape(-1, 2)
    positions = CORNERS[triangles].reshape(-1, 3).astype(np.float32)
    parts = [positions.tobytes(), uvs.tobytes(), np.arange(36, dtype=np.uint16).tobytes()]
    for texel in (TEXTURE, np.array([[[9, 128, 51]]], np.uint8), np.array([[[128, 255, 128]]], np.uint8)):
        parts.append(cv2.imencode(".png", texel[..., ::-1].copy())[1].tobytes())
    views, start = [], 0
    for index, part in enumerate(parts):
        views.append({"buffer": 0, "byteOffset": start, "byteLength": len(part)})
        parts[index] = part + bytes(-len(part) % 4)
        start += len(parts[index])
    content = {
        "asset": {"version": "2.0"},
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 36, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5126, "count": 36, "type": "VEC2"},
            {"bufferView": 2, "componentType": 5123, "count": 36, "type": "SCALAR"},
        ],
        "bufferViews": views,
        "buffers": [{"byteLength": start}],
        "images": [{"bufferView": index, "mimeType": "image/png"} for index in (3, 4, 5)],
        "textures": [{"source": index} for index in range(3)],
        "materials": [
            {
                "pbrMetallicRoughness": {
                    "baseColorFactor": [factor, 1, 1, 1],
                    "baseColorTexture": {"index": 0},
                    "metallicRoughnessTexture": {"index": 1},
                    "roughnessFactor": 0.5,
                },
                "normalTexture": {"index": 2},
            }
        ],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "indices": 2, "material": 0}]}],
        "nodes": [{"children": [1], "translation": [10, 0, 0]}, {"mesh": 0, **(node or {})}],
        "scenes": [{"nodes": [0]}],
    }
    binary = b"".join(parts)
    if path.suffix == ".gltf":
        content["buffers"][0]["uri"] = "data:application/octet-stream;base64," + base64.b64encode(binary).decode()
        path.write_text(json.dumps(content))
        return path
    text = json.dumps(content).encode()
    text += b" " * (-len(text) % 4)
    length = 12 + 8 + len(text) + 8 + len(binary)
    header = struct.pack("<4sII", b"glTF", 2, length)
    path.write_bytes(
        header + struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    )
    return path


@pytest.mark.parametrize("name", ["box.glb", "box.gltf"])
def test_gltf_with_its_material(tmp_path, name):
    mesh = read_mesh(write_gltf(tmp_path / name, factor=0.5))
    assert mesh.vertices.shape == (8, 3) and mesh.uvs.shape == (4, 2)
    assert mesh.vertices.amin(0).tolist() == [10, -3, 0] and mesh.vertices.amax(0).tolist() == [11, 0, 2]
    assert volume(mesh) == pytest.approx(6.0)
    assert mesh.maps.base_color[0, 0].tolist() == [0.5, 0, 0] and mesh.maps.base_color[1, 0].tolist() == [0, 0, 1]
    assert mesh.maps.roughness.item() == pytest.approx(64 / 255) and mesh.maps.metallic.item() == pytest.approx(0.2)
    assert mesh.maps.normal is not None
    green = torch.tensor([1 / 255, 1.0, 1 / 255])
    torch.testing.assert_close(mesh.maps.normal[0, 0], green / green.norm())
    first = mesh.faces[0, 0], mesh.uv_faces[0, 0]
    assert mesh.vertices[first[0]].tolist() == [10, 0, 0] and mesh.uvs[first[1]].tolist() == [
        0,
        0,
    ]  # glTF's v is down already


def test_gltf_nodes_turn_scale_and_mirror(tmp_path):
    half = 2**-0.5
    turned = read_mesh(
        write_gltf(tmp_path / "a.glb", {"rotation": [half, 0, 0, half], "scale": [2, 1, 1]})
    )  # 90 degrees about X
    assert turned.vertices.amin(0).tolist() == pytest.approx([10, -2, -3]) and volume(turned) == pytest.approx(12)
    assert turned.vertices.amax(0).tolist() == pytest.approx([12, 0, 0], abs=1e-6)
    assert volume(read_mesh(write_gltf(tmp_path / "b.glb", {"scale": [-1, 1, 1]}))) == pytest.approx(6)


def test_unusable_meshes_are_refused(tmp_path):
    def refused(path, code, match):
        with pytest.raises(RequestError, match=match) as caught:
            read_mesh(path)
        assert caught.value.code == code

    refused(tmp_path / "a.obj", "mesh-missing", "no such mesh")
    (tmp_path / "a.stl").write_text("")
    refused(tmp_path / "a.stl", "mesh-format", "'.stl' are not read")
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    refused(tmp_path / "a.obj", "mesh-no-uv", "no texture coordinates")
    (tmp_path / "a.obj").write_text("v 0 0 0\nf 1 2 3\n")
    refused(tmp_path / "a.obj", "mesh-unreadable", "line 2")
    refused(write_obj(tmp_path, "map_Kd gone.png\n"), "image-missing", r"gone\.png")
    (tmp_path / "a.glb").write_bytes(write_gltf(tmp_path / "b.glb").read_bytes()[:900])
    refused(tmp_path / "a.glb", "mesh-unreadable", r"a\.glb: not a valid glTF")
    content = json.loads(write_gltf(tmp_path / "b.gltf").read_text())
    (tmp_path / "b.gltf").write_text(json.dumps({**content, "extensionsRequired": ["KHR_draco_mesh_compression"]}))
    refused(tmp_path / "b.gltf", "mesh-extension", "KHR_draco")


def test_environment_is_read_as_it_is_and_checked(tmp_path):
    light = np.full((8, 16, 3), 3.0, np.float32)
    light[0, 4] = [40.0, 20.0, 10.0]
    cv2.imwrite(str(tmp_path / "a.hdr"), light[..., ::-1].copy())
    read = read_environment(tmp_path / "a.hdr")
    assert read.shape == (8, 16, 3) and read[0, 4].tolist() == pytest.approx([40, 20, 10], rel=0.02)
    cv2.imwrite(str(tmp_path / "square.hdr"), light[:, :8])
    with pytest.raises(RequestError, match="twice as wide as high"):
        read_environment(tmp_path / "square.hdr")
    write_png(tmp_path / "sky.png", TEXTURE)
    with pytest.raises(RequestError, match="no high dynamic range"):
        read_environment(tmp_path / "sky.png")
