import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from posed_scene import AXES, CENTRE, ellipsoid_mask, ring, write_png, write_scene

from backend.contract import RequestError, ViewSettings
from backend.dataset.distortion import Distortion
from backend.dataset.load import load
from backend.dataset.posed import Lens
from backend.optimise.corrections import Corrections
from backend.render.camera import clip_positions

ROOT = Path(__file__).resolve().parents[3]

BOX = (-0.3, -0.6, -0.4, 0.9, 0.2, 1.4)
SETTINGS = ViewSettings(resolution=64, box=BOX)
AUTOMATIC = ViewSettings(resolution=64)


def change(folder, edit, name="transforms.json"):
    content = json.loads((folder / name).read_text())
    edit(content)
    (folder / name).write_text(json.dumps(content))


def refused(folder, code, match, settings=SETTINGS):
    with pytest.raises(RequestError, match=match) as caught:
        load(folder, settings)
    assert caught.value.code == code
    assert caught.value.hint


def test_job_folder_is_normalised_and_comes_back(tmp_path):
    dataset = load(write_scene(tmp_path), AUTOMATIC)
    views = dataset.train
    assert len(views) == 7 and dataset.test is not None and dataset.test.names == ("images/007.png",)
    assert views.images.dtype == torch.float16 and dataset.warnings == ()
    np.testing.assert_allclose(dataset.similarity.centre, CENTRE, atol=0.1)
    assert 2 / dataset.similarity.scale == pytest.approx(2 * AXES.max(), rel=0.3)
    original = torch.tensor(np.stack(ring(8))[:7, :3, 3], dtype=torch.float32)
    back = dataset.similarity.to_scene(views.cameras.camera_to_world[:, :3, 3])
    torch.testing.assert_close(back, original, rtol=0, atol=1e-5)
    inside = views.images[0, 27, 30]  # 188 is half the light
    assert inside.tolist() == pytest.approx([0.5029, 0.5029, 0.5029, 1.0], abs=1e-3)
    assert views.images[0, 0, 0].tolist() == [0, 0, 0, 0]


def test_masks_as_files_and_alpha_give_the_same_views(tmp_path):
    alpha = load(write_scene(tmp_path / "alpha"), SETTINGS)
    files = load(write_scene(tmp_path / "files", masks="files"), SETTINGS)
    assert torch.equal(alpha.train.images, files.train.images)

    def name_masks(content):
        for frame in content["frames"]:
            frame["mask_path"] = frame["file_path"].replace("images", "cut")
            frame["file_path"] = ".\\images\\" + frame["file_path"][7:-4]  # Windows separators, no extension

    named = write_scene(tmp_path / "named", masks="files", edit=name_masks)
    (named / "masks").rename(named / "cut")
    assert torch.equal(load(named, SETTINGS).train.images, files.train.images)


def test_nerf_synthetic_folder(tmp_path):
    size, fx = (80, 80), 120.0
    for split, turns in (("train", range(6)), ("val", range(6, 8)), ("test", range(8, 10))):
        frames = []
        for index in turns:
            pose = ring(10)[index]
            mask = (255 * ellipsoid_mask(pose, (fx, fx, 40, 40), size)).astype(np.uint8)
            write_png(tmp_path / split / f"r_{index}.png", np.dstack([np.full((80, 80, 3), 90, np.uint8), mask]))
            frames.append({"file_path": f"./{split}/r_{index}", "rotation": 0.1, "transform_matrix": pose.tolist()})
        content = {"camera_angle_x": 2 * np.arctan(40 / fx), "frames": frames}
        (tmp_path / f"transforms_{split}.json").write_text(json.dumps(content))
    dataset = load(tmp_path, ViewSettings(resolution=40, box=BOX))
    assert dataset.train.names == tuple(f"train/r_{i}" for i in range(6))
    assert dataset.test is not None and dataset.test.names == ("test/r_8", "test/r_9")
    torch.testing.assert_close(dataset.train.cameras.intrinsics[0], torch.tensor([60.0, 60.0, 20.0, 20.0]))
    (tmp_path / "transforms_test.json").unlink()
    held_out = load(tmp_path, ViewSettings(resolution=40, box=BOX)).test
    assert held_out is not None and held_out.names == ("val/r_6", "val/r_7")


