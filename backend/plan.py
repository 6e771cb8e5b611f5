"""How a run fits into the memory that is free: decided before anything is read, and decided anew when a step ran out of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from backend.contract import EnvironmentFault, Planned, Request, parse
from backend.memory import Free
from backend.optimise.portions import portion

# Bytes. From the growth of a process's peak on the CPU while each count alone was raised, then set so that three runs on an H100 lay
# between 15 % above and 22 % below the plan: 512 px with 1K textures took 2.9 GB at 4 views a step and 2.7 GB at 8; 1600 px with 4K
# took 11.1 GB.
CANVAS_PIXEL = 60  # of each rendered pixel: rasteriser, antialiasing and their gradients
LAYER_PIXEL = (
    170  # the same of each further layer: its raster, beside those of the others, and what its silhouettes blend
)
COVERED_PIXEL = 700  # of each pixel with surface: what is interpolated there, material, shading, and their gradients
CELL = 480  # of the grid: distance, offsets, weights, Adam's moments, what a step extracts
TEXEL = 240  # of the textures: eight channels with gradient, moments and the finer mip levels
OPACITY_TEXEL = 30  # the ninth, where there are layers
HASH_ENTRY = 2 * 16  # of the hash grid: two features with gradient and moments
PHOTOGRAPH_PIXEL = 8  # four channels of float16
BASE = 900_000_000  # light, adjacency, tangent frames, buffers of the kernels, baking
AT_ONCE = (
    2_000_000_000  # for the pixels that a step renders at a time: more is no faster, since so many keep any GPU busy
)
RECORDING = 1.6  # a device that records its steps keeps what they work in, a set for each size of grid and texture
COVERED = 0.5  # part of an image that is taken to show the object, which is not known before the images are read
DEVICE_SHARE, HOST_SHARE = 0.85, 0.6  # of what is free: other programs and the allocator's gaps want some

# What is made smaller, in this order and no further than this, before it goes on to the second, which only just gives an asset.
_STEPS = (
    (("views.resolution", 512), ("asset.texture_size", 1024)),
    (("shape.cells", 64), ("shape.hash_log2_size", 15)),
    (("views.resolution", 64), ("asset.texture_size", 256), ("shape.cells", 24), ("shape.hash_log2_size", 12)),
)
# The same for a run under way, whose grid cannot change any more: by stage.
_STEPS_UNDER_WAY = {
    "shape": ((("views.resolution", 64),),),
    "refine": ((("views.resolution", 64),), (("asset.texture_size", 256),)),
}
# How many views are rendered at a time (None for as many as are worth while), and where the photographs are: all give the same asset.
_WAYS: tuple[tuple[int | None, Literal["device", "host"]], ...] = (
    (None, "device"),
    (1, "device"),
    (None, "host"),
    (1, "host"),
)
_WORDS = {
    "views.resolution": "pixels along the images' long side",
    "asset.texture_size": "texels along the textures' side",
    "shape.cells": "grid cells along a side",
    "shape.hash_log2_size": "as the power of two of the hash grid's entries",
}


@dataclass(frozen=True)
class Images:
    """The images a run would read: how many are fitted, how many held out, and the canvas of the largest in pixels."""

    train: int
    test: int
    height: int
    width: int

    def at(self, resolution: int) -> tuple[int, int]:
        """(height, width) of the canvas when the long side is at most `resolution`; 0 leaves it."""
        shrink = min(1.0, resolution / max(self.height, self.width)) if resolution else 1.0
        return max(1, round(self.height * shrink)), max(1, round(self.width * shrink))


@dataclass(frozen=True)
class Plan:
    """A request that fits.

    Attributes:
        request: with the numbers that fit.
        at_once: the most views a step renders at a time; the others of the step follow, and their gradients are added.
        images: whether the photographs are kept on the device or in the machine's memory, from where it reads them.
        needed: bytes the device (on the CPU, the machine) is expected to hold at the most.
        free: bytes it had.
        notes: what was made smaller than the request has it, and why; sentences for the artist.
    """

    request: Request
    at_once: int
    images: Literal["device", "host"]
    needed: int
    free: int
    notes: tuple[str, ...] = ()

    def event(self, images: Images) -> Planned:
        """The plan as the process tells it."""
        request = self.request
        height, width = images.at(request.views.resolution)
        views = max(request.shape.views_per_step, request.refine.views_per_step)
        portions = "" if self.at_once >= views else f", {self.at_once} at a time"
        place = "on the device" if self.images == "device" else "in the machine's memory"
        return Planned(
            summary=f"{views} views a step of {width} x {height} px{portions}, images {place}, grid of {request.shape.cells} cells, "
            f"textures of {request.asset.texture_size}; {self.needed / 1e9:.1f} of {self.free / 1e9:.1f} GB free",
            resolution=max(height, width),
            views_per_step=views,
            texture_size=request.asset.texture_size,
            cells=request.shape.cells,
            images=self.images,
            needed_gb=self.needed / 1e9,
            free_gb=self.free / 1e9,
        )


def plan_run(request: Request, images: Images, free: Free) -> Plan:
    """Fit a request to the memory that is free.

    What the request sets itself, to another value than its preset, stays as it is; the rest is made smaller in the order of `_STEPS`.
    `views.resolution` 0 becomes at most the textures' side: a photograph with more pixels than texels tells them nothing.

    Raises:
        EnvironmentFault: `out-of-memory`, the smallest plan that keeps to the request does not fit.
    """
    longest = max(images.height, images.width)
    fixed = _wishes(request)
    limit = request.asset.texture_size if request.views.resolution == 0 else request.views.resolution
    bounded = assigned(request, "views.resolution", max(32, min(longest, limit)))
    start = request if limit >= longest else bounded
    for candidate in (start, *_smaller(bounded, _STEPS, fixed)):
        notes = () if candidate is start else _changes(bounded, candidate)
        photographs = host_bytes(candidate, images)
        most = views_at_once(candidate, images, free.device is not None)
        if free.device is None:
            for at_once in (most, 1):
                needed = device_bytes(candidate, images, at_once, False, False) + photographs
                if needed <= HOST_SHARE * free.host:
                    return Plan(candidate, at_once, "device", needed, free.host, notes)
        elif photographs <= HOST_SHARE * free.host:
            for wanted, place in _WAYS:
                at_once = wanted or most
                needed = device_bytes(candidate, images, at_once, place == "device", True)
                if needed <= DEVICE_SHARE * free.device:
                    return Plan(candidate, at_once, place, needed, free.device, notes)
    room = free.device if free.device is not None else free.host
    raise EnvironmentFault(
        f"the run does not fit into the {room / 1e9:.1f} GB that are free: even the smallest plan that keeps to the request"
        f" needs {device_bytes(candidate, images, 1, False, free.device is not None) / 1e9:.1f} GB",
        hint=f"Close other programs, or lower what the request asks for: {_asked(request, fixed)}.",
        code="out-of-memory",
    )


def smaller_plan(plan: Plan, images: Images, stage: str) -> Plan | None:
    """The next smaller plan for a stage ('shape', 'refine') that ran out of memory; None when there is none.

    Half the views at a time, which changes nothing but the memory; then images of half the size, textures of half the side. What the
    artist set gives way too, since the run would be lost otherwise.
    """
    if (views := min(plan.at_once, getattr(plan.request, stage).views_per_step)) > 1:
        needed = device_bytes(plan.request, images, views // 2, plan.images == "device", True)
        note = f"memory is short, so {views // 2} instead of {views} of a step's views are rendered at a time"
        return replace(plan, at_once=views // 2, needed=needed, notes=(note,))
    longest = max(images.height, images.width)
    present = assigned(plan.request, "views.resolution", min(longest, plan.request.views.resolution or longest))
    request = next(_smaller(present, _STEPS_UNDER_WAY[stage], set()), None)
    if request is None:
        return None
    needed = device_bytes(request, images, plan.at_once, plan.images == "device", True)
    return replace(plan, request=request, needed=needed, notes=_changes(present, request))


def numbers(plan: Plan) -> dict[str, Any]:
    """The plan as JSON can hold it."""
    return {"images": plan.images, "at_once": plan.at_once, **{path: _value(plan.request, path) for path in _WORDS}}


def read_numbers(path: Path) -> dict[str, Any] | None:
    """What `numbers` gave, read from a file; None where there is none that is whole."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return stored if {"images", "at_once", *_WORDS} <= set(stored) else None
    except (OSError, ValueError, TypeError):
        return None


