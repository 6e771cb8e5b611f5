"""A known mesh under a known light, from its files: what is refused, and the whole run that keeps the mesh."""

import numpy as np
import pytest
import torch
from known import asset, paint, sky

from backend.contract import RequestError, parse
from backend.dataset.reference import read_mesh
from backend.export.images import write_hdr, write_png
from backend.job import Job
from backend.light.environment import EnvironmentLight
from backend.loss.metrics import encode_srgb
from backend.pipeline import reconstruct
from backend.scene import read_scene

CENTRE, SCALE = torch.tensor([3.0, -2.0, 1.0]), 0.5


def write_obj(folder, name, color, uv_scale=1.0, shift=0.0):
    """The painted box in its own units, with Y up as files have it, and its texture."""
    thing = asset(cells=4)
    points = (thing.vertices * SCALE + CENTRE + shift) @ torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # x, z, -y
    uvs = thing.uvs * torch.tensor([uv_scale, -1.0]) + torch.tensor([0.0, 1.0])
    lines = [f"mtllib {name}.mtl", "usemtl paint"]
    lines += ["v {:.7f} {:.7f} {:.7f}".format(*p) for p in points.tolist()]
    lines += ["vt {:.7f} {:.7f}".format(*p) for p in uvs.tolist()]
    for face, uv_face in zip((thing.faces + 1).tolist(), (thing.uv_faces + 1).tolist(), strict=True):
        lines.append("f " + " ".join(f"{v}/{t}" for v, t in zip(face, uv_face, strict=True)))
    (folder / f"{name}.obj").write_text("\n".join(lines) + "\n")
    (folder / f"{name}.mtl").write_text(f"newmtl paint\nmap_Kd {name}.png\nPr 0.7\nPm 0\n")
    write_png(folder / f"{name}.png", encode_srgb(color))
    return folder / f"{name}.obj"


@pytest.fixture
def folder(tmp_path):
    """truth.obj, painted; grey.obj, the same without paint; sky.hdr."""
    write_obj(tmp_path, "truth", paint())
    write_obj(tmp_path, "grey", torch.full((64, 64, 3), 0.5))
    write_hdr(tmp_path / "sky.hdr", sky())
    return tmp_path


def request(folder, **changes):
    data = {
        "source": str(folder / "truth.obj"), "device": "cpu", "threads": 1, "preset": "draft",
        "views": {"environment": str(folder / "sky.hdr"), "resolution": 48, "count": 8},
        "light": {"file": str(folder / "sky.hdr"), "lock": True, "resolution": 16},
        "asset": {"texture_size": 64},
        "refine": {"steps": 40, "views_per_step": 2, "learning_rate_textures": 0.03},
    }  # fmt: skip
    return parse({**data, **changes})


def test_a_kept_mesh_keeps_all_but_its_paint_which_is_found(folder):
    """Light and shape are given: only the grey of the given mesh is wrong."""
    events = []
    asked = request(folder, keep_mesh=str(folder / "grey.obj"), lock_positions=True)
    with Job(folder / "job", asked) as job:
        result = reconstruct(asked, job, events.append)
        given = read_mesh(folder / "grey.obj")
        found = read_mesh(job.result / result.files["mesh_obj"])
        with np.load(job.result / result.files["arrays"]) as arrays:
            vertices, faces = torch.from_numpy(arrays["vertices"]), torch.from_numpy(arrays["faces"])
    stages = {event.stage for event in events if hasattr(event, "stage")}
    assert stages.isdisjoint({"shape", "asset"}) and "refine" in stages
    assert torch.equal(faces.int(), given.faces)
    assert (vertices - given.vertices).abs().max() < 1e-6
    place = found.vertices[found.faces.long()], given.vertices[given.faces.long()]
    texels = found.uvs[found.uv_faces.long()], given.uvs[given.uv_faces.long()]
    assert (place[0] - place[1]).abs().max() < 1e-5 and (texels[0] - texels[1]).abs().max() < 1e-5
    chart = (slice(2, 30), slice(2, 19))  # of the side towards +X, inside its border
    error, start = (found.maps.base_color - paint())[chart].abs(), (0.5 - paint())[chart].abs()
    assert error.mean() < 0.4 * start.mean()
    assert result.metrics["psnr"] > 33.0


