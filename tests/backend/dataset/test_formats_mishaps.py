"""What photographs and camera files suffer on their way: refused or warned of in words, with the file named."""

import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from colmap_scene import FOCAL, Solved, colmap_scene
from posed_scene import ring, write_png
from scipy.spatial.transform import Rotation

from backend.contract import RequestError, ViewSettings
from backend.dataset.formats import FORMATS, read_capture
from backend.dataset.load import load

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = ViewSettings(resolution=64, holdout=0)


def refused(folder, code, *words):
    with pytest.raises(RequestError) as caught:
        load(folder, SETTINGS)
    assert caught.value.code == code and caught.value.hint
    for word in words:
        assert word in caught.value.message, caught.value.message


@pytest.mark.parametrize("binary", [True, False])
def test_a_model_cut_short_anywhere_is_refused_by_name(tmp_path, binary):
    folder = colmap_scene(tmp_path / "Fotos für Übung", binary=binary)
    assert len(load(folder, SETTINGS).train) == 8
    suffix = ".bin" if binary else ".txt"
    for name in ("cameras", "images"):
        path = folder / f"sparse/0/{name}{suffix}"
        whole = path.read_bytes()
        row = whole.rindex(b"IMG 07") if name == "images" and not binary else len(whole)
        # text has no lengths: what ends within a line is seen
        ends = range(0, len(whole) - 1, 7) if binary else [row - 30 if name == "images" else row - 12]
        for end in ends:
            path.write_bytes(whole[:end])
            with pytest.raises(RequestError) as caught:
                read_capture(folder)
            assert suffix in caught.value.message and "expected" in caught.value.message and caught.value.hint
        path.write_bytes(whole)


def test_camera_models_and_cameras_that_are_not_known(tmp_path):
    folder = colmap_scene(tmp_path, binary=False)
    cameras = folder / "sparse/0/cameras.txt"
    sound = cameras.read_text()
    cameras.write_text(sound.replace("PINHOLE", "EUCM"))
    refused(folder, "camera-model", "cameras.txt: line 2", "EUCM", "OPENCV_FISHEYE")
    cameras.write_text(sound.replace("\n7 ", "\n8 "))
    refused(folder, "camera-invalid", "no camera for IMG 00.png")
    cameras.write_text(sound.replace("90.0 90.0", "nan 90.0"))
    refused(folder, "camera-invalid", "nan")
    cameras.write_bytes(b"\xff\xfe\x00")
    refused(folder, "source-unreadable", "cameras.txt", "no text")


def test_what_is_missing_or_left_over_is_listed(tmp_path):
    folder = colmap_scene(tmp_path)
    (folder / "images/IMG 03.png").unlink()
    shutil.copy(folder / "images/IMG 01.png", folder / "images/IMG 99.png")
    shutil.copy(folder / "images/IMG 01.png", folder / "images/IMG 02.png")
    dataset = load(folder, SETTINGS)
    assert len(dataset.train) == 7
    assert [w for w in dataset.warnings if "not there" in w and w.endswith(": IMG 03.png")]
    assert [w for w in dataset.warnings if "without a camera" in w and w.endswith(": IMG 99.png")]
    assert [w for w in dataset.warnings if "same photograph" in w and "IMG 02.png (as IMG 01.png)" in w]
    shutil.rmtree(folder / "images")
    refused(folder, "image-missing", "none of the images", "IMG 00.png", "and 3 more (8 in all)")


def test_the_largest_of_several_models_and_the_first_of_several_formats(tmp_path):
    folder = colmap_scene(tmp_path)
    small = colmap_scene(tmp_path / "other", count=4)
    shutil.copytree(small / "sparse/0", folder / "sparse/1")
    shutil.rmtree(small)
    np.save(folder / "poses_bounds.npy", np.zeros((8, 17)))
    capture = read_capture(folder)
    assert len(capture.images) == 8
    assert any("several models" in warning and "not sparse/1 (4)" in warning for warning in capture.warnings)
    assert any("not read: poses_bounds.npy" in warning for warning in capture.warnings)
    (tmp_path / "bare").mkdir()
    refused(tmp_path / "bare", "source-unknown", *(form.files for form in FORMATS))


def test_points_give_the_box_where_masks_do_not(tmp_path):
    dataset = load(colmap_scene(tmp_path / "full", masks="full", binary=False), SETTINGS)
    assert any("camera file's points" in warning for warning in dataset.warnings)
    assert 2 / dataset.similarity.scale == pytest.approx(0.45, abs=0.15)
    assert np.linalg.norm(dataset.similarity.centre) < 0.1, "recentred on what the cameras look at"
    refused(colmap_scene(tmp_path / "none", masks="none", binary=False), "mask-missing", "the object lies in the box")


