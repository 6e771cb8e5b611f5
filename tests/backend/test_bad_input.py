"""Each thing that can be wrong with what a user brings: one error event, the right status, nothing half-written, nothing touched."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from backend import contract

if sys.platform == "win32":
    pytest.skip("processes are forked", allow_module_level=True)

sys.path.append(str(Path(__file__).with_name("dataset")))

import forked_cli
from colmap_scene import colmap_scene
from forked_cli import TINY
from PIL import Image
from posed_scene import write_png, write_scene


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def edit_json(folder, change):
    content = json.loads((folder / "transforms.json").read_text())
    change(content)
    (folder / "transforms.json").write_text(json.dumps(content))


def missing_image(folder):
    (folder / "images/003.png").unlink()


def unreadable_image(folder):
    (folder / "images/003.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")


def mask_without_image(folder):
    write_scene(folder, masks="files")
    write_png(folder / "masks/stray.png", np.full((48, 64), 255, np.uint8))


def image_without_mask(folder):
    write_scene(folder, masks="files")
    (folder / "masks/003.png").unlink()


def no_frames(folder):
    edit_json(folder, lambda content: content.pop("frames"))


def broken_json(folder):
    (folder / "transforms.json").write_text('{"frames": [')


def nan_pose(folder):
    def change(content):
        content["frames"][3]["transform_matrix"][0][3] = math.nan

    edit_json(folder, change)


def one_view(folder):
    edit_json(folder, lambda content: content.update(frames=content["frames"][:1]))


def black_masks(folder):
    for image in (folder / "images").iterdir():
        write_png(image, np.zeros((48, 64, 4), np.uint8))


def no_common_box(folder):
    def scatter(content):
        for number, frame in enumerate(content["frames"]):
            for row, axis in zip(frame["transform_matrix"], range(3)):
                row[3] += 40.0 * number if axis == number % 3 else 0.0

    edit_json(folder, scatter)


def no_source(folder):
    (folder / "transforms.json").unlink()


def solved(folder, binary=True):
    """The same kind of scene as COLMAP leaves it, in place of the transforms.json."""
    (folder / "transforms.json").unlink()
    for image in (folder / "images").iterdir():
        image.unlink()
    return colmap_scene(folder, binary=binary)


def truncated_colmap(folder):
    images = solved(folder) / "sparse/0/images.bin"
    images.write_bytes(images.read_bytes()[:300])


def truncated_colmap_cameras(folder):
    cameras = solved(folder) / "sparse/0/cameras.bin"
    cameras.write_bytes(cameras.read_bytes()[:30])


def unknown_distortion_of_colmap(folder):
    cameras = solved(folder, binary=False) / "sparse/0/cameras.txt"
    cameras.write_text(cameras.read_text().replace("PINHOLE", "RAD_TAN_THIN_PRISM_2"))


def unknown_distortion(folder):
    edit_json(folder, lambda content: content.update(camera_model="PANORAMA"))


def mask_of_another_size(folder):
    write_scene(folder, masks="files")
    write_png(folder / "masks/003.png", np.full((64, 64), 255, np.uint8))


def as_jpeg(folder, mode="RGB", **options):
    """Frame 3 as a JPEG; the others keep their alpha."""
    (folder / "images/003.png").unlink()
    picture = Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).convert(mode)
    picture.save(folder / "images/003.jpg", **options)
    edit_json(folder, lambda content: content["frames"][3].update(file_path="images/003.jpg"))
    return folder / "images/003.jpg"


def cmyk_jpeg(folder):
    as_jpeg(folder, "CMYK")


def jpeg_of_twelve_bits(folder):
    path = as_jpeg(folder)
    data = bytearray(path.read_bytes())
    data[data.index(b"\xff\xc0") + 4] = 12  # bits a sample, in the frame's head
    path.write_bytes(data)


def lossless_jpeg_of_sixteen_bits(folder):
    path = as_jpeg(folder)
    data = bytearray(path.read_bytes())
    start = data.index(b"\xff\xc0")
    data[start + 1], data[start + 4] = 0xC3, 16
    path.write_bytes(data)


def jpeg_on_its_side(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    as_jpeg(folder, exif=exif)
    edit_json(folder, lambda content: (content.pop("w"), content.pop("h")))


@pytest.mark.parametrize(
    ("spoil", "code", "named"),
    [
        (truncated_colmap, "source-unreadable", "images.bin"),
        (truncated_colmap_cameras, "source-unreadable", "cameras.bin"),
        (unknown_distortion_of_colmap, "camera-model", "RAD_TAN_THIN_PRISM_2"),
        (unknown_distortion, "camera-model", "PANORAMA"),
        (mask_of_another_size, "mask-size", "masks/003.png"),
        (cmyk_jpeg, "image-unreadable", "CMYK"),
        (jpeg_of_twelve_bits, "image-unreadable", "images/003.jpg"),
        (lossless_jpeg_of_sixteen_bits, "image-unreadable", "images/003.jpg"),
        (jpeg_on_its_side, "image-orientation", "images/003.jpg"),
        (missing_image, "image-missing", "images/003.png"),
        (unreadable_image, "image-unreadable", "images/003.png"),
        (mask_without_image, "mask-without-image", "masks/stray.png"),
        (image_without_mask, "mask-missing", "images/003.png"),
        (no_frames, "no-frames", "transforms.json"),
        (broken_json, "source-unreadable", "transforms.json"),
        (nan_pose, "pose-invalid", "images/003.png"),
        (one_view, "too-few-views", "1 view"),
        (black_masks, "mask-empty", "images/000.png"),
        (no_common_box, "no-common-box", "images/"),
        (no_source, "source-unknown", "transforms.json"),
    ],
)
def test_faulty_views_are_refused_by_name(spoil, code, named, tmp_path):
    source = tmp_path / "Fotos für Übung"
    spoil(write_scene(source))
    before = contents(source)
    status, events = forked_cli.run(
        "reconstruct", source, "-o", tmp_path / "out", *TINY, output=tmp_path / "printed.txt"
    )
    refused(status, events, 2, code, named, tmp_path / "out")
    assert contents(source) == before


def refused(status, events, wanted_status, code, named, out):
    error = events[-1]
    assert [event for event in events if isinstance(event, contract.Failed)] == [error]
    assert (status, error.exit_status, error.code) == (wanted_status, wanted_status, code)
    assert named in error.message
    assert error.hint
    assert not (out / "result").exists() and not list(out.glob(".result*"))


@pytest.mark.parametrize(
    ("words", "status", "code", "named"),
    [
        (["--engine", "other"], 2, "engine-unknown", "'other'"),
        pytest.param(
            ["--device", "cuda"],
            3,
            "no-gpu",
            "'cuda'",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU"),
        ),
        (["--set", "keep_mesh=bare.obj"], 2, "mesh-no-uv", "bare.obj"),
        (["--set", "light.file=photo.png"], 2, "environment-format", "photo.png"),
    ],
)
def test_what_else_a_request_names_is_checked(words, status, code, named, tmp_path):
    (tmp_path / "bare.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    write_png(tmp_path / "photo.png", np.full((8, 16, 3), 200, np.uint8))
    words = [word.replace("=", f"={tmp_path}/") if "=" in word else word for word in words]
    source = write_scene(tmp_path / "photos")
    came, events = forked_cli.run(
        "reconstruct", source, "-o", tmp_path / "out", *words, *TINY, output=tmp_path / "printed.txt"
    )
    refused(came, events, status, code, named, tmp_path / "out")


def test_a_disk_that_fills_ends_the_run_and_room_lets_it_go_on(tmp_path):
    source, out, printed = write_scene(tmp_path / "photos"), tmp_path / "out", tmp_path / "printed.txt"
    words = ["reconstruct", source, "-o", out, *TINY]
    status, events = forked_cli.run(*words, output=printed, largest_file=30_000)
    refused(status, events, 3, "disk-full", str(out), out)
    assert not list(out.rglob("*.part"))

    status, events = forked_cli.run(*words, "--resume", output=printed)
    assert status == 0 and isinstance(events[-1], contract.Finished)
    result = contract.read_result(out)

    (out / "state/refine.pt").write_bytes(b"torn")
    for path in sorted((out / "result").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (out / "result").rmdir()
    status, events = forked_cli.run(*words, "--resume", output=printed)
    refused(status, events, 2, "checkpoint-damaged", "refine.pt", out)
    assert result.metrics["triangles"] > 0
