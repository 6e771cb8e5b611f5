"""The two stages' fits as a run builds them, in this process, to be timed and judged."""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from benchmark_base import request_of, wait
from benchmark_object import ball, object_views
from torch import Tensor

from backend.bake.asset import make_asset
from backend.contract import Request
from backend.dataset.hull import visual_hull
from backend.dataset.views import Cameras, Views
from backend.geometry.mesh import Mesh
from backend.light.environment import EnvironmentLight, PrefilteredLight
from backend.loss.metrics import encode_over_white, psnr
from backend.material.channels import MaterialMaps
from backend.material.textures import MaterialTextures
from backend.optimise.fit import Fit
from backend.optimise.refine import RefineFit
from backend.optimise.shape import ShapeFit
from backend.optimise.team import Team
from backend.pipeline import HALF_EXTENT
from backend.render.renderer import Material, Renderer, Surface
from backend.render.supersample import render_averaged
from backend.scene import read_scene

BALL_RADIUS = 0.8  # of a stand-in for the asset, in the normalised box: about what an object covers of a picture
_HULL_CELLS = 64


@dataclass(frozen=True)
class Bench:
    """What is fitted.

    Attributes:
        request: every number of the fits.
        train: views on the device.
        judged: views held out, or the first that are fitted where none are; on the CPU.
        hull: [R, R, R] inside-ness the shape stage starts from.
    """

    request: Request
    train: Views
    judged: Views
    hull: Tensor

    @property
    def device(self) -> torch.device:
        """Where all of it is."""
        return self.train.images.device

    def at(self, resolution: int) -> Bench:
        """The same with images of another size."""
        return replace(self, train=resized(self.train, resolution))


def prepare(
    options: argparse.Namespace, settings: dict[str, object], renderer: Renderer, device: torch.device
) -> Bench:
    """Read the source, or photograph the built-in object, at the resolution the settings ask for; smaller images are enlarged."""
    request = request_of(options, settings)
    resolution = request.views.resolution
    if options.synthesise:
        dataset = object_views(renderer, device, resolution, options.synthesise)
    else:
        dataset = read_scene(request, renderer, device).dataset
    train = resized(dataset.train.to(device), resolution)
    corner = torch.full((3,), HALF_EXTENT, device=device)
    hull = visual_hull(
        train.cameras, train.masks(), max(_HULL_CELLS, 2 * request.shape.start_cells), -corner, corner
    ).to(device)
    judged = dataset.test if dataset.test is not None else dataset.train.span(0, min(8, len(dataset.train)))
    return Bench(request, train, judged, hull)


def resized(views: Views, resolution: int) -> Views:
    """The views with a long side of `resolution` pixels."""
    height, width = views.canvas
    scale = resolution / max(height, width)
    if scale == 1.0:
        return views
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    mode = "area" if scale < 1.0 else "bilinear"
    images = torch.stack([
        F.interpolate(image.movedim(-1, 0)[None].float(), size, mode=mode)[0].movedim(0, -1).half() for image in views.images
    ])  # fmt: skip
    sizes = (views.cameras.sizes * scale).round().long().clamp(min=1)
    return Views(views.names, Cameras(views.cameras.camera_to_world, views.cameras.intrinsics * scale, sizes), images)


def shape_fit(bench: Bench, renderer: Renderer, request: Request | None = None, team: Team | None = None) -> ShapeFit:
    """Stage 1 at its start."""
    request = request or bench.request
    light = EnvironmentLight(request.light.resolution).to(bench.device)
    return ShapeFit(
        request.shape, bench.train, bench.hull, HALF_EXTENT, light, request.light, renderer, request.seed, team
    )


def asset_of(fit: ShapeFit, renderer: Renderer, request: Request) -> tuple[Mesh, MaterialMaps]:
    """Stage 2: the mesh with texture coordinates, and the field baked."""
    asset = make_asset(fit.mesh(), fit.field, renderer.engine, request.asset)
    return asset.mesh, asset.maps


def ball_asset(triangles: int, request: Request, device: torch.device) -> tuple[Mesh, MaterialMaps]:
    """A grey ball in the asset's place, for figures that need no stage before."""
    mesh, size = ball(triangles).to(device), request.asset.texture_size
    maps = MaterialTextures.plain(size, size).to(device).maps()
    return replace(mesh, vertices=BALL_RADIUS * mesh.vertices), maps


def refine_fit(
    bench: Bench,
    renderer: Renderer,
    asset: tuple[Mesh, MaterialMaps],
    light: EnvironmentLight | None = None,
    request: Request | None = None,
    team: Team | None = None,
) -> RefineFit:
    """Stage 3 at its start, under `light` or a grey one."""
    request, (mesh, maps) = request or bench.request, asset
    light = light or EnvironmentLight(request.light.resolution).to(bench.device)
    textures = MaterialTextures(maps)
    return RefineFit(
        request.refine, bench.train, mesh, textures, light, request.light, False, renderer, request.seed, team=team
    )


@dataclass(frozen=True)
class Windows:
    """How a steady state is timed: so many steps first, then the median of `count` windows of `length` steps.

    The fit's own schedule (coarse to fine, textures growing) is over by the end of the first steps: they are at least half of all.
    """

    warm_up: int
    count: int
    length: int

    @property
    def first(self) -> int:
        """The first step that is timed."""
        return max(self.warm_up, self.count * self.length + self.length)

    @property
    def steps(self) -> int:
        """Steps the fit must have; one window's worth is left over for a profile."""
        return self.first + (self.count + 1) * self.length


def step_milliseconds(fit: Fit, windows: Windows, device: torch.device) -> float:
    """Milliseconds a step in the steady state; ends in a `step` that a profile can go on from."""
    while fit.step < windows.first:
        advance(fit)
    found = []
    for _ in range(windows.count):
        wait(device)
        began = time.perf_counter()
        for _ in range(windows.length):
            advance(fit)
        wait(device)
        found.append(1e3 * (time.perf_counter() - began) / windows.length)
    return statistics.median(found)


def advance(fit: Fit) -> None:
    """One step."""
    fit.advance()
    fit.step += 1


def judge(
    renderer: Renderer, surface: Surface, material: Material, light: PrefilteredLight, views: Views
) -> tuple[float, float]:
    """Mean PSNR (dB, sRGB over white) and mean overlap of the masks (intersection over union, [0, 1]) over the views."""
    levels, overlaps = [], []
    for index in range(len(views)):
        one = views.span(index, index + 1).to(surface.vertices.device)
        height, width = one.cameras.sizes[0].tolist()
        ours = render_averaged(renderer, surface, material, light, one.cameras, one.canvas)[0, :height, :width]
        photo = one.images[0, :height, :width].float()
        levels.append(float(psnr(encode_over_white(ours), encode_over_white(photo))))
        mine, theirs = ours[..., 3] > 0.5, photo[..., 3] > 0.5
        overlaps.append(float((mine & theirs).sum() / (mine | theirs).sum().clamp(min=1)))
    return statistics.mean(levels), statistics.mean(overlaps)
