"""The whole run on one page: views -> shape -> asset -> refine -> export."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from backend.bake.asset import Cut, bake_cut, start_cut
from backend.bake.texels import Texels, texel_surface
from backend.bake.textures import finish_maps
from backend.bake.unseen import seen_texels
from backend.contract import Alpha, Event, Progress, Request, Result, to_dict, version, write_json
from backend.dataset.hull import visual_hull
from backend.dataset.source import READING, Reading, survey
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
from backend.material.channels import FIRST_OPACITY, MaterialMaps
from backend.material.textures import MaterialTextures
from backend.memory import free_memory, release_memory
from backend.optimise.aligning import aligned
from backend.optimise.checkpoint import load_checkpoint, moved, save_checkpoint
from backend.optimise.corrections import Corrections
from backend.optimise.fit import Fit
from backend.optimise.refine import RefineFit, sample_textures
from backend.optimise.shape import ShapeFit
from backend.optimise.team import Team
from backend.plan import Images, Plan, follow, numbers, plan_run, read_numbers
from backend.preflight.check import check_views
from backend.render.renderer import Material, Renderer
from backend.render.shade import tables
from backend.run import Run, optimise
from backend.scene import images_of, read_scene
from backend.watch import Watch

HALF_EXTENT = 1.08  # of the grid: the object's longest side is 2, and its surface must not touch the grid's border
_LEAST_HULL_CELLS = 64
_CUT = (
    0.9  # part of the shape stage after which its mesh is taken and unwrapped, while material and light are fitted on
)


def reconstruct(
    request: Request, job: Job, emit: Callable[[Event], None], team: Team | None = None, ahead: Reading | None = None
) -> Result:
    """Run a request in its job folder; see `contract` for what is raised and `Job` for what is left behind.

    Every process of a team runs this; the first alone is heard, and leaves anything behind. `ahead` are the source's photographs where
    reading them was begun before.
    """
    team = team or Team()
    run_ = _begin(request, job, emit, team, ahead)
    if run_.scene.kept is None:
        mesh, maps = _asset(run_)
    else:
        mesh, maps = run_.scene.kept
    release_memory(run_.device)  # the first stage's objects refer to one another
    fit = _refine(run_, mesh, maps)
    return team.from_first(lambda: _export(run_, fit))


def _begin(request: Request, job: Job, emit: Callable[[Event], None], team: Team, ahead: Reading | None) -> Run:
    began = time.monotonic()
    device = torch.device(request.device)
    threads = request.threads or os.cpu_count() or 1
    torch.set_num_threads(threads)
    torch.manual_seed(request.seed)
    emit(Progress(stage="views", step=0, steps=1))
    source = survey(Path(request.source), request.views.holdout, request.views.only) if ahead is None else ahead.source
    images = images_of(request, source)
    renderer = Renderer(select_engine(request.engine, device, threads))
    plan = team.from_first(lambda: _plan(request, images, job, device))
    emit(plan.event(images))
    loaded: Future[None] = Future()
    loading = threading.Thread(target=_load, args=(renderer, device, loaded), name="load", daemon=True)
    loading.start()  # while images are read
    resolution = plan.request.views.resolution
    if ahead is not None and ahead.resolution != resolution:
        ahead.leave()
        ahead = None
    if source is not None and ahead is None:
        bytes_ = max(READING, free_memory(torch.device("cpu")).host // 8)
        ahead = Reading(source, resolution, threads, bytes_)
    scene = read_scene(plan.request, renderer, device, ahead, loaded.result)
    wanted = source is not None and request.views.preflight
    whole, found = scene.dataset.train, None
    if wanted and request.views.drop_bad:
        scene, found = scene.without_bad(team.from_first(lambda: check_views(whole)))
    views = scene.dataset.train
    train = views.to(device) if plan.images == "device" else views.within_reach(device)
    watch = Watch(job, emit, train, scene.dataset.similarity, scene.light, renderer)
    shape_known = scene.kept is not None and request.lock_positions
    corrections = Corrections(train.cameras, request.refine.exposure, request.refine.poses, shape_known)
    run_ = Run(plan, images, job, emit, device, team, renderer, scene, train, watch, corrections)
    run_.warn((*plan.notes, *scene.dataset.warnings))
    if found is not None:
        run_.tell(found)
    elif wanted and team.leads:  # nothing waits for it: the first mesh is there before it has ended
        run_.checking = ThreadPoolExecutor(1, "check").submit(check_views, whole)
    watch.timings["views"] = time.monotonic() - began
    emit(Progress(stage="views", step=1, steps=1))
    return run_


def _load(renderer: Renderer, device: torch.device, loaded: Future[None]) -> None:
    """What the first step would else wait for; what goes wrong is raised where `loaded` is waited for."""
    try:
        renderer.engine.load()
        tables(device)
    except BaseException as error:
        loaded.set_exception(error)
    else:
        loaded.set_result(None)


def _plan(request: Request, images: Images, job: Job, device: torch.device) -> Plan:
    """A plan for the memory that is free now; a resumed run keeps to the one it began with."""
    plan = plan_run(request, images, free_memory(device))
    path = job.state / "plan.json"
    if job.resumed and (stored := read_numbers(path)):
        return follow(plan, stored)
    write_json(path, numbers(plan))
    return plan


def _asset(run_: Run) -> tuple[Mesh, MaterialMaps]:
    """Stages 1 and 2, or what an earlier part of this job left of them; the maps are in the machine's memory."""
    path = run_.job.state / "asset.pt"
    stored = run_.team.from_first(lambda: load_checkpoint(path, "cpu") if run_.job.resumed else None)
    if stored is None:
        fit, cutting = _shape(run_)
        stored = run_.team.from_first(lambda: _baked(run_, fit, cutting))
        save_checkpoint(path, stored)
        run_.emit(Progress(stage="asset", step=1, steps=1, eta=run_.watch.time_left(run_.request.refine.steps)))
    else:
        run_.scene.light.load_state_dict(stored["light"])
        run_.corrections.load_state_dict(stored["corrections"])
        run_.watch.restore(stored)
    run_.warn(tuple(stored["warnings"]))
    return Mesh(**moved(stored["mesh"], run_.device)), MaterialMaps(**stored["maps"])