def test_splits_of_the_source(tmp_path):
    def per_frame(content):
        for index, frame in enumerate(content["frames"]):
            frame["split"] = "test" if index in (1, 4) else "val" if index == 2 else "train"

    dataset = load(write_scene(tmp_path / "a", edit=per_frame), SETTINGS)
    assert (
        dataset.test is not None
        and dataset.test.names == ("images/001.png", "images/004.png")
        and len(dataset.train) == 5
    )

    def lists(content):
        names = [frame["file_path"] for frame in content["frames"]]
        content["train_filenames"], content["test_filenames"] = names[:5], ["./" + name for name in names[5:]]

    dataset = load(write_scene(tmp_path / "b", edit=lists), SETTINGS)
    assert dataset.test is not None and dataset.test.names == tuple(f"images/{i:03d}.png" for i in (5, 6, 7))
    assert load(write_scene(tmp_path / "c"), ViewSettings(resolution=64, holdout=0, box=BOX)).test is None
    assert len(load(tmp_path / "c", ViewSettings(resolution=64, holdout=2, box=BOX)).train) == 4


def test_images_of_different_sizes_share_a_canvas(tmp_path):
    pose = ring(8)[3]
    intrinsics, size = (60.0, 60.0, 15.0, 30.0), (30, 60)

    def portrait(content):
        fx, fy, cx, cy = intrinsics
        content["frames"][3] |= {"fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy, "w": size[0], "h": size[1]}

    write_scene(tmp_path, edit=portrait)
    mask = (255 * ellipsoid_mask(pose, intrinsics, size)).astype(np.uint8)
    write_png(tmp_path / "images/003.png", np.dstack([np.full((60, 30, 3), 188, np.uint8), mask]))
    views = load(tmp_path, ViewSettings(resolution=48, holdout=0, box=BOX)).train
    assert views.canvas == (48, 48)
    assert views.cameras.sizes[[0, 3]].tolist() == [[36, 48], [48, 24]]
    assert not views.images[3, :, 24:].any() and not views.images[0, 36:].any()
    torch.testing.assert_close(views.cameras.intrinsics[3], torch.tensor([48.0, 48.0, 12.0, 24.0]))


def test_a_masks_size_and_repeated_frames_are_warned_of(tmp_path):
    write_scene(tmp_path, masks="files", edit=lambda content: content["frames"].append(content["frames"][0]))
    mask = ellipsoid_mask(ring(8)[2], (180.0, 180.0, 60.0, 54.0), (128, 96))
    write_png(tmp_path / "masks/002.png", (255 * mask).astype(np.uint8))
    shutil.copy(tmp_path / "images/000.png", tmp_path / "images/unsolved.png")
    shutil.copy(tmp_path / "images/000.png", tmp_path / "images/000_depth_0001.png")
    warnings = load(tmp_path, SETTINGS).warnings
    assert [w for w in warnings if "another size" in w and "images/002.png" in w]
    assert [w for w in warnings if "names images twice" in w and "images/000.png" in w]
    assert [w for w in warnings if "no frame names" in w and w.endswith(": unsolved.png")]


def test_masks_named_but_absent_fall_back_to_alpha_only_for_all(tmp_path):
    def name_masks(content):
        for frame in content["frames"]:
            frame["mask_path"] = frame["file_path"].replace("images", "cut")

    write_scene(tmp_path, edit=name_masks)
    assert "alpha channels are used" in load(tmp_path, SETTINGS).warnings[0]
    (tmp_path / "cut").mkdir()
    shutil.copy(tmp_path / "images/001.png", tmp_path / "cut/001.png")
    refused(tmp_path, "mask-missing", r"cut/000\.png, .* and 2 more \(7 in all\)")


def test_wrong_masks_are_named(tmp_path):
    write_scene(tmp_path, count=20, masks="files")
    write_png(tmp_path / "masks/004.png", np.pad(np.full((3, 3), 255, np.uint8), ((2, 43), (2, 59))))
    warnings = load(tmp_path, AUTOMATIC).warnings
    assert len(warnings) == 1 and "contradict" in warnings[0] and "images/004.png" in warnings[0]


def test_photographs_with_a_turn_follow_the_camera_file(tmp_path):
    """The same upright 48 x 64 picture, stored lying with EXIF orientation 6: w and h tell which of the two was solved."""
    size, intrinsics = (48, 64), (90.0, 90.0, 24.0, 32.0)
    write_scene(tmp_path, size=size, intrinsics=intrinsics, masks="files", edit=lambda c: _rename(c, ".jpg"))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned clockwise, so stored turned anticlockwise
    for file in (tmp_path / "images").glob("*.png"):
        pixels = np.asarray(Image.open(file)).copy()
        pixels[:10] = 0  # a black band along the top
        Image.fromarray(np.rot90(pixels)).save(file.with_suffix(".jpg"), exif=exif, quality=100)
        file.unlink()
    dataset = load(tmp_path, SETTINGS)
    assert dataset.train.canvas == (64, 48) and "turned upright" in dataset.warnings[0]
    change(tmp_path, lambda content: (content.pop("w"), content.pop("h")))
    refused(tmp_path, "image-orientation", r"\.jpg: its EXIF data asks for a turn")


def test_one_camera_held_level_and_upright_and_masks_that_are_soft(tmp_path):
    """Half the pictures are turned with their cameras; a mask's value is the coverage expected, not a side of a threshold."""
    write_scene(tmp_path, size=(64, 48), intrinsics=(90.0, 92.0, 30.0, 24.0), masks="files")
    level = load(tmp_path, SETTINGS).train
    for name in ("000.png", "002.png"):
        for folder in ("images", "masks"):
            pixels = np.asarray(Image.open(tmp_path / folder / name)).copy()
            if folder == "masks":
                pixels[pixels > 0] = 128
            Image.fromarray(np.rot90(pixels)).save(tmp_path / folder / name)  # its top is the level picture's right

    def hold_upright(content):
        turn = np.array([[0.0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])  # right was down, up was right
        for frame in content["frames"]:
            if frame["file_path"].endswith(("000.png", "002.png")):
                frame.update(w=48, h=64, fl_x=92.0, fl_y=90.0, cx=24.0, cy=64.0 - 30.0)
                frame["transform_matrix"] = (np.array(frame["transform_matrix"]) @ turn).tolist()

    change(tmp_path, hold_upright)
    dataset = load(tmp_path, SETTINGS)
    mixed = dataset.train
    assert dataset.warnings == () and mixed.canvas == (64, 64)
    assert mixed.cameras.sizes[:3].tolist() == [[64, 48], [48, 64], [64, 48]]
    turned = torch.rot90(level.images[0, :48])
    softness = 128 / 255
    torch.testing.assert_close(mixed.images[0, :, :48].float(), softness * turned.float(), atol=1e-3, rtol=0)
    point = torch.tensor([[0.3, -0.2, 0.4]])
    (x, y), (across, down) = (_pixel(point, views.cameras.select(torch.tensor([0]))) for views in (level, mixed))
    assert (across, down) == pytest.approx((y, 64 - x), abs=1e-3)
    assert Corrections(mixed.cameras).log_focal.shape == (1,)


def _pixel(point, cameras):
    clip = clip_positions(point, cameras, (64, 64))[0, 0]
    return ((clip[:2] / clip[3] + 1.0) * 32.0).tolist()


def _rename(content, suffix):
    for frame in content["frames"]:
        frame["file_path"] = frame["file_path"][:-4] + suffix


def test_a_given_box_is_taken(tmp_path):
    dataset = load(write_scene(tmp_path), ViewSettings(resolution=64, box=(-1.0, -1.0, -1.0, 3.0, 1.0, 1.0)))
    assert dataset.similarity.centre == (1.0, 0.0, 0.0) and dataset.similarity.scale == 0.5


def test_what_cannot_be_used_is_refused_by_name(tmp_path):
    refused(tmp_path / "nowhere", "source-missing", "nowhere: no such folder")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "source-unknown", r"looked for transforms\.json .*poses_bounds\.npy")
    folder = write_scene(tmp_path / "missing")
    for index in range(7):
        (folder / f"images/{index:03d}.png").unlink()
    refused(folder, "image-missing", r"000\.png, .*004\.png and 2 more \(7 in all\)")
    folder = write_scene(tmp_path / "broken")
    (folder / "images/002.png").write_bytes((folder / "images/002.png").read_bytes()[:60])
    refused(folder, "image-unreadable", r"002\.png")
    (folder / "images/005.png").write_bytes(b"")
    refused(folder, "image-unreadable", r"002\.png.*other frames.*images/005\.png")
    photographs = write_scene(tmp_path / "opaque")
    for file in (photographs / "images").iterdir():
        write_png(file, np.full((48, 64, 4), 255, np.uint8))
    refused(photographs, "mask-full", "whole image as the object", AUTOMATIC)
    folder = write_scene(tmp_path / "json")
    (folder / "transforms.json").write_text('{"frames": [')
    refused(folder, "source-unreadable", r"transforms\.json: not valid JSON")


@pytest.mark.parametrize(
    ("edit", "code", "match"),
    [
        (lambda c: c.pop("frames"), "no-frames", "lists no frames"),
        (lambda c: c["frames"][2].pop("file_path"), "frame-invalid", "no file_path"),
        (
            lambda c: c["frames"][2]["transform_matrix"][0].__setitem__(3, float("nan")),
            "pose-invalid",
            r"002\.png: .*not finite",
        ),
        (lambda c: c["frames"][2].update(transform_matrix=[[1, 0], [0]]), "pose-invalid", r"002\.png: .*not a 4x4"),
        (lambda c: c["frames"][2].pop("transform_matrix"), "pose-invalid", r"002\.png: .*not a 4x4"),
        (lambda c: c["frames"][2]["transform_matrix"][0].__setitem__(0, 7.0), "pose-invalid", r"002\.png: .*stretches"),
        (lambda c: c["frames"].__delitem__(slice(1, None)), "too-few-views", "1 view to fit"),
        (lambda c: c["frames"][1].update(file_path="images/000.png"), "frame-repeated", r"000\.png"),
        (lambda c: c.update(camera_model="EQUIRECTANGULAR"), "camera-model", "EQUIRECTANGULAR; expected one of OPENCV"),
        (lambda c: (c.pop("fl_x"), c.pop("fl_y")), "camera-invalid", "no usable focal length"),
        (lambda c: c.update(fl_x="wide"), "camera-invalid", "fl_x is 'wide'"),
        (lambda c: c.update(w=64, h=64), "image-size", "64 x 48, its camera was solved for 64 x 64"),
        (lambda c: c["frames"][0].update(split="training"), "frame-invalid", "split is 'training'"),
    ],
)
def test_a_faulty_camera_file_is_refused(tmp_path, edit, code, match):
    refused(write_scene(tmp_path, count=3, edit=edit), code, match)


def test_faulty_masks_are_refused(tmp_path):
    folder = write_scene(tmp_path / "orphan", masks="files")
    write_png(folder / "masks/other.png", np.zeros((48, 64), np.uint8))
    refused(folder, "mask-without-image", r"masks/other\.png")
    folder = write_scene(tmp_path / "bare", masks="files")
    (folder / "masks/005.png").unlink()
    refused(folder, "mask-missing", r"images without a mask: images/005\.png")
    shutil.rmtree(folder / "masks")
    refused(folder, "mask-missing", "neither masks nor an alpha channel")
    folder = write_scene(tmp_path / "black", masks="files")
    write_png(folder / "masks/001.png", np.zeros((48, 64), np.uint8))
    refused(folder, "mask-empty", r"show nothing: images/001\.png")
    folder = write_scene(tmp_path / "size", masks="files")
    write_png(folder / "masks/001.png", np.full((64, 64), 255, np.uint8))
    refused(folder, "mask-size", r"masks/001\.png: the mask is 64 x 64, its image 64 x 48")


def test_cameras_without_a_common_object_are_refused(tmp_path):
    def scatter(content):
        for index, frame in enumerate(content["frames"]):
            pose = np.array(frame["transform_matrix"])
            turn = (
                np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0]])
                if index % 2
                else np.array([[0, 0, -1], [0, 1, 0], [1, 0, 0]])
            )
            pose[:3, :3] = pose[:3, :3] @ turn
            frame["transform_matrix"] = pose.tolist()

    refused(write_scene(tmp_path, edit=scatter), "no-common-box", r"disagree the most: .*images/00", AUTOMATIC)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