def test_what_is_wrong_with_a_known_scene_is_said_in_words(folder, renderer):
    cpu = torch.device("cpu")
    fields = {"resolution": 32, "count": 2}
    environment = {"environment": str(folder / "sky.hdr"), **fields}
    wrong = {
        "environment-missing": request(folder, views=fields),
        "mesh-misplaced": request(
            folder, views=environment, keep_mesh=str(write_obj(folder, "far", paint(), shift=4.0))
        ),
        "mesh-missing": request(folder, views=environment, keep_mesh=str(folder / "none.obj")),
        "environment-format": request(folder, views={**fields, "environment": str(folder / "truth.png")}),
    }
    for code, asked in wrong.items():
        with pytest.raises(RequestError) as caught:
            read_scene(asked, renderer, cpu)
        assert caught.value.code == code, caught.value.message
        assert str(folder) in caught.value.message and caught.value.hint
    assert len(wrong) == 4


def test_a_mesh_in_the_scenes_own_coordinates_fills_the_box(folder, renderer):
    views = {"environment": str(folder / "sky.hdr"), "resolution": 32, "count": 2}
    scene = read_scene(request(folder, views=views, keep_mesh=str(folder / "grey.obj")), renderer, torch.device("cpu"))
    assert scene.dataset.train.images.isfinite().all()  # though the sky has fewer pixels than its cube has texels
    mesh, maps = scene.kept
    assert torch.allclose(mesh.vertices.amax(0), torch.tensor([1.0, 0.6, 0.8]), atol=1e-5)
    assert torch.allclose(mesh.vertices.amin(0), -torch.tensor([1.0, 0.6, 0.8]), atol=1e-5)
    assert maps.base_color.shape == (64, 64, 3) and torch.allclose(maps.base_color, torch.tensor(0.5), atol=3e-3)
    picture = scene.light.to_latlong(16)
    assert (picture - sky()).abs().mean() < 0.03  # the sky as it was given: brighter above, warmer towards +X


def test_views_of_a_mesh_stand_in_the_light_that_a_known_light_is(folder, renderer, monkeypatch):
    """As strong and as turned: else a locked light would contradict the pictures."""
    made, make = [], EnvironmentLight.from_latlong

    def small(picture, resolution, rotation=0.0):
        made.append((picture, rotation))
        return make(picture, 16, rotation)

    monkeypatch.setattr(EnvironmentLight, "from_latlong", small)
    views = {"environment": str(folder / "sky.hdr"), "resolution": 32, "count": 2}
    light = {"file": str(folder / "sky.hdr"), "resolution": 16, "strength": 2.0, "rotation": 90.0}
    read_scene(request(folder, views=views, light=light), renderer, torch.device("cpu"))
    (of_views, turn_of_views), (known, turn) = made
    assert turn_of_views == turn == pytest.approx(torch.pi / 2)
    assert torch.equal(of_views, known) and torch.allclose(known, 2.0 * sky(), rtol=0.02)


def test_texture_coordinates_beyond_the_unit_square_are_shrunk_into_it_with_their_texture(folder, renderer):
    views = {"environment": str(folder / "sky.hdr"), "resolution": 48, "count": 2}
    tiled = write_obj(folder, "tiled", paint(), uv_scale=2.0)
    scene = read_scene(request(folder, views=views, keep_mesh=str(tiled)), renderer, torch.device("cpu"))
    mesh, maps = scene.kept
    assert any("tiled.obj" in told and "outside 0 to 1" in told for told in scene.dataset.warnings)
    assert mesh.uvs.min() >= 0.0 and mesh.uvs.max() <= 1.0
    given = read_mesh(tiled)
    corners, before = mesh.uvs[mesh.uv_faces.long()].mean(1), given.uvs[given.uv_faces.long()].mean(1)
    row, column = (corners[:, 1] * 64).long(), (corners[:, 0] * 64).long()
    height, width = given.maps.base_color.shape[:2]
    then = (before[:, 1] % 1 * height).long(), (before[:, 0] % 1 * width).long()
    assert (maps.base_color[row, column] - given.maps.base_color[then]).abs().mean() < 0.05
    assert given.maps.base_color.std() > 0.1
