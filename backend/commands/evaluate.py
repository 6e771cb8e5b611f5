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
from backend.loss.metrics import encode_over_white, lpips_meter, psnr, ssim
from backend.scene import read_scene

_COLUMNS = (("psnr", "PSNR dB", "{:.2f}"), ("ssim", "SSIM", "{:.4f}"), ("lpips", "LPIPS", "{:.4f}"))


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
    given = {name: getattr(request.light, name) for name in ("rotation", "strength", "space")}  # of views.environment
    plain = dataclasses.replace(request, source=source, views=views, keep_mesh=None, light=LightSettings(**given))
    dataset = read_scene(plain, asset.renderer, device).dataset
    picture = read_environment(result.path("environment")).to(device)
    environment = EnvironmentLight.from_latlong(picture, request.light.resolution)
    if request.light.space == "camera":  # the picture shows it as it stood for the first view
        environment.turning_with_cameras(cameras_of(result, "train")[1].camera_to_world[0, :3, :3])
    light = environment.prefiltered()

    split = "train" if dataset.test is None else "test"
    measured, notes = _measure(asset, light, dataset.test or dataset.train, str(device))
    means = {key: _mean([view[key] for view in measured]) for key, _, _ in _COLUMNS}
    table = {"format": 1, "source": source, "split": split, "mean": means, "views": measured, "notes": notes}
    write_json(Path(arguments.result) / "evaluation.json", table)
    if arguments.json:
        console.text(json.dumps({"event": "evaluation", **table}))
    else:
        console.text(_table(measured, means, f"{split} views of {source}") + "".join(f"\n{note}" for note in notes))


def _measure(
    asset: LoadedAsset, light: PrefilteredLight, views: Views, device: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """Figures a view, on sRGB-encoded colours over white, and what could not be measured."""
    lpips, note = lpips_meter(device)
    measured = []
    for index, name in enumerate(views.names):
        camera = views.cameras.select(torch.tensor([index])).to(device)
        height, width = camera.sizes[0].tolist()
        ours = encode_over_white(asset.draw(light, camera))
        photo = encode_over_white(views.images[index, :height, :width].to(device).float())
        measured.append(
            {
                "name": name,
                "psnr": float(psnr(ours, photo)),
                "ssim": float(ssim(ours, photo)) if min(height, width) >= 11 else None,
                "lpips": lpips(ours, photo) if lpips else None,
            }
        )
    return measured, [note] if note else []


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _table(measured: list[dict[str, Any]], means: dict[str, float | None], title: str) -> str:
    width = max(len("view"), *(len(view["name"]) for view in measured))
    rows = [("view", *(head for _, head, _ in _COLUMNS))]
    for view in [*measured, {"name": "mean", **means}]:
        cells = ("-" if view[key] is None else form.format(view[key]) for key, _, form in _COLUMNS)
        rows.append((view["name"], *cells))
    return "\n".join([title, *(f"{row[0]:<{width}}  {row[1]:>8} {row[2]:>8} {row[3]:>8}" for row in rows)])