def follow(plan: Plan, stored: Mapping[str, Any]) -> Plan:
    """A plan with the numbers that an earlier part of the run had: its checkpoints want them."""
    request = plan.request
    for path in _WORDS:
        request = assigned(request, path, int(stored[path]))
    return replace(plan, request=request, at_once=min(plan.at_once, int(stored["at_once"])), notes=())


def views_at_once(request: Request, images: Images, records: bool) -> int:
    """How many views a step renders at a time where memory is not short."""
    views = max(request.shape.views_per_step, request.refine.views_per_step)
    return max(1, min(views, int(AT_ONCE / _view_bytes(request, images, records, request.refine.layers))))


def _view_bytes(request: Request, images: Images, records: bool, layers: int) -> float:
    """Of a view in a stage that shows so many layers. A closed thing covers as much again with its back; what is behind that is less."""
    height, width = images.at(request.views.resolution)
    covered = COVERED * (min(layers, 2) + 0.25 * max(0, layers - 2))
    pixel = CANVAS_PIXEL + LAYER_PIXEL * (layers - 1) + COVERED_PIXEL * covered
    return pixel * height * width * (RECORDING if records else 1.0)


def device_bytes(request: Request, images: Images, at_once: int, photographs: bool, records: bool) -> int:
    """What a run holds at the most, in bytes.

    Args:
        request: with a resolution other than 0, or images at their full size.
        images: what is read.
        at_once: the most views that are rendered at a time.
        photographs: the images are kept here too, beside those of half the size, which are in any case.
        records: the device records its steps as graphs, which keep their memory.
    """
    height, width = images.at(request.views.resolution)
    layers = request.refine.layers
    view, deep = (_view_bytes(request, images, records, count) for count in (1, layers))
    texel = TEXEL if layers == 1 else TEXEL + OPACITY_TEXEL
    entries = request.shape.hash_levels << request.shape.hash_log2_size
    shape = view * portion(request.shape.views_per_step, at_once) + CELL * request.shape.cells**3 + HASH_ENTRY * entries
    refine = deep * portion(request.refine.views_per_step, at_once) + texel * request.asset.texture_size**2
    kept = PHOTOGRAPH_PIXEL * images.train * height * width * (1.25 if photographs else 0.25)
    return round(BASE + kept + max(shape, refine))