def test_large_photographs_are_never_light_all_at_once(tmp_path):
    """24 megapixels are 384 MB as floating-point light; read to 512 px, image, mask and all take much less, and mean the same."""
    y, x = np.mgrid[0:4000, 0:6000]
    grey = ((x // 8 + y // 8) % 2 * 200).astype(np.uint8)
    Image.fromarray(np.repeat(grey[..., None], 3, axis=2)).save(tmp_path / "photo.jpg", quality=95)
    Image.fromarray(np.where(x < 3000, 255, 0).astype(np.uint8)).save(tmp_path / "mask.png", compress_level=1)
    lens = Lens(focal=(5000.0, 5000.0), distortion=Distortion(radial=(1e-9,)))
    program = (
        "import sys, pathlib, numpy as np\n"
        "from backend.dataset.frame import read_frame\n"
        "from backend.dataset.distortion import Distortion\n"
        "from backend.dataset.posed import Lens, PosedImage\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        f"posed = PosedImage('photo', folder / 'photo.jpg', folder / 'mask.png', np.eye(4), {lens!r})\n"
        "peak = lambda: next(int(l.split()[1]) for l in open('/proc/self/status') if l.startswith('VmHWM'))\n"
        "before = peak()\n"
        "frame = read_frame(posed, 512)\n"
        "print(peak() - before)\n"
        "np.save(folder / 'small.npy', frame.rgba)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 650_000, "kB"
    small = np.load(tmp_path / "small.npy").astype(np.float32)
    assert small.shape == (341, 512, 4)
    light = ((200 / 255 + 0.055) / 1.055) ** 2.4 / 2
    assert small[5:-5, 5:250, :3].mean() == pytest.approx(light, rel=0.02)
    assert small[:, 257:].max() == 0.0
    assert small[5:-5, 5:250, 3] == pytest.approx(1.0, abs=1e-3)


def test_photographs_are_read_before_torch_is_there(tmp_path):
    """A process imports torch for seconds; what reads photographs must not wait for it."""
    write_scene(tmp_path)
    program = (
        "import sys, pathlib\n"
        "from backend.dataset.source import Reading, survey\n"
        "frames = Reading(survey(pathlib.Path(sys.argv[1]), 0), 16, 2).frames()\n"
        "print(len(frames), 'torch' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    count, torch_is_there = done.stdout.split()
    assert int(count) >= 2 and torch_is_there == "False", done.stderr
