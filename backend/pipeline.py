"""The whole run on one page: views -> shape -> asset -> refine -> export."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from backend.bake.asset import make_asset
from backend.bake.texels import texel_surface
from backend.bake.textures import finish_maps
from backend.bake.unseen import seen_texels
from backend.contract import Event, Progress, Request, Result, Warned, to_dict, version
from backend.dataset.hull import visual_hull
from backend.dataset.views import Views
from backend.engines.select import select_engine
from backend.export.asset import Asset
from backend.export.compare import compare_views
from backend.export.folder import write_result
from backend.export.report import Report
from backend.geometry.mesh import Mesh
from backend.job import Job
from backend.light.environment import EnvironmentLight
from backend.loss.metrics import lpips_meter
from backend.material.channels import MaterialMaps
from backend.material.textures import MaterialTextures
from backend.optimise.checkpoint import load_checkpoint, save_checkpoint
from backend.optimise.fit import run
from backend.optimise.refine import RefineFit
from backend.optimise.shape import ShapeFit
from backend.render.renderer import Renderer
from backend.scene import Scene, read_scene
from backend.watch import Watch

HALF_EXTENT = 1.08  # of the grid: the object's longest side is 2, and its surface must not touch the grid's border
_HULL_CELLS = 128


@dataclass(frozen=True)
class Run:
    """What every stage of one run needs."""

    request: Request
    job: Job
    emit: Callable[[Event], None]
    device: torch.device
    renderer: Renderer
    scene: Scene
    train: Views
    watch: Watch

    def warn(self, messages: tuple[str, ...]) -> None:
        """Tell the artist, and keep it for the report."""
        for message in messages:
            if message not in self.watch.warnings:
                self.watch.warnings.append(message)
                self.emit(Warned(message=message))


def reconstruct(request: Request, job: Job, emit: Callable[[Event], None]) -> Result:
    """Run a request in its job folder; see `contract` for what is raised and `Job` for what is left behind."""
    run_ = _begin(request, job, emit)
    if run_.scene.kept is None:
        mesh, maps = _asset(run_)
    else:
        mesh, maps = run_.scene.kept
    fit = _refine(run_, mesh, maps)
    return _export(run_, fit)


def _begin(request: Request, job: Job, emit: Callable[[Event], None]) -> Run:
    began = time.monotonic()
    device = torch.device(request.device)
    threads = request.threads or os.cpu_count() or 1
    torch.set_num_threads(threads)
    torch.manual_seed(request.seed)
    renderer = Renderer(select_engine(request.engine, device, threads))
    emit(Progress(stage="views", step=0, steps=1))
    scene = read_scene(request, renderer, device)
    train = scene.dataset.train.to(device)
    watch = Watch(job, emit, train, scene.dataset.similarity, scene.light, renderer)
    run_ = Run(request, job, emit, device, renderer, scene, train, watch)
    run_.warn(scene.dataset.warnings)
    watch.timings["views"] = time.monotonic() - began
    emit(Progress(stage="views", step=1, steps=1))
    return run_


def _asset(run_: Run) -> tuple[Mesh, MaterialMaps]:
    """Stages 1 and 2, or what an earlier part of this job left of them."""
    path = run_.job.state / "asset.pt"
    stored = load_checkpoint(path, run_.device) if run_.job.resumed else None
    if stored is None:
        fit = _shape(run_)
        began = time.monotonic()
        run_.emit(Progress(stage="asset", step=0, steps=1, eta=run_.watch.time_left(run_.request.refine.steps)))
        asset = make_asset(fit.mesh(), fit.field, run_.renderer.engine, run_.request.asset)
        run_.watch.timings["asset"] = time.monotonic() - began
        stored = {
            "mesh": vars(asset.mesh),
            "maps": vars(asset.maps),
            "light": run_.scene.light.state_dict(),
            "warnings": list(asset.warnings),
            **run_.watch.state(),
        }
        save_checkpoint(path, stored)
        run_.emit(Progress(stage="asset", step=1, steps=1, eta=run_.watch.time_left(run_.request.refine.steps)))
    else:
        run_.scene.light.load_state_dict(stored["light"])
        run_.watch.restore(stored)
    run_.warn(tuple(stored["warnings"]))
    return Mesh(**stored["mesh"]), MaterialMaps(**stored["maps"])


def _shape(run_: Run) -> ShapeFit:
    cameras, masks = run_.train.cameras, run_.train.images[..., 3].float()
    corner = torch.full((3,), HALF_EXTENT, device=run_.device)
    hull = visual_hull(cameras, masks, _HULL_CELLS, -corner, corner)
    fit = ShapeFit(
        run_.request.shape,
        run_.train,
        hull,
        HALF_EXTENT,
        run_.scene.light,
        run_.request.light,
        run_.renderer,
        run_.request.seed,
    )
    _optimise(run_, fit, run_.request.refine.steps)
    if fit.reseeded:
        run_.warn((f"the surface vanished {fit.reseeded} times and was started anew; masks or poses may be wrong",))
    return fit


def _refine(run_: Run, mesh: Mesh, maps: MaterialMaps) -> RefineFit:
    fit = RefineFit(
        run_.request.refine,
        run_.train,
        mesh,
        MaterialTextures(maps),
        run_.scene.light,
        run_.request.light,
        run_.request.lock_positions,
        run_.renderer,
        run_.request.seed,
        coarse_to_fine=run_.scene.kept is None,
    )
    _optimise(run_, fit, 0)
    return fit


def _optimise(run_: Run, fit: ShapeFit | RefineFit, later_steps: int) -> None:
    """Run one stage from its checkpoint or its start; leaves a checkpoint at its end, and where the run is cancelled."""
    stored = load_checkpoint(run_.job.state / f"{fit.name}.pt", run_.device) if run_.job.resumed else None
    if stored is not None:
        fit.restore(stored)
        run_.watch.restore(stored)
    run_.watch.begin(fit, later_steps)
    if not run(fit, run_.watch.on_step):
        run_.job.raise_if_cancelled()
    run_.watch.end(fit)


def _export(run_: Run, fit: RefineFit) -> Result:
    began = time.monotonic()
    run_.emit(Progress(stage="export", step=0, steps=1))
    light: EnvironmentLight = run_.scene.light
    similarity = run_.scene.dataset.similarity
    with torch.no_grad():
        surface, mesh = fit.surface(), fit.mesh()
        texels = texel_surface(run_.renderer.engine, mesh, run_.request.asset.texture_size)
        seen = seen_texels(run_.renderer.engine, mesh, texels, run_.train.cameras, run_.train.canvas)
        maps = finish_maps(fit.final_textures().maps(), mesh, texels, seen)
        held_out = run_.scene.dataset.test
        judged = held_out.to(run_.device) if held_out is not None else run_.train.select(_few(run_.train))
        lpips, _ = lpips_meter(str(run_.device))
        comparisons = compare_views(run_.renderer, surface, fit.material, light.prefiltered(), judged, lpips)
    unseen = 1.0 - float(seen.float().mean())
    if unseen > 0.1:
        run_.warn(
            (
                f"{100 * unseen:.0f} % of the surface is seen by no view and was filled from its surroundings; add views from there",
            )
        )
    run_.watch.timings["export"] = time.monotonic() - began
    figures = {"triangles": float(mesh.faces.shape[0]), "unseen_share": unseen, **run_.watch.memory(run_.device)}
    report = Report(
        title=Path(run_.request.source).stem or "Reconstruction",
        comparisons=comparisons,
        held_out=held_out is not None,
        curves=run_.watch.curves,
        figures=figures,
        timings=run_.watch.timings,
        facts=(f"Unrender {version()}", f"device {run_.device}", f"engine {run_.renderer.engine.name}"),
        warnings=tuple(run_.watch.warnings),
        settings=to_dict(run_.request),
    )
    result = Result(
        files={},
        metrics={**report.means(), **figures},
        request=to_dict(run_.request),
        version=version(),
        device=str(run_.device),
        engine=run_.renderer.engine.name,
        seconds=sum(run_.watch.timings.values()),
        warnings=tuple(run_.watch.warnings),
    )
    asset = Asset.of(mesh, surface.normals.detach(), maps, light, 4 * run_.request.light.resolution)
    with run_.job.staging_result() as folder:
        views = {"train": run_.scene.dataset.train, "test": held_out}
        written = write_result(folder, asset, similarity, views, report, result)
    run_.emit(Progress(stage="export", step=1, steps=1, eta=0.0))
    return written


def _few(views: Views) -> torch.Tensor:
    """Eight views spread over all: what is measured where none is held out."""
    return torch.linspace(0, len(views) - 1, min(8, len(views)), device=views.images.device).round().long()
