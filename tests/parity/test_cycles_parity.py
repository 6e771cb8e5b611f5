"""Our picture of a convex object against Cycles': the same BSDF, camera, light, textures and normal map, or it fails.

Convex, and direct light only, so that neither shadows nor bounces play a part.
"""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from parity_scene import HEIGHT, WIDTH, Case, Scene, cameras_of, make_scene, render_in_cycles

from backend.dataset.image_file import read_image
from backend.dataset.picture_file import read_picture
from backend.engines.adjacency import edge_adjacency
from backend.engines.select import select_engine
from backend.geometry.mesh import Mesh
from backend.geometry.tangents import tangents
from backend.light.environment import EnvironmentLight, PrefilteredLight
from backend.material.channels import MaterialSample
from backend.render.renderer import Pixels, Renderer, Surface

SAMPLES = 96  # noise well below 45 dB
LEAST_PSNR = 35.0
LIGHT_SIZE = 32
CASES = [
    Case(f"{kind}_{roughness:g}{'_relief' if relief else ''}", roughness, metallic, relief)
    for kind, metallic in (("dielectric", 0.0), ("metal", 1.0))
    for roughness in (0.3, 0.6, 1.0)
    for relief in (False, True)
]

pytestmark = pytest.mark.blender


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene()


@pytest.fixture(scope="module")
def folder(scene, tmp_path_factory) -> Path:
    """All cases rendered by one Blender process, with the textures beside them."""
    folder = tmp_path_factory.mktemp("cycles")
    render_in_cycles(scene, CASES, folder, SAMPLES)
    return folder


@pytest.fixture(scope="module")
def studio(scene, folder) -> Studio:
    return Studio(scene, folder)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_picture_equals_cycles(case, studio, folder):
    truth = read_image(folder / f"{case.name}.exr")
    ours = studio.render(case)
    covered, whole = psnr(ours, truth, truth[..., 3] > 0.999), psnr(ours, truth)
    print(f"{case.name}: {covered:.1f} dB on covered pixels, {whole:.1f} dB on the whole image")
    assert covered >= LEAST_PSNR and whole >= LEAST_PSNR


MISTAKES = {
    "camera turned about its own x": "dielectric_0.6",
    "light turned by a quarter": "metal_0.3",
    "light mirrored": "metal_0.3",
    "green of the normal map flipped": "metal_0.3_relief",
    "tangent's sign ignored": "metal_0.3_relief",
    "base colour read as linear": "dielectric_0.6",
    "roughness squared": "metal_0.6",
    "image upside down": "dielectric_0.6",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_seen(mistake, studio, folder):
    name = MISTAKES[mistake]
    case = next(case for case in CASES if case.name == name)
    truth = read_image(folder / f"{name}.exr")
    wrong = psnr(studio.wrong(mistake).render(case), truth, truth[..., 3] > 0.999)
    print(f"{mistake}: {wrong:.1f} dB")
    assert wrong < LEAST_PSNR - 3.0


class Studio:
    """Our side of the comparison, fed by the same files as Cycles."""

    def __init__(self, scene: Scene, folder: Path):
        self.engine = select_engine("builtin", torch.device("cpu"))
        self.color = read_image(folder / "base_color.png")[..., :3].contiguous()
        self.stored_color = torch.from_numpy(read_picture(folder / "base_color.png").scaled())
        self.normal_map = torch.from_numpy(read_picture(folder / "normal.png").scaled()) * 2.0 - 1.0
        self.sky = read_image(folder / "light.exr")[..., :3]
        self.light = prefiltered(self.sky)
        self.cameras = cameras_of(scene)
        self.surface = surface_of(scene)
        self.roughness_power = 1
        self.upside_down = False

    def wrong(self, mistake: str) -> Studio:
        """The same with one thing done wrong."""
        wrong = copy.copy(self)
        if mistake == "camera turned about its own x":
            pose = self.cameras.camera_to_world * torch.tensor([1.0, -1.0, -1.0, 1.0])
            wrong.cameras = replace(self.cameras, camera_to_world=pose)
        elif mistake == "light turned by a quarter":
            wrong.light = prefiltered(self.sky.roll(self.sky.shape[1] // 4, 1))
        elif mistake == "light mirrored":
            wrong.light = prefiltered(self.sky.flip(1))
        elif mistake == "green of the normal map flipped":
            wrong.normal_map = self.normal_map * torch.tensor([1.0, -1.0, 1.0])
        elif mistake == "tangent's sign ignored":
            frames = self.surface.tangents.clone()
            frames[:, 3] = 1.0
            wrong.surface = replace(self.surface, tangents=frames)
        elif mistake == "base colour read as linear":
            wrong.color = self.stored_color
        elif mistake == "roughness squared":
            wrong.roughness_power = 2
        elif mistake == "image upside down":
            wrong.upside_down = True
        else:
            raise ValueError(mistake)
        return wrong

    @torch.no_grad()
    def render(self, case: Case) -> torch.Tensor:
        """[H, W, 4] linear, premultiplied."""

        def material(pixels: Pixels) -> MaterialSample:
            full = torch.ones_like(pixels.position[:, :1])
            normal = self.engine.texture_2d(self.normal_map, pixels.uv) if case.normal_map else None
            color = self.engine.texture_2d(self.color, pixels.uv)
            return MaterialSample(color, full * case.roughness**self.roughness_power, full * case.metallic, normal)

        frame = Renderer(self.engine).render(self.surface, material, self.light, self.cameras, (HEIGHT, WIDTH))
        return frame.image[0].flip(0) if self.upside_down else frame.image[0]


@torch.no_grad()
def prefiltered(sky: torch.Tensor) -> PrefilteredLight:
    return EnvironmentLight.from_latlong(sky, LIGHT_SIZE).prefiltered()


def surface_of(scene: Scene) -> Surface:
    mesh = Mesh(*(torch.from_numpy(array) for array in (scene.vertices, scene.faces, scene.uvs, scene.uv_faces)))
    normals = torch.from_numpy(scene.normals)
    frames, frame_faces = tangents(mesh, normals)
    return Surface(
        mesh.vertices, mesh.faces, normals, edge_adjacency(mesh.faces), mesh.uvs, mesh.uv_faces, frames, frame_faces
    )


def psnr(ours: torch.Tensor, truth: torch.Tensor, mask: torch.Tensor | None = None) -> float:
    """Of the sRGB-encoded colours over black, clipped to what a screen shows."""
    error = (encoded(ours[..., :3]) - encoded(truth[..., :3])).square()
    error = error if mask is None else error[mask]
    return -10.0 * math.log10(error.mean().item())


def encoded(linear: torch.Tensor) -> torch.Tensor:
    linear = linear.clamp(0.0, 1.0)
    return torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055)
