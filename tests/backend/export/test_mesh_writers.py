import json
import os
import shutil
import struct
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from assets import SIMILARITY, asset, corner_table, views

from backend.export.asset import scene_arrays, texture_images
from backend.export.cameras import write_cameras
from backend.export.folder import write_arrays
from backend.export.gltf import write_glb
from backend.export.images import encode_png
from backend.export.obj import write_obj
from backend.render.camera import clip_positions

VALIDATOR = Path(__file__).parents[3] / "scripts" / "validate_gltf.mjs"
FROM_Y_UP = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # (x, y, z) of glTF is (x, -z, y) in Blender


@pytest.fixture(scope="module")
def thing():
    return asset()


@pytest.fixture(scope="module")
def expected(thing):
    """Corner by corner in scene units, Z up, v up."""
    mesh = thing.mesh
    uvs = mesh.uvs[mesh.uv_faces.long()].numpy() * (1, -1) + (0, 1)
    return corner_table(
        SIMILARITY.to_scene(mesh.vertices)[mesh.faces.long()].numpy(), thing.normals[mesh.faces.long()].numpy(), uvs
    )


@pytest.fixture(scope="module")
def glb(thing, tmp_path_factory):
    path = tmp_path_factory.mktemp("glb") / "mesh.glb"
    textures = {name: encode_png(image) for name, image in texture_images(thing.maps).items()}
    write_glb(path, scene_arrays(thing, SIMILARITY), textures)
    return path


def read_glb(path):
    data = path.read_bytes()
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    size, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON"
    document = json.loads(data[20 : 20 + size])
    binary = data[28 + size :]

    def accessor(number):
        entry = document["accessors"][number]
        view = document["bufferViews"][entry["bufferView"]]
        width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}[entry["type"]]
        kind = {5126: np.float32, 5125: np.uint32}[entry["componentType"]]
        return np.frombuffer(binary, kind, entry["count"] * width, view["byteOffset"]).reshape(-1, width)

    def image(number):
        view = document["bufferViews"][document["images"][number]["bufferView"]]
        png = np.frombuffer(binary, np.uint8, view["byteLength"], view["byteOffset"])
        return cv2.imdecode(png, cv2.IMREAD_UNCHANGED)[..., ::-1] / 255.0

    return document, accessor, image


def test_glb_is_the_asset_in_the_scene(glb, thing, expected):
    document, accessor, image = read_glb(glb)
    primitive = document["meshes"][0]["primitives"][0]
    corner = accessor(primitive["indices"]).ravel()
    values = {name: accessor(number)[corner] for name, number in primitive["attributes"].items()}
    read = np.concatenate(
        [
            values["POSITION"] @ FROM_Y_UP.T,
            values["NORMAL"] @ FROM_Y_UP.T,
            values["TEXCOORD_0"] * (1, -1) + (0, 1),
        ],
        1,
    )
    assert np.allclose(read, expected, atol=1e-5)
    pbr = document["materials"][0]["pbrMetallicRoughness"]
    orm = image(document["textures"][pbr["metallicRoughnessTexture"]["index"]]["source"])
    assert np.allclose(orm[..., 0], 1.0)
    assert np.allclose(orm[..., 1], thing.maps.roughness[..., 0], atol=0.003)
    assert np.allclose(orm[..., 2], thing.maps.metallic[..., 0], atol=0.003)
    normal = image(document["textures"][document["materials"][0]["normalTexture"]["index"]]["source"])
    assert np.allclose(normal, (0.8, 0.5, 0.9), atol=0.003)
    color = image(document["textures"][pbr["baseColorTexture"]["index"]]["source"])
    dark = thing.maps.base_color.numpy() < 0.5
    assert (color[dark] > thing.maps.base_color.numpy()[dark] + 0.005).mean() > 0.95, "the base colour is not encoded"


