"""Two cards that hide a part of each other: the result, read back by us, equals what Cycles shows of our import and of the .glb."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch
from parity_scene import INTERPRETER, light_pattern

from backend.commands.asset import load_asset
from backend.contract import Result, parse, read_result, to_dict
from backend.dataset.image_file import read_image
from backend.dataset.normalise import normalise_cameras
from backend.dataset.views import Cameras, Similarity, Views
from backend.export.asset import Asset
from backend.export.folder import write_result
from backend.export.report import Report
from backend.geometry.mesh import Mesh
from backend.geometry.normals import vertex_normals
from backend.light.environment import EnvironmentLight
from backend.loss.metrics import encode_srgb, psnr
from backend.material.channels import MaterialMaps, flat_normal

HEIGHT, WIDTH, TEXELS = 64, 72, 64


def cards(alpha):
    """A small card at y = -1 and one at y = 1, each with half of the texture: a reddish one that fades, a blue one with a hole."""
    corner = torch.tensor([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    first, second = (torch.full((4, 1), place) for place in (-1.0, 1.0))
    left, right = corner * 0.6 + torch.tensor([-0.12, 0.05]), corner * 0.9 + torch.tensor([0.1, -0.05])
    vertices = torch.cat(
        (torch.cat((left[:, :1], first, left[:, 1:]), 1), torch.cat((right[:, :1], second, right[:, 1:]), 1))
    )
    quads = torch.arange(8).view(2, 4)
    faces = torch.cat((quads[:, [0, 1, 2]], quads[:, [0, 2, 3]])).int()
    inside = corner * torch.tensor([0.9, -0.9]) + 0.5
    uvs = torch.cat((inside * torch.tensor([0.5, 1.0]), inside * torch.tensor([0.5, 1.0]) + torch.tensor([0.5, 0.0])))
    line = (torch.arange(TEXELS) + 0.5) / TEXELS
    u, v = line[None, :].expand(TEXELS, -1), line[:, None].expand(-1, TEXELS)
    fading = 0.15 + 1.4 * u
    hole = 0.25 + 0.6 * ((2 * u - 1.5).square() + (v - 0.5).square() > 0.06).float()
    opacity = torch.where(u < 0.5, fading, hole)[..., None].clamp(0, 1)
    near, far = torch.tensor([0.8, 0.3, 0.1]), torch.tensor([0.1, 0.3, 0.7])
    color = torch.where(u[..., None] < 0.5, near, far) * (0.75 + 0.25 * torch.sin(12.0 * v))[..., None]
    maps = MaterialMaps(
        color, torch.ones(TEXELS, TEXELS, 1), torch.zeros(TEXELS, TEXELS, 1), flat_normal(color), opacity
    )
    return Asset(
        Mesh(vertices, faces, uvs, faces),
        vertex_normals(vertices, faces),
        maps,
        torch.from_numpy(light_pattern(32)),
        alpha,
    )


def cameras():
    """From before and from behind: the other card is nearer, and both are seen from their backs."""
    poses = torch.eye(4).repeat(2, 1, 1)
    poses[0, :3] = torch.tensor([[1.0, 0, 0, 0.1], [0, 0, -1, -5], [0, 1, 0, 0.1]])
    poses[1, :3] = torch.tensor([[-1.0, 0, 0, 0.1], [0, 0, 1, 5], [0, 1, 0, -0.1]])
    return Cameras(poses, torch.tensor([[230.0, 230, 36, 32]]).repeat(2, 1), torch.tensor([[HEIGHT, WIDTH]] * 2))


@pytest.mark.parametrize("alpha", ["blend", "clip"])
def test_an_asset_with_alpha_looks_the_same_to_us_and_to_cycles(alpha, tmp_path):
    python = os.environ.get(INTERPRETER)
    if not python:
        pytest.skip(f"{INTERPRETER} is not set: give the path of a Python that can import bpy")
    request = parse({"source": "cards", "refine": {"layers": 3}, "asset": {"alpha": alpha}})
    views = Views(("0", "1"), cameras(), torch.zeros(2, HEIGHT, WIDTH, 4))
    same = Similarity((0.0, 0.0, 0.0), 1.0)
    write_result(
        tmp_path, cards(alpha), same, {"train": views}, Report(title="cards"), Result(files={}, request=to_dict(request), alpha=alpha)
    )  # fmt: skip
    script, out = Path(__file__).with_name("alpha_render.py"), tmp_path / "cycles"
    environment = {**os.environ, "BLENDER_USER_RESOURCES": str(tmp_path / "blender")}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [python, str(script), str(tmp_path), str(out)], env=environment, capture_output=True, text=True, timeout=240
    )
    assert (out / "gltf 1.exr").is_file(), f"{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    facts = json.loads((out / "material.json").read_text())
    assert facts == {
        "from": "MATH" if alpha == "clip" else "TEX_IMAGE",
        "method": "DITHERED",
        "packing": "CHANNEL_PACKED",
    }

    asset = load_asset(read_result(tmp_path), torch.device("cpu"), "builtin")
    light = EnvironmentLight.from_latlong(torch.from_numpy(light_pattern(32)), 64).prefiltered()
    placed = normalise_cameras(cameras(), asset.similarity)
    for view in range(2):
        drawn = asset.draw(light, placed.select(torch.tensor([view])))
        wrong = asset.draw(light, placed.select(torch.tensor([1 - view]))).flip(
            1
        )  # nearly as if the order were the other
        for reading in ("ours", "gltf"):
            truth = read_image(out / f"{reading} {view}.exr")
            opacity = float((drawn[..., 3] - truth[..., 3]).abs().mean())
            color = float(psnr(encode_srgb(drawn[..., :3]), encode_srgb(truth[..., :3])))
            other = float(psnr(encode_srgb(wrong[..., :3]), encode_srgb(truth[..., :3])))
            print(
                f"{alpha}, camera {view}, {reading}: {color:.1f} dB, alpha off by {opacity:.4f}; the other order {other:.1f} dB"
            )
            assert opacity < 0.012 and color > 33.0 and other < color - 5.0
