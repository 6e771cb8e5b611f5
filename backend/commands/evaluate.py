"""`evaluate OUT FOLDER`: how near a result's renders come to images."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import torch

from backend.commands.asset import LoadedAsset, cameras_of, load_asset, request_of
from backend.commands.device import pick_device
from backend.console import Console
from backend.contract import LightSettings, read_result, write_json
from backend.dataset.reference import read_environment
from backend.dataset.views import Views
from backend.light.environment import EnvironmentLight, PrefilteredLight
from backend.loss.judging import COLUMNS, Figures, best_gains, judge, means
from backend.loss.metrics import lpips_meter
from backend.optimise.aligning import aligned
from backend.scene import read_scene


def evaluate(arguments: argparse.Namespace, console: Console) -> None:
    """The verb `evaluate`: a table, and OUT/evaluation.json."""
    result = read_result(arguments.result)
    device = pick_device(arguments.device)
    asset = load_asset(result, device, arguments.engine)
    request = request_of(result)
    views = dataclasses.replace(request.views, box=(*asset.low, *asset.high))  # the asset's own: no hull is needed
    if arguments.resolution is not None:
        views = dataclasses.replace(views, resolution=arguments.resolution)
    source = str(Path(arguments.source).absolute())
    if source != request.source:
        views = dataclasses.replace(views, only=None)  # names of the fit's own photographs
    given = {name: getattr(request.light, name) for name in ("rotation", "strength", "space")}  # of views.environment
    plain = dataclasses.replace(request, source=source, views=views, keep_mesh=None, light=LightSettings(**given))
    dataset = read_scene(plain, asset.renderer, device).dataset
    picture = read_environment(result.path("environment")).to(device)
    environment = EnvironmentLight.from_latlong(picture, request.light.resolution)
    if request.light.space == "camera":  # the picture shows it as it stood for the first view
        environment.turning_with_cameras(cameras_of(result, "train")[1].camera_to_world[0, :3, :3])
    light = environment.prefiltered()

    split = "train" if dataset.test is None else "test"
    judged = dataset.test or dataset.train
    if source == request.source:
        judged = _without(_dropped(Path(arguments.result) / "preflight.json"), judged)
    if request.refine.poses:  # the photographs' cameras err as those did that the fit has moved
        rate = request.refine.learning_rate_poses
        judged = aligned(asset.renderer, asset.surface, asset.material, light, judged, rate)
    measured, notes = _measure(asset, light, judged, str(device), request.refine.exposure)
    if request.refine.poses:
        notes.append("The cameras were fitted to the photographs before these were judged, as those of the fit were.")
    if request.refine.exposure:
        notes.append(
            "PSNR with its own gain takes three numbers, the gain of each channel, from the judged photograph itself."
        )
    averages = means(list(measured.values()))
    rows = [{"name": name, **dataclasses.asdict(figures)} for name, figures in measured.items()]
    table = {"format": 1, "source": source, "split": split, "mean": averages, "views": rows, "notes": notes}
    write_json(Path(arguments.result) / "evaluation.json", table)
    if arguments.json:
        console.text(json.dumps({"event": "evaluation", **table}))
    else:
        console.text(_table(rows, averages, f"{split} views of {source}") + "".join(f"\n{note}" for note in notes))


def _dropped(path: Path) -> set[str]:
    """Names of the photographs that the run left out; none where it was not asked to."""
    try:
        return set(json.loads(path.read_text(encoding="utf-8"))["dropped"])
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _without(names: set[str], views: Views) -> Views:
    kept = [index for index, name in enumerate(views.names) if name not in names]
    return views.select(torch.tensor(kept)) if kept else views


def _measure(
    asset: LoadedAsset, light: PrefilteredLight, views: Views, device: str, exposed: bool
) -> tuple[dict[str, Figures], list[str]]:
    """Figures of each view, with its own best gains where exposure was fitted, and what could not be measured."""
    lpips, note = lpips_meter(device)
    measured = {}
    for index, name in enumerate(views.names):
        camera = views.cameras.select(torch.tensor([index])).to(device)
        height, width = camera.sizes[0].tolist()
        image, photo = asset.draw(light, camera), views.images[index, :height, :width].to(device).float()
        measured[name] = judge(image, photo, lpips, best_gains(image, photo) if exposed else None)
    return measured, [note] if note else []


def _table(measured: list[dict[str, Any]], averages: dict[str, float | None], title: str) -> str:
    width = max(len("view"), *(len(view["name"]) for view in measured))
    columns = [column for column in COLUMNS if averages[column[0]] is not None]
    lines = [f"{'view':<{width}}" + "".join(f"  {heading:>8}" for _, heading, _ in columns)]
    for view in [*measured, {"name": "mean", **averages}]:
        cells = (
            ("-" if view[key] is None else f"{view[key]:.{digits}f}", max(8, len(head)))
            for key, head, digits in columns
        )
        lines.append(f"{view['name']:<{width}}" + "".join(f"  {cell:>{wide}}" for cell, wide in cells))
    return "\n".join([title, *lines])