def test_glb_tangents_run_along_u_and_their_bitangents_up_the_texture(glb):
    """The spec's frame, from the file alone: cross(normal, tangent) * w points where v decreases in glTF's v-down coordinates."""
    document, accessor, _ = read_glb(glb)
    primitive = document["meshes"][0]["primitives"][0]
    corner = accessor(primitive["indices"]).reshape(-1, 3)
    position, normal, tangent, uv = (
        accessor(primitive["attributes"][name])[corner].astype(np.float64)
        for name in ("POSITION", "NORMAL", "TANGENT", "TEXCOORD_0")
    )
    edges = np.stack([position[:, 1] - position[:, 0], position[:, 2] - position[:, 0]], 1)
    steps = np.stack([uv[:, 1] - uv[:, 0], uv[:, 2] - uv[:, 0]], 1)
    gradient = np.linalg.solve(steps, edges)  # rows: dposition/du, dposition/dv
    bitangent = np.cross(normal, tangent[..., :3]) * tangent[..., 3:]
    assert set(np.unique(tangent[..., 3])) <= {1.0, -1.0}
    assert ((tangent[..., :3] * gradient[:, None, 0]).sum(2) > 0).all()
    assert ((bitangent * gradient[:, None, 1]).sum(2) < 0).all()


def test_glb_passes_the_khronos_validator(glb):
    modules = Path(os.environ.get("UNRENDER_NODE_MODULES", "node_modules"))
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    if not (modules / "gltf-validator").is_dir():
        pytest.skip(f"gltf-validator is not in {modules}; set UNRENDER_NODE_MODULES to the node_modules that has it")
    done = subprocess.run(["node", str(VALIDATOR), str(glb)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["issues"]["numErrors"] == 0
    broken = glb.with_name("broken.glb")
    broken.write_bytes(glb.read_bytes().replace(b'"VEC4"', b'"VEC3"'))
    assert subprocess.run(["node", str(VALIDATOR), str(broken)], capture_output=True, timeout=60).returncode == 1


def test_obj_is_the_same_asset(thing, expected, tmp_path):
    write_obj(tmp_path / "mesh.obj", scene_arrays(thing, SIMILARITY))
    rows = [line.split() for line in (tmp_path / "mesh.obj").read_text().splitlines()]
    table = {key: np.array([row[1:] for row in rows if row[:1] == [key]], float) for key in ("v", "vt", "vn")}
    corner = np.array([[part.split("/") for part in row[1:]] for row in rows if row[:1] == ["f"]], int) - 1
    read = corner_table(
        table["v"][corner[..., 0]] @ FROM_Y_UP.T, table["vn"][corner[..., 2]] @ FROM_Y_UP.T, table["vt"][corner[..., 1]]
    )
    assert np.allclose(read, expected, atol=1e-4)
    material = (tmp_path / "mesh.mtl").read_text()
    assert ["mtllib", "mesh.mtl"] in rows
    assert "newmtl Unrender" in material
    assert ["usemtl", "Unrender"] in rows


def test_arrays_are_the_same_asset_with_v_up(thing, expected, tmp_path):
    write_arrays(tmp_path / "mesh.npz", scene_arrays(thing, SIMILARITY))
    with np.load(tmp_path / "mesh.npz") as stored:
        read = corner_table(
            stored["vertices"][stored["faces"]], stored["corner_normals"], stored["uvs"][stored["uv_faces"]]
        )
    assert np.allclose(read, expected, atol=1e-5)


def test_cameras_see_a_scene_point_where_the_fit_saw_it(tmp_path):
    seen = views()
    write_cameras(tmp_path / "cameras.json", {"train": seen, "test": None}, SIMILARITY)
    stored = json.loads((tmp_path / "cameras.json").read_text())["cameras"]
    point = torch.tensor([[0.3, -0.2, 0.1]])
    scene = np.append(SIMILARITY.to_scene(point)[0].numpy(), 1.0)
    clip = clip_positions(point, seen.cameras, (96, 128))[:, 0]
    ours = (clip[:, :2] / clip[:, 3:] + 1) / 2 * torch.tensor([128, 96])
    for entry, pixel in zip(stored, ours):
        x, y, z, _ = np.linalg.inv(np.array(entry["camera_to_world"])) @ scene
        found = (entry["cx"] + entry["fx"] * x / -z, entry["cy"] - entry["fy"] * y / -z)
        assert found == pytest.approx(pixel.tolist(), abs=1e-2)
    assert [(entry["name"], entry["split"], entry["width"], entry["height"]) for entry in stored] == [
        ("a.png", "train", 128, 96),
        ("b.png", "train", 120, 90),
    ]


def test_numbers_that_are_not_finite_are_refused(thing):
    import dataclasses

    vertices = thing.mesh.vertices.clone()
    vertices[3, 1] = float("nan")
    broken = dataclasses.replace(thing, mesh=dataclasses.replace(thing.mesh, vertices=vertices))
    with pytest.raises(ValueError, match="vertices hold numbers that are not finite"):
        scene_arrays(broken, SIMILARITY)
