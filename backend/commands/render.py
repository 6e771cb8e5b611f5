"""`render OUT --light FILE.hdr`: a result under another light."""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

import torch
from torch import Tensor

from backend.commands.asset import cameras_from, cameras_of, load_asset
from backend.commands.device import pick_device
from backend.console import Console
from backend.contract import Finished, Progress, RequestError, read_result
from backend.dataset.normalise import normalise_cameras
from backend.dataset.picture_file import read_picture
from backend.dataset.reference import read_environment
from backend.dataset.transforms import is_transforms, read_transforms
from backend.dataset.views import Cameras
from backend.export.images import write_exr, write_png
from backend.light.environment import EnvironmentLight
from backend.loss.metrics import encode_srgb


def render(arguments: argparse.Namespace, console: Console) -> None:
    """The verb `render`: each view as EXR (linear, premultiplied) and PNG (sRGB, straight alpha)."""
    began = time.monotonic()
    result = read_result(arguments.result)
    light_file = Path(arguments.light)
    if not light_file.is_file():
        raise RequestError(f"--light {light_file} does not exist; expected an .hdr or .exr", code="light-missing")
    folder = Path(arguments.output or Path(arguments.result) / "relit" / light_file.stem).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RequestError(
            f"{folder} exists and is not an empty folder",
            hint="Give another folder with -o; nothing in this one was touched.",
            code="output-not-empty",
        )
    device = pick_device(arguments.device)
    asset = load_asset(result, device, arguments.engine)
    picture = read_environment(light_file).to(device)
    light = EnvironmentLight.from_latlong(picture, arguments.light_resolution).prefiltered()
    names, cameras = _folder_cameras(Path(arguments.views)) if arguments.views else cameras_of(result, "test")
    cameras = _resized(normalise_cameras(cameras, asset.similarity), arguments.resolution)

    partial = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        for index, name in enumerate(names):
            _write(partial, name, asset.draw(light, cameras.select(torch.tensor([index])).to(device)))
            done, seconds = index + 1, time.monotonic() - began
            eta = seconds / done * (len(names) - done)
            console(Progress(stage="render", step=done, steps=len(names), eta=eta))
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    console(Finished(result=str(folder), seconds=time.monotonic() - began))


def _write(folder: Path, name: str, image: Tensor) -> None:

    stem = folder.joinpath(*Path(name).with_suffix("").parts[-2:])  # 'test/r_0' and 'train/r_0' stay apart
    stem.parent.mkdir(exist_ok=True)
    alpha = image[..., 3:].clamp(0.0, 1.0)
    straight = encode_srgb(image[..., :3] / alpha.clamp_min(1e-6))
    write_exr(stem.with_name(f"{stem.name}.exr"), image)
    write_png(stem.with_name(f"{stem.name}.png"), torch.cat([straight, alpha], -1))


def _folder_cameras(folder: Path) -> tuple[list[str], Cameras]:
    """The cameras of posed images, in scene units, at the images' sizes and without their lens distortion."""
    if not is_transforms(folder):
        raise RequestError(f"--views {folder} holds no transforms.json or transforms_train.json", code="source-unknown")
    posed, _ = read_transforms(folder)
    posed = [image for image in posed if image.split == "test"] or posed
    sizes = []
    for image in posed:
        width, height = image.lens.size or read_picture(image.image).values.shape[1::-1]
        sizes.append((height, width))
    rows = [image.lens.intrinsics(width, height) for image, (height, width) in zip(posed, sizes)]
    return [image.name for image in posed], cameras_from(
        [image.camera_to_world.tolist() for image in posed], rows, sizes
    )


def _resized(cameras: Cameras, resolution: int) -> Cameras:
    """The same views with a long side of `resolution` pixels; 0 leaves them."""
    if not resolution:
        return cameras
    if not 8 <= resolution <= 16384:
        raise RequestError(f"--resolution is {resolution}; expected 0 or 8 to 16384 pixels")
    factor = resolution / cameras.sizes.amax(1, keepdim=True)
    sizes = (cameras.sizes * factor).round().long().clamp(min=1)
    scale = sizes / cameras.sizes  # rows are (height, width), intrinsics (fx, fy, cx, cy)
    return Cameras(cameras.camera_to_world, cameras.intrinsics * torch.cat([scale.flip(1)] * 2, 1), sizes)