def host_bytes(request: Request, images: Images) -> int:
    """What all photographs take in the machine's memory."""
    height, width = images.at(request.views.resolution)
    return PHOTOGRAPH_PIXEL * (images.train + images.test) * height * width


def assigned(request: Request, path: str, value: int) -> Request:
    """The request with one number replaced: 'asset.texture_size'."""
    section, name = path.split(".")
    changed = {name: value}
    if path == "shape.cells" and request.shape.start_cells > value:
        changed["start_cells"] = value
    return replace(request, **{section: replace(getattr(request, section), **changed)})


def _smaller(request: Request, steps: Sequence[Sequence[tuple[str, int]]], fixed: set[str]) -> Iterator[Request]:
    """Ever smaller requests: one number at a time, in turn, those of one group down to their least before the next group."""
    for group in steps:
        while any(path not in fixed and _value(request, path) > least for path, least in group):
            for path, least in group:
                value = _value(request, path)
                if path not in fixed and value > least:
                    smaller = {"shape.cells": round(value * 0.75), "shape.hash_log2_size": value - 1}.get(
                        path, value // 2
                    )
                    request = assigned(request, path, max(least, smaller))
                    yield request


def _value(request: Request, path: str) -> int:
    section, name = path.split(".")
    return int(getattr(getattr(request, section), name))


def _wishes(request: Request) -> set[str]:
    """What the request sets to another value than its preset has; resolution 0 leaves it to the plan."""
    preset = parse({"source": request.source, "preset": request.preset})
    found = {path for path in _WORDS if _value(request, path) != _value(preset, path)}
    return found - ({"views.resolution"} if request.views.resolution == 0 else set())


def _asked(request: Request, fixed: set[str]) -> str:
    return ", ".join(f"{path}={_value(request, path)}" for path in _WORDS if path in fixed) or "fewer images"


def _changes(before: Request, after: Request) -> tuple[str, ...]:
    parts = [
        f"{_value(after, path)} instead of {_value(before, path)} {words}"
        for path, words in _WORDS.items()
        if _value(after, path) != _value(before, path)
    ]
    return (f"memory is short, so the run takes {', '.join(parts)}",) if parts else ()
