"""Milliseconds a step of each stage and of each primitive, by engine, and the kernels that take them."""

from __future__ import annotations

import argparse

import torch
from benchmark_base import Row, Tables, installed_engines, wait
from benchmark_fits import (
    Bench,
    Windows,
    advance,
    asset_of,
    prepare,
    refine_fit,
    shape_fit,
    step_milliseconds,
)
from benchmark_primitives import primitive_rows
from torch.profiler import ProfilerActivity, profile

from backend.engines.select import select_engine
from backend.geometry.mesh import Mesh
from backend.light.environment import EnvironmentLight
from backend.material.channels import MaterialMaps
from backend.optimise.refine import RefineFit
from backend.optimise.shape import ShapeFit
from backend.render.renderer import Renderer

_KERNELS = 25  # of a stage, the largest, that a profile lists
_TRIANGLES = 10_000  # about so many has the ball that the primitives draw
_CALLS = 5  # of a primitive, timed together


def settings_of(options: argparse.Namespace, windows: Windows) -> dict[str, object]:
    """The request's numbers for a steady state of `options`."""
    return {
        "views.resolution": options.resolution,
        "shape.steps": windows.steps,
        "shape.views_per_step": options.views,
        "shape.cells": options.cells,
        "shape.start_cells": max(8, options.cells // 2),
        "refine.steps": windows.steps,
        "refine.views_per_step": options.views,
        "asset.texture_size": options.texture,
    }


def steps(options: argparse.Namespace, device: torch.device) -> Tables:
    """The verb `steps`."""
    windows = Windows(options.warm_up, options.windows, options.window)
    bench = prepare(options, settings_of(options, windows), Renderer(select_engine("builtin", device)), device)
    tables: Tables = {"stages": [], "primitives": []}
    if options.profile:
        tables["kernels"] = []
    asset: tuple[Mesh, MaterialMaps] | None = None
    light: EnvironmentLight | None = None
    for name, engine in installed_engines(options.engines, device):
        recordable = engine.recordable
        for recorded in (True, False) if recordable and device.type == "cuda" else (False,):
            engine.recordable = recorded
            renderer = Renderer(engine)
            shape = shape_fit(bench, renderer)
            _time(tables, bench, shape, name, recorded, options, windows)
            if asset is None:  # one for all: what differs then is the engine
                asset, light = asset_of(shape, renderer, bench.request), shape.light
            del shape
            refine = refine_fit(bench, renderer, asset, light, bench.request)
            _time(tables, bench, refine, name, recorded, options, windows)
            del refine
        engine.recordable = recordable
        views, texels = bench.request.shape.views_per_step, bench.request.asset.texture_size
        tables["primitives"] += primitive_rows(engine, device, views, options.resolution, _TRIANGLES, texels, _CALLS)
    _compare(tables["stages"])
    return tables


def _time(
    tables: Tables,
    bench: Bench,
    fit: ShapeFit | RefineFit,
    engine: str,
    recorded: bool,
    options: argparse.Namespace,
    windows: Windows,
) -> None:
    """A row of a stage, and of its kernels where they are wanted."""
    taken = step_milliseconds(fit, windows, bench.device)
    views = fit.order.shape[1]  # fewer than asked where the source has fewer
    row: Row = {
        "stage": fit.name,
        "engine": engine,
        "graph": "yes" if recorded else "no",
        "views": views,
        "pixels": options.resolution,
        "triangles": fit.mesh().faces.shape[0],
        "ms": taken,
        "views_a_second": 1e3 * views / taken,
    }
    if options.profile:
        kernels = _kernels(fit, windows.length, bench.device)
        row["kernels_ms"] = sum(milliseconds for _, milliseconds, _ in kernels)
        tables["kernels"] += [
            {
                "stage": fit.name,
                "engine": engine,
                "graph": row["graph"],
                "kernel": name[:100],
                "ms": each,
                "calls": calls,
            }
            for name, each, calls in kernels[:_KERNELS]
        ]
    tables["stages"].append(row)


def _kernels(fit: ShapeFit | RefineFit, count: int, device: torch.device) -> list[tuple[str, float, float]]:
    """(name, milliseconds a step, calls a step) of what runs on the device, the largest first."""
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as profiler:
        for _ in range(count):
            advance(fit)
        wait(device)
    found = []
    for event in profiler.key_averages():
        microseconds = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        if microseconds > 0:
            found.append((event.key, microseconds / 1e3 / count, event.count / count))
    return sorted(found, key=lambda entry: -entry[1])


def _compare(rows: list[Row]) -> None:
    """How long each engine takes over the first one's time for the same stage."""
    firsts: dict[object, float] = {}
    for row in rows:
        taken = row["ms"]
        assert isinstance(taken, float)
        row["ratio"] = taken / firsts.setdefault(row["stage"], taken)