def _baked(run_: Run, fit: ShapeFit, cutting: list[Future[Cut]]) -> dict[str, Any]:
    """Stage 2 as it is kept, in the machine's memory."""
    began = time.monotonic()
    run_.emit(Progress(stage="asset", step=0, steps=1, eta=run_.watch.time_left(run_.request.refine.steps)))
    asset = bake_cut(cutting[-1].result(), fit.field, run_.renderer.engine, run_.request.asset)
    run_.watch.timings["asset"] = time.monotonic() - began
    stored = {
        "mesh": vars(asset.mesh),
        "maps": vars(asset.maps),
        "light": run_.scene.light.state_dict(),
        "corrections": run_.corrections.state_dict(),
        "warnings": list(asset.warnings),
        **run_.watch.state(),
    }
    return moved(stored, "cpu")


def _shape(run_: Run) -> tuple[ShapeFit, list[Future[Cut]]]:
    """Stage 1, and the mesh it had at `_CUT` on its way to texture coordinates."""
    corner = torch.full((3,), HALF_EXTENT, device=run_.device)
    cells = max(_LEAST_HULL_CELLS, 2 * run_.request.shape.start_cells)
    hull = run_.team.from_first(
        lambda: visual_hull(run_.train.cameras, run_.train.masks(), cells, -corner, corner).cpu()
    ).to(run_.device)
    path = run_.job.state / "cut.pt"
    cuttings: list[Future[Cut]] = []

    def begin() -> ShapeFit:
        light, request = run_.scene.light, run_.request
        views, renderer = run_.train, run_.renderer
        return ShapeFit(
            request.shape,
            views,
            hull,
            HALF_EXTENT,
            light,
            request.light,
            renderer,
            request.seed,
            run_.team,
            run_.plan.at_once,
            run_.corrections,
        )

    def on_step(fit: Fit, terms: Mapping[str, Tensor]) -> bool:
        if fit.step == round(_CUT * fit.steps):
            assert isinstance(fit, ShapeFit)
            mesh = fit.mesh()
            save_checkpoint(path, {"mesh": vars(mesh)})
            cuttings.append(start_cut(mesh, run_.request.asset))
        run_.hear_check(wait=False)
        return run_.watch.on_step(fit, terms)

    fit = optimise(run_, "shape", begin, on_step, run_.request.refine.steps)
    if fit.reseeded:
        run_.warn((f"the surface vanished {fit.reseeded} times and was started anew; masks or poses may be wrong",))
    if run_.team.leads and not cuttings:  # resumed after it was taken, or a stage of a single step
        stored = load_checkpoint(path, run_.device)
        cuttings.append(start_cut(Mesh(**stored["mesh"]) if stored else fit.mesh(), run_.request.asset))
    return fit, cuttings


def _refine(run_: Run, mesh: Mesh, maps: MaterialMaps) -> RefineFit:
    def begin() -> RefineFit:
        size, layered = run_.request.asset.texture_size, run_.request.refine.layers > 1
        here = maps.each(lambda values: values.to(run_.device))
        textures = MaterialTextures(here.with_opacity(FIRST_OPACITY) if layered else here.opaque())
        return RefineFit(
            run_.request.refine,
            run_.train,
            mesh,
            textures.resized(size) if max(textures.size) > size else textures,
            run_.scene.light,
            run_.request.light,
            run_.request.lock_positions,
            run_.renderer,
            run_.request.seed,
            coarse_to_fine=run_.scene.kept is None,
            team=run_.team,
            at_once=run_.plan.at_once,
            corrections=run_.corrections,
        )

    return optimise(run_, "refine", begin, run_.watch.on_step, 0)


