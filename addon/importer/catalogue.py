"""The asset in Blender's asset browser: marked, described, and with a picture."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

from ...backend import contract
from ..exporter.studio import Quality, studio_scene
from . import marks

SIDE = 256  # of the picture, in pixels
PICTURE = Quality(size=(SIDE, SIDE), samples=24)
TAG = "Unrender"
_FROM = Vector((0.6, -1.0, 0.45))  # where the picture is taken from: the front, a little to the right and above
_ANGLE = math.radians(35.0)


def description(result: contract.Result | None, triangles: int) -> str:
    """What the browser says of an asset: what it is, how near it is to its views, and what made it."""
    words = f"Reconstructed from views, {triangles:,} triangles"
    if result is not None:
        psnr = result.metrics.get("psnr")
        where = {None: "", 0.0: " on training views"}.get(result.metrics.get("held_out_views"), " on held-out views")
        words += f", {psnr:.1f} dB{where}" if psnr is not None else ""
        words += f", Unrender {result.version}" if result.version else ""
    return words


def mark(asset: bpy.types.Object, author: str, words: str, tags: list[str]) -> None:
    """Show the object in the asset browser. An asset that was marked before keeps its catalogue and its other tags."""
    asset.asset_mark()
    entry = asset.asset_data
    entry.author, entry.description = author, words
    for tag in (TAG, *tags):
        entry.tags.new(tag, skip_if_exists=True)


def draw_preview(context: bpy.types.Context, asset: bpy.types.Object) -> None:
    """Give the asset its picture: in the window Blender draws it by and by, in background mode Cycles renders one here.

    Raises:
        UnrenderError: Cycles is not available.
    """
    if not bpy.app.background:
        asset.asset_generate_preview()
        return
    pixels = _rendered(context, asset)
    preview = asset.preview_ensure()
    preview.image_size = (SIDE, SIDE)
    preview.image_pixels_float.foreach_set(pixels.ravel())


def _rendered(context: bpy.types.Context, asset: bpy.types.Object) -> np.ndarray:
    """[H, W, 4] float32 as a screen shows it, alpha straight, row 0 at the bottom."""
    points = np.empty(len(asset.data.vertices) * 3, np.float32)
    asset.data.vertices.foreach_get("co", points)
    pose = np.array(asset.matrix_world)
    points = points.reshape(-1, 3) @ pose[:3, :3].T + pose[:3, 3]
    middle = (points.min(0) + points.max(0)) / 2
    reach = max(float(np.linalg.norm(points - middle, axis=1).max()), 1e-6)
    away = _FROM.normalized()
    with (
        tempfile.TemporaryDirectory(prefix="unrender-") as folder,
        studio_scene(context.scene, context.view_layer, PICTURE, (asset,)) as (studio, camera),
    ):
        distance = reach / math.sin(_ANGLE / 2)
        camera.data.sensor_fit, camera.data.angle = "AUTO", _ANGLE
        camera.data.clip_start, camera.data.clip_end = distance * 0.01, distance * 3
        place = Matrix.Translation(Vector(middle) + away * distance)
        camera.matrix_world = place @ away.to_track_quat("Z", "Y").to_matrix().to_4x4()
        file = Path(folder) / "preview.exr"
        studio.render.filepath = str(file)
        with _quick_light(studio, marks.part(bpy.data.worlds, "light", asset)):
            bpy.ops.render.render(write_still=True, scene=studio.name)
        pixels = _read(file)
    alpha = pixels[..., 3:].clip(0.0, 1.0)
    linear = (pixels[..., :3] / np.maximum(alpha, 1e-6)).clip(0.0, 1.0)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055)
    return np.concatenate([encoded * (alpha > 0), alpha], axis=2).astype(np.float32)


@contextlib.contextmanager
def _quick_light(studio: bpy.types.Scene, light: bpy.types.World | None) -> Iterator[None]:
    """Light the studio with a copy of the asset's light, or of the scene's, whose importance map is small: a picture needs no more."""
    before = studio.world
    if light is None and before is None:
        yield
        return
    world = (light or before).copy()
    world.cycles.sampling_method, world.cycles.sample_map_resolution = "MANUAL", 256
    studio.world = world
    try:
        yield
    finally:
        studio.world = before
        bpy.data.worlds.remove(world)


def _read(file: Path) -> np.ndarray:
    """[H, W, 4] float32 of the picture just rendered, as stored, row 0 at the bottom."""
    image = bpy.data.images.load(str(file), check_existing=False)
    try:
        image.colorspace_settings.name = "Non-Color"
        pixels = np.empty(len(image.pixels), np.float32)
        image.pixels.foreach_get(pixels)
    finally:
        bpy.data.images.remove(image)
    return pixels.reshape(SIDE, SIDE, 4)
