"""What the silhouette search's walk is worth: the same steps with walks of different lengths."""

from __future__ import annotations

import argparse

import torch
from benchmark_base import Row, Tables, installed_engines
from benchmark_fits import Bench, advance, asset_of, judge, prepare, refine_fit, shape_fit

from backend.contract import Request, parse, to_dict
from backend.engines.interface import Engine
from backend.optimise.refine import RefineFit
from backend.optimise.shape import ShapeFit
from backend.render.renderer import Renderer


def walk(options: argparse.Namespace, device: torch.device) -> Tables:
    """The verb `walk`."""
    settings: dict[str, object] = {
        "views.resolution": options.resolution,
        "shape.steps": options.shape_steps,
        "refine.steps": options.refine_steps,
    }
    name, engine = next(installed_engines(options.engines, device))
    bench = prepare(options, settings, Renderer(engine), device)
    rows = [
        {"engine": name, **row}
        for seed in range(options.seeds)
        for row in _one_seed(bench, engine, options.walks, parse({**to_dict(bench.request), "seed": seed}))
    ]
    return {"walk": rows}


def _one_seed(bench: Bench, engine: Engine, walks: list[int], request: Request) -> list[Row]:
    """Rows of each stage's end for each walk; gains are over the first one."""
    rows: list[Row] = []
    first: dict[str, float] = {}
    for length in walks:
        renderer = Renderer(engine, walk=length)
        shape = shape_fit(bench, renderer, request)
        _run(shape)
        ends: list[ShapeFit | RefineFit] = [shape]
        if request.refine.steps:
            refine = refine_fit(bench, renderer, asset_of(shape, renderer, request), shape.light, request)
            ends.append(refine)
        for fit in ends:
            _run(fit)
            level, overlap = _judged(bench, engine, fit)
            row: Row = {"seed": request.seed, "walk": length, "stage": fit.name, "steps": fit.step}
            gain = level - first.setdefault(fit.name, level)
            rows.append({**row, "psnr_db": level, "gain_db": gain, "mask_iou": overlap})
    return rows


def _run(fit: ShapeFit | RefineFit) -> None:
    while fit.step < fit.steps:
        advance(fit)


def _judged(bench: Bench, engine: Engine, fit: ShapeFit | RefineFit) -> tuple[float, float]:
    """All walks are judged by one and the same renderer."""
    with torch.no_grad():
        return judge(Renderer(engine), fit.surface(), fit.material, fit.light.prefiltered(), bench.judged)