def test_llff_goes_by_order_and_only_where_that_is_sure(tmp_path):
    rows = []
    for pose in ring(6):
        right, up, back, place = pose[:3].T
        rows.append([*np.column_stack([-up, right, back, place, [48, 64, FOCAL]]).ravel(), 0.1, 9.0])
    np.save(tmp_path / "poses_bounds.npy", np.array(rows))
    for index in range(6):
        write_png(tmp_path / f"images/DSC_{index + 1:04d}.png", np.full((48, 64, 4), 10 * index, np.uint8))
    assert [image.name for image in read_capture(tmp_path).images] == [f"DSC_{index:04d}.png" for index in range(1, 7)]
    (tmp_path / "images/DSC_0003.png").unlink()
    capture = read_capture(tmp_path)  # the numbers tell which
    assert [image.image.stem[-1] for image in capture.images] == list("12456")
    assert any("6 rows for 5 photographs" in warning for warning in capture.warnings)
    (tmp_path / "images/DSC_0006.png").unlink()
    refused(tmp_path, "image-count", "poses_bounds.npy", "6 rows for 4 photographs")
    (tmp_path / "view_imgs.txt").write_text("".join(f"DSC_{index:04d}.png\n" for index in range(1, 7)))
    assert len(read_capture(tmp_path).images) == 4
    np.save(tmp_path / "poses_bounds.npy", np.zeros((6, 12)))
    refused(tmp_path, "source-unreadable", "shape [6, 12]", "expected 17 numbers")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("poses_bounds.npy", b"\x93NUMPY\x01\x00", "poses_bounds.npy"),
        ("cameras_sphere.npz", b"PK\x03\x04 half", "cameras_sphere.npz"),
        ("cameras.sfm", b'{"views": [', "cameras.sfm: not valid JSON"),
        ("cameras.sfm", b'{"views": [], "poses": []}', "no list 'intrinsics'"),
        ("align.xml", b"<document><chunk><cameras>", "align.xml"),
        ("align.xml", b'<!DOCTYPE a [<!ENTITY b "c">]><document><chunk/></document>', "declares entities"),
        ("a.csv", b"#name,x,y,alt,heading,pitch,roll,f,px,py\nIMG.png,1,2,3\n", "line 2 has 4 columns; expected 10"),
        ("a.csv", b"#name,x,y,alt,heading,pitch,roll,f,px,py\nIMG.png,1,2,3,4,5,six,7,8,9\n", "roll is 'six'"),
        ("t_par.txt", b"2\nIMG.png 1 2 3\n", "1 lines follow"),
        ("t_par.txt", b"1\nIMG.png 1 2 3\n", "line 2"),
        ("IMG.xmp", b"<x xmlns='http://www.capturingreality.com/ns/xcr/1.1#'>", "IMG.xmp"),
    ],
)
def test_camera_files_that_are_damaged(tmp_path, name, content, words):
    write_png(tmp_path / "images/IMG.png", np.zeros((4, 4, 4), np.uint8))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RequestError) as caught:
        read_capture(tmp_path)
    assert words in caught.value.message and name in caught.value.message and caught.value.hint


@pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")
def test_the_command_line_ends_with_status_2(tmp_path):
    folder = colmap_scene(tmp_path / "scene")
    images = folder / "sparse/0/images.bin"
    images.write_bytes(images.read_bytes()[:100])
    sys.path.append(str(ROOT / "tests/backend"))
    import forked_cli

    request = {"source": str(folder), "device": "cpu"}
    (tmp_path / "request.json").write_text(json.dumps(request))
    status, events = forked_cli.run(tmp_path / "request.json", output=tmp_path / "printed")
    assert status == 2 and "images.bin" in events[-1].message and "ends after 100 bytes" in events[-1].message


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read in kB")
def test_a_thousand_views_take_seconds_and_little_memory(tmp_path):
    resource = pytest.importorskip("resource")
    count = 1000
    poses = ring(count)
    (tmp_path / "sparse").mkdir()
    (tmp_path / "images").mkdir()
    png = tmp_path / "one.png"
    write_png(png, np.full((6, 8, 4), 255, np.uint8))
    data = png.read_bytes()
    cameras = [Solved(f"frame_{index:05d}.png", pose) for index, pose in enumerate(poses)]
    lines = []
    for index, camera in enumerate(cameras):
        (tmp_path / "images" / camera.name).write_bytes(data)
        q = Rotation.from_matrix(camera.R).as_quat(scalar_first=True)
        lines += [" ".join(map(str, (index, *q.tolist(), *camera.t.tolist(), 1, camera.name))), ""]
    (tmp_path / "sparse/images.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "sparse/cameras.txt").write_text("1 PINHOLE 8 6 9 9 4 3\n")
    start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    dataset = load(tmp_path, ViewSettings(resolution=32, holdout=8, box=(-1, -1, -1, 1, 1, 1)))
    took, grown = time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (len(dataset.train), len(dataset.test)) == (875, 125)
    assert took < 15 and grown < 200_000, (took, grown)  # kB on Linux
    assert any("same photograph" in warning and "(999 in all)" in warning for warning in dataset.warnings)
