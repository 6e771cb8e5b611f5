"""The demo's second half, run by a Python that has bpy: import the asset into a new scene and photograph it beside the truth.

    python scripts/demo_compare.py --extension dist/unrender-0.1.0.zip --job build/demo/job --output build/demo

Writes demo.blend (textures packed), comparison.png and comparison.json with the PSNR of each held-out view (sRGB over white).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import demo_common
import numpy as np

demo_common.isolate()

import bpy  # noqa: E402

COLUMNS = ("CAPTURED", "ASSET IN CYCLES", "DIFFERENCE")


def import_asset(job: Path) -> tuple[bpy.types.Object, list[bpy.types.Object]]:
    """The asset through the extension's operator: its object, and the cameras of the held-out views in the capture's order."""
    settings = bpy.context.scene.unrender
    settings.import_world, settings.import_cameras = True, True
    bpy.ops.unrender.import_result(directory=str(job.resolve()), name="Unrendered Jar")
    asset = bpy.context.view_layer.objects.active
    return asset, sorted(
        (thing for thing in bpy.context.scene.objects if thing.type == "CAMERA"), key=lambda thing: thing.name
    )


def capture(
    asset: bpy.types.Object, cameras: list[bpy.types.Object], size: tuple[int, int], samples: int, folder: Path
) -> None:
    """Photograph the asset from `cameras` just as the truth was photographed: through the extension's export."""
    scene = bpy.context.scene
    scene.render.resolution_x, scene.render.resolution_y = size
    for thing in scene.objects:
        thing.select_set(thing == asset or thing in cameras)
    settings = scene.unrender
    settings.folder, settings.source, settings.only_selected = str(folder), "SCENE", True
    settings.held_out, settings.samples = 0, samples
    bpy.ops.unrender.export_views()


def frames_of(folder: Path) -> list[dict]:
    """The frames of a capture."""
    return json.loads((folder / "transforms.json").read_text(encoding="utf-8"))["frames"]


def picture(rows: list[tuple[np.ndarray, np.ndarray, str]], side: int) -> np.ndarray:
    """Rows of truth | asset | difference (times 2), each with a caption, two rows beside each other."""
    gap = np.ones((4, 3 * side + 8, 3))
    head = np.concatenate(
        [demo_common.caption(title, side + 4)[:, : side + (4 if i < 2 else 0)] for i, title in enumerate(COLUMNS)],
        axis=1,
    )
    blocks = []
    for truth, ours, words in rows:
        space = np.ones((side, 4, 3))
        difference = 1.0 - np.clip(2.0 * np.abs(truth - ours), 0.0, 1.0)
        strip = np.concatenate([truth, space, ours, space, difference], axis=1)
        blocks.append(np.concatenate([strip, demo_common.caption(words, strip.shape[1], 1), gap]))
    half = (len(blocks) + 1) // 2
    if len(blocks) % 2:
        blocks.append(np.ones_like(blocks[0]))
    columns = [np.concatenate([head, *part]) for part in (blocks[:half], blocks[half:])]
    return np.concatenate([columns[0], np.ones((columns[0].shape[0], 12, 3)), columns[1]], axis=1)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--extension", type=Path, required=True, help="the built zip")
    parser.add_argument("--job", type=Path, required=True, help="job folder with the capture and its result/")
    parser.add_argument(
        "--output", type=Path, required=True, help="folder for demo.blend, comparison.png and comparison.json"
    )
    parser.add_argument("--samples", type=int, default=32, help="Cycles samples a pixel (default: %(default)s)")
    parser.add_argument(
        "--rows", type=int, default=4, help="held-out views shown in the picture (default: %(default)s)"
    )
    parser.add_argument("--scale", type=int, default=1, help="enlargement of the picture (default: %(default)s)")
    options = parser.parse_args()
    demo_common.install_extension(options.extension)
    demo_common.few_bounces()
    asset, cameras = import_asset(options.job)
    held_out = [frame for frame in frames_of(options.job) if frame["split"] == "test"]
    by_name = {camera.name: camera for camera in cameras}
    chosen = [by_name[Path(frame["file_path"]).stem] for frame in held_out]
    size = held_out[0]["w"], held_out[0]["h"]
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        capture(asset, chosen, size, options.samples, Path(folder) / "asset")
        rows, values = [], {}
        ours = frames_of(Path(folder) / "asset")
        for frame, mine in zip(held_out, ours, strict=True):
            truth = demo_common.over_white(demo_common.read_exr(options.job / frame["file_path"]))
            asset_image = demo_common.over_white(demo_common.read_exr(Path(folder) / "asset" / mine["file_path"]))
            name = Path(frame["file_path"]).stem
            values[name] = demo_common.psnr(truth, asset_image)
            rows.append((truth, asset_image, f"HELD OUT {name[-3:]}: {values[name]:.1f} DB"))
    mean = float(np.mean(list(values.values())))
    shown = [rows[round(index)] for index in np.linspace(0, len(rows) - 1, min(options.rows, len(rows)))]
    grid = picture(shown, size[1]).repeat(options.scale, axis=0).repeat(options.scale, axis=1)
    demo_common.write_png(options.output / "comparison.png", grid)
    summary = {"psnr_mean": mean, "psnr": values, "samples": options.samples, "blender": bpy.app.version_string}
    (options.output / "comparison.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    bpy.context.scene.camera = chosen[0]
    bpy.context.scene.render.engine = "CYCLES"
    bpy.ops.file.pack_all()
    bpy.ops.wm.save_as_mainfile(filepath=str((options.output / "demo.blend").resolve()))
    print(f"asset in Cycles against the capture, {len(values)} held-out views: {mean:.2f} dB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
