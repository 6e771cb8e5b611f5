"""Milliseconds a step over the views of a step, their resolution, the triangles, and the processes that share the work."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import torch
from benchmark_base import Row, Tables
from benchmark_fits import (
    Bench,
    Windows,
    ball_asset,
    prepare,
    refine_fit,
    shape_fit,
    step_milliseconds,
)
from benchmark_steps import settings_of

from backend.contract import Request
from backend.optimise.refine import RefineFit
from backend.optimise.shape import ShapeFit
from backend.optimise.team import Team
from backend.render.renderer import Renderer


def scaling(options: argparse.Namespace, device: torch.device, team: Team, renderer: Renderer) -> Tables:
    """The verb `scaling`: in one process its three tables; in several, how these compare with one."""
    windows = Windows(options.warm_up, options.windows, options.window)
    settings = settings_of(options, windows)
    if team.size == 1:
        settings["views.resolution"] = max(options.resolutions)
    whole = prepare(options, settings, renderer, device)
    bench = whole.at(options.resolution)
    if team.size > 1:
        return {"processes": _processes(bench, windows, options.views, renderer, team)}
    tables: Tables = {"views": [], "resolution": [], "triangles": []}
    for views in options.counts:
        tables["views"] += _both(bench, windows, views, renderer, Team())
    for resolution in options.resolutions:
        tables["resolution"] += _both(whole.at(resolution), windows, options.views, renderer, Team())
    for triangles in options.triangles:
        tables["triangles"].append(_refine(bench, windows, options.views, renderer, Team(), triangles))
    return tables


def _processes(bench: Bench, windows: Windows, views: int, renderer: Renderer, team: Team) -> list[Row]:
    """The first process alone with `views` a step while the others rest, then all with as many each."""
    alone = team.from_first(lambda: _both(bench, windows, views, renderer, Team()))
    together = _both(bench, windows, views * team.size, renderer, team)
    rows = []
    for row, base in zip((*alone, *together), (*alone, *alone)):
        here, there = row["views_a_second"], base["views_a_second"]
        assert isinstance(here, float) and isinstance(there, float)
        rows.append({**row, "times": here / there})
    return rows


def _both(bench: Bench, windows: Windows, views: int, renderer: Renderer, team: Team) -> list[Row]:
    def shape(request: Request) -> ShapeFit:
        return shape_fit(bench, renderer, request, team)

    return [
        _row(bench, windows, views, team, shape),
        _refine(bench, windows, views, renderer, team, bench.request.asset.triangles),
    ]


def _refine(bench: Bench, windows: Windows, views: int, renderer: Renderer, team: Team, triangles: int) -> Row:
    asset = ball_asset(triangles, bench.request, bench.device)
    return _row(bench, windows, views, team, lambda request: refine_fit(bench, renderer, asset, None, request, team))


def _row(
    bench: Bench,
    windows: Windows,
    views: int,
    team: Team,
    begin: Callable[[Request], ShapeFit | RefineFit],
) -> Row:
    request = replace(
        bench.request,
        shape=replace(bench.request.shape, views_per_step=views),
        refine=replace(bench.request.refine, views_per_step=views),
    )
    fit = begin(request)
    taken = step_milliseconds(fit, windows, bench.device)
    drawn = fit.order.shape[1] * team.size  # fewer than asked where the source has fewer
    return {
        "stage": fit.name,
        "processes": team.size,
        "views": drawn,
        "pixels": max(bench.train.canvas),
        "triangles": fit.mesh().faces.shape[0],
        "ms": taken,
        "views_a_second": 1e3 * drawn / taken,
    }