def _export(run_: Run, fit: RefineFit) -> Result:
    began = time.monotonic()
    run_.hear_check(wait=True)
    run_.emit(Progress(stage="export", step=0, steps=1))
    light: EnvironmentLight = run_.scene.light
    similarity = run_.scene.dataset.similarity
    train = replace(run_.train, cameras=run_.corrections.corrected(run_.train.cameras))
    alpha = run_.request.asset.alpha if run_.request.refine.layers > 1 else "opaque"
    held_out = run_.scene.dataset.test
    few = _few(train)
    judged = held_out if held_out is not None else train.select(few)
    gains: Tensor | Literal["best"] | None = None
    if run_.corrections.exposure:
        gains = "best" if held_out is not None else run_.corrections.gains(few)
    fit.finish()
    run_.leave_photographs()
    train = replace(train, images=run_.train.images)
    with torch.no_grad():
        surface, mesh = fit.surface(), fit.mesh()
        size = run_.request.asset.texture_size
        if run_.texels is not None and run_.texels.size == size:
            texels = run_.texels.moved(mesh)
        else:
            texels = texel_surface(run_.renderer.engine, mesh, size)
        fitted, layers = fit.final_textures().maps(), run_.request.refine.layers
        seen = seen_texels(run_.renderer.engine, mesh, texels, train.cameras, train.canvas, fitted.opacity, layers)
        finishing = ThreadPoolExecutor(1).submit(_finished, fitted, mesh, texels, seen)
        lpips, _ = lpips_meter(str(run_.device))
        material = _exported(run_, fit, alpha)
        if held_out is not None and run_.corrections.poses:
            rate = run_.request.refine.learning_rate_poses
            judged = held_out = aligned(run_.renderer, surface, material, light.prefiltered(), held_out, rate)
        comparisons = compare_views(run_.renderer, surface, material, light.prefiltered(), judged, lpips, gains)
        maps = finishing.result()
    unseen = 1.0 - float(seen.float().mean())
    if unseen > 0.1:
        run_.warn(
            (
                f"{100 * unseen:.0f} % of the surface is seen by no view and was filled from its surroundings; add views from there",
            )
        )
    if run_.request.light.space == "camera":
        run_.warn(
            (
                f"the light turned with the camera; environment.exr and .hdr show it as it stood for view {run_.train.names[0]}: only "
                "from there does the asset look in it as photographed",
            )
        )
    run_.watch.timings["export"] = time.monotonic() - began
    figures = {"triangles": float(mesh.faces.shape[0]), "unseen_share": unseen}
    figures |= {"planned_memory_gb": run_.plan.needed / 1e9, **run_.watch.memory(run_.device)}
    report = Report(
        title=Path(run_.request.source).stem or "Reconstruction",
        comparisons=comparisons,
        held_out=held_out is not None,
        aligned=held_out is not None and run_.corrections.poses,
        curves=run_.watch.curves,
        figures=figures,
        timings=run_.watch.timings,
        facts=(
            f"Unrender {version()}",
            f"device {run_.device}",
            f"engine {run_.renderer.engine.name}",
            run_.plan.event(run_.images).summary,
        ),
        warnings=tuple(run_.watch.warnings),
        preflight=run_.preflight,
        settings=to_dict(run_.request),
    )
    result = Result(
        files={},
        metrics={**report.means(), **figures, "held_out_views": float(0 if held_out is None else len(held_out))},
        request=to_dict(run_.request),
        version=version(),
        device=str(run_.device),
        engine=run_.renderer.engine.name,
        seconds=sum(run_.watch.timings.values()),
        warnings=tuple(run_.watch.warnings),
        alpha=alpha,
    )
    whole = run_.scene.dataset.train
    whole = replace(whole, cameras=run_.corrections.corrected(whole.cameras))
    first, height = whole.cameras.camera_to_world[0], 4 * run_.request.light.resolution
    asset = Asset.of(mesh, surface.normals.detach(), maps, light, height, alpha, first)
    with run_.job.staging_result() as folder:
        views = {"train": whole, "test": held_out}
        written = write_result(folder, asset, similarity, views, report, result)
    run_.emit(Progress(stage="export", step=1, steps=1, eta=0.0))
    return written


def _exported(run_: Run, fit: RefineFit, alpha: Alpha) -> Material:
    """The fitted material as the asset shows it."""
    if alpha != "clip":
        return fit.material
    textures = MaterialTextures(fit.final_textures().maps().clipped())
    return lambda pixels: sample_textures(run_.renderer.engine, textures, pixels)


def _finished(maps: MaterialMaps, mesh: Mesh, texels: Texels, seen: torch.Tensor) -> MaterialMaps:
    """`finish_maps`, for a thread of its own beside the comparison: most of it is sparse algebra on the processor."""
    with torch.no_grad():
        return finish_maps(maps, mesh, texels, seen)


def _few(views: Views) -> torch.Tensor:
    """Eight views spread over all: what is measured where none is held out."""
    return torch.linspace(0, len(views) - 1, min(8, len(views)), device=views.images.device).round().long()
