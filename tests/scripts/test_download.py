"""Data sets come whole from bad servers and bad archives, or not at all; smaller images show what the large ones did."""

import hashlib
import io
import json
import shutil
import sys
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))

import datasets_archive
import datasets_disk
import datasets_fetch
import datasets_list
import download_datasets
from datasets_checksums import Checksums
from datasets_list import Archive, Mirror, Scene

from backend.contract import EnvironmentFault, RequestError
from backend.dataset.formats import read_capture
from backend.dataset.frame import read_frame
from backend.export.images import write_png

ROOT = Path(__file__).resolve().parents[2]


class Server(ThreadingHTTPServer):
    """Serves `files` (path -> bytes) with ranges and ETags; each answer to a path in `breaks` stops after so many bytes.

    Attributes:
        asked: (path, Range header) of each request.
        etag: False leaves out every mark of a file's version.
        ranges: False sends the whole file whatever is asked.
        stubborn: a part is sent even where If-Range names another version.
        length: False leaves Content-Length out.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.breaks, self.asked = {}, {}, []
        self.etag, self.ranges, self.kind = True, True, "application/zip"
        self.length, self.stubborn = True, False
        self.statuses = {}

    def url(self, path):
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append((self.path, wanted))
        if server.statuses.get(self.path):
            self.send_error(server.statuses[self.path].pop(0))
            return
        if self.path not in server.files:
            self.send_error(404)
            return
        data = server.files[self.path]
        etag = f'"{hashlib.md5(data).hexdigest()}"'
        first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        part = wanted and server.ranges and (server.stubborn or self.headers.get("If-Range") in (None, etag))
        if part and first >= len(data):
            self.send_error(416)
            return
        body = data[first:] if part else data
        self.send_response(206 if part else 200)
        if part:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        if server.etag:
            self.send_header("ETag", etag)
        self.send_header("Content-Type", server.kind)
        if server.length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        stops = server.breaks.get(self.path)
        self.wfile.write(body[: stops.pop(0)] if stops else body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


NOISE = np.random.default_rng(0).bytes(300_000)
WHOLE = zipped({"noise": NOISE})
OTHER = zipped({"noise": NOISE[::-1]})


def fetch(server, folder, *paths, sha256="", accept=False):
    archive = Archive("set.zip", tuple(Mirror(server.url(path), sha256) for path in paths), "the page", "")
    checksums = Checksums(folder / "checksums.json", accept)
    return datasets_fetch.fetch(archive, folder, checksums, wait=0.0)


@pytest.mark.parametrize(
    ("etag", "ranges", "resumes"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_a_broken_transfer_goes_on_where_that_is_safe_and_else_begins_anew(server, tmp_path, etag, ranges, resumes):
    server.files["/set"], server.breaks["/set"] = WHOLE, [70_000, 50_000]
    server.etag, server.ranges = etag, ranges
    assert fetch(server, tmp_path, "/set").read_bytes() == WHOLE
    assert len(server.asked) == 3
    third = server.asked[2][1]
    assert third == ("bytes=120000-" if resumes else "bytes=50000-" if etag else None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checksums.json", "set.zip"]


@pytest.fixture
def begun(server, tmp_path):
    """The folder of a call that was given up after 200 kB, as it lies on disk."""
    server.files["/set"], server.breaks["/set"] = WHOLE, [200_000] + [0] * datasets_fetch.TRIES
    with pytest.raises(EnvironmentFault, match="in a row"):
        fetch(server, tmp_path, "/set")
    server.asked.clear()
    (part,) = tmp_path.glob("*.part")
    assert part.stat().st_size == 200_000
    return tmp_path


def test_a_later_call_asks_for_the_rest_alone(server, begun):
    assert fetch(server, begun, "/set").read_bytes() == WHOLE
    assert server.asked == [("/set", "bytes=200000-")]


@pytest.mark.parametrize("stubborn", [False, True])
def test_the_beginning_of_another_version_is_thrown_away(server, begun, stubborn):
    server.files["/set"], server.stubborn = OTHER, stubborn
    assert fetch(server, begun, "/set").read_bytes() == OTHER


def test_a_call_that_ended_before_the_last_rename_asks_for_nothing_more(server, begun):
    (part,) = begun.glob("*.part")
    part.write_bytes(WHOLE)
    assert fetch(server, begun, "/set").read_bytes() == WHOLE
    assert server.asked == [("/set", f"bytes={len(WHOLE)}-")]  # answered by 416


def test_a_server_that_does_not_tell_the_length_is_checked_by_the_archive_itself(server, tmp_path):
    server.files["/set"], server.length = WHOLE, False
    assert fetch(server, tmp_path / "a", "/set").read_bytes() == WHOLE
    server.breaks["/set"] = [150_000]
    with pytest.raises(EnvironmentFault, match="no whole archive"):
        fetch(server, tmp_path / "b", "/set")


def test_mirrors_that_lie_fail_or_lack_the_file_are_passed_over_and_named(server, tmp_path, capsys):
    server.files = {"/wrong": OTHER, "/cut": WHOLE[:-1000], "/good": WHOLE}
    server.statuses = {"/busy": [503] * datasets_fetch.TRIES}
    right = hashlib.sha256(WHOLE).hexdigest()
    assert fetch(server, tmp_path, "/gone", "/wrong", "/busy", "/good", sha256=right).read_bytes() == WHOLE
    said = capsys.readouterr().out
    for words in ("404", "wrong content", f"stated is {right}", "HTTP status 503"):
        assert words in said
    known = json.loads((tmp_path / "checksums.json").read_text())
    assert [entry["trust"] for entry in known.values()] == ["stated by a mirror's host"]
    (tmp_path / "set.zip").unlink()
    with pytest.raises(EnvironmentFault) as caught:
        fetch(server, tmp_path, "/gone", "/cut")
    assert "404" in str(caught.value) and "no whole archive" in str(caught.value) and "--archive" in caught.value.hint
    server.files["/page"], server.kind = b"<html>quota exceeded</html>", "text/html; charset=utf-8"
    with pytest.raises(EnvironmentFault, match="web page"):
        fetch(server, tmp_path, "/page")
    assert not (tmp_path / "set.zip").exists()


def test_what_nobody_vouches_for_is_held_to_what_it_was_at_first(server, tmp_path):
    server.files["/set"] = WHOLE
    kept = fetch(server, tmp_path, "/set")
    kept.write_bytes(OTHER)  # damaged on disk: noticed, and fetched again
    assert fetch(server, tmp_path, "/set").read_bytes() == WHOLE
    kept.unlink()
    server.files["/set"] = OTHER
    with pytest.raises(EnvironmentFault, match="--accept-changed"):
        fetch(server, tmp_path, "/set")
    assert fetch(server, tmp_path, "/set", accept=True).read_bytes() == OTHER
    damaged = bytearray(WHOLE)
    damaged[1000] ^= 1  # inside the member: its CRC tells
    server.files["/new"] = bytes(damaged)
    kept.unlink()
    with pytest.raises(EnvironmentFault, match="damaged"):
        fetch(server, tmp_path, "/new")
    assert server.url("/new") not in json.loads((tmp_path / "checksums.json").read_text())


def test_a_full_disk_is_told_before_a_byte_is_written(server, tmp_path, monkeypatch):
    server.files["/set"] = WHOLE
    monkeypatch.setattr(datasets_disk.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 10**5))
    with pytest.raises(EnvironmentFault, match=r"needs .* are free"):
        fetch(server, tmp_path, "/set")
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".part"]


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "C:\\evil", "..\\evil"])
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_that_reaches_out_is_refused(tmp_path, name, kind):
    path = tmp_path / f"set.{kind}"
    if kind == "zip":
        path.write_bytes(zipped({"good": b"", name: b"evil"}))
    else:
        with tarfile.open(path, "w:gz") as archive:
            archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(RequestError, match="outside"), datasets_archive.open_container(path):
        pass


# --- Preparing -------------------------------------------------------------------------------------------------------------

POSE = [[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 4.0]]  # any rotation will do


def photograph(seed, size):
    """A bright blob on a busy ground, and its mask with hard edges: [H, W, 3], [H, W, 1] in [0, 1]."""
    width, height = size
    noise = np.random.default_rng(seed).random((height, width, 3))
    x, y = np.meshgrid(np.arange(width) - width / 2, np.arange(height) - height / 2)
    mask = (np.hypot(x, y) < 0.3 * min(size))[..., None].astype(float)
    return np.where(mask > 0, 0.3 + 0.5 * noise, noise), mask


@pytest.fixture
def capture(tmp_path):
    """A clone of a capture as NeRD has them: names with endings of their own, and files that are none of the set."""

    def make(size=(96, 96), count=3, suffix=".JPG"):
        top = tmp_path / "clone" / "cape-HEAD"
        for folder in ("images", "masks", "thing.files"):
            (top / folder).mkdir(parents=True)
        (top / "README.md").write_text("CC BY-NC-SA")
        (top / "thing.files" / "project.zip").write_bytes(b"PK")
        rows = []
        for index in range(count):
            image, mask = photograph(index, size)
            write_png(top / "images" / f"IMG_{index}.png", image)
            (top / "images" / f"IMG_{index}.png").rename(top / "images" / f"IMG_{index}{suffix}")
            write_png(top / "masks" / f"IMG_{index}_mask.png", mask)
            matrix = np.column_stack([np.array(POSE), [size[1], size[0], 80.0]])
            rows.append([*matrix.ravel(), 1.0, 9.0])
        np.save(top / "poses_bounds.npy", np.array(rows))
        return top

    return make


def packed(folder, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder.parent))
        archive.writestr("__MACOSX/cape-HEAD/images/._IMG_0.JPG", b"junk")
    return path


def run(*words):
    return download_datasets.main([str(word) for word in words])


@pytest.mark.parametrize("size", [(96, 96), (96, 64), (97, 64)])
def test_a_small_capture_shows_what_the_large_one_shows_at_that_size(tmp_path, capture, size):
    clone = capture(size, suffix=".png")
    archive = packed(clone, tmp_path / "by hand.zip")
    assert run("nerd_gold", "--data", tmp_path / "my data", "--archive", archive, "--size", 24) == 0
    folder = tmp_path / "my data" / "nerd" / "moldGoldCape"
    assert {path.name for path in folder.iterdir()} == {
        "images", "masks", "poses_bounds.npy", "view_imgs.txt", "README.md", "prepared.json"
    }  # fmt: skip
    assert (folder.parent / "moldGoldCape_rescaled" / "masks" / "IMG_0.png").is_file()
    for large, small in zip(read_capture(clone).images, read_capture(folder).images):
        wanted, got = read_frame(large, 24), read_frame(small, 0)
        assert np.allclose(large.camera_to_world, small.camera_to_world, atol=1e-12)
        assert np.allclose(wanted.intrinsics, got.intrinsics, rtol=1e-6)
        assert got.masked and np.abs(np.float32(wanted.rgba) - np.float32(got.rgba)).max() < 0.006
    if size[0] == 96:  # one focal length holds for both directions: other readers find it in the file
        rows = np.load(folder / "poses_bounds.npy")
        assert rows[0, [4, 9, 14]].tolist() == [size[1] / 4, 24, 20.0]


def test_synthetic_scenes_are_unpacked_as_they_are_or_shrink_premultiplied(tmp_path, server, monkeypatch):
    top = tmp_path / "made" / "nerf_synthetic"
    for seed, scene in enumerate(("lego", "mic")):
        for split in ("train", "test"):
            (top / scene / split).mkdir(parents=True)
            frames = []
            for index in range(2):
                image, alpha = photograph(10 * seed + index, (64, 64))
                write_png(top / scene / split / f"r_{index}.png", np.concatenate([image * alpha, alpha], axis=2))
                frames.append({"file_path": f"./{split}/r_{index}", "transform_matrix": [*POSE, [0, 0, 0, 1]]})
            shared = {"camera_angle_x": 0.7, "fl_x": 88.0, "frames": frames}
            (top / scene / f"transforms_{split}.json").write_text(json.dumps(shared))
    (top / "README.txt").write_text("by its makers")
    (top / "lego" / ".DS_Store").write_bytes(b"junk")
    server.files["/nerf"] = packed(top, tmp_path / "x.zip").read_bytes()
    archive = Archive("n.zip", (Mirror(server.url("/nerf")),), "the page", "free", synthetic=True)
    scenes = [Scene(f"nerf_{name}", f"nerf_synthetic/{name}", name, archive) for name in ("lego", "mic")]
    monkeypatch.setattr(download_datasets, "chosen", lambda names: [s for s in scenes if s.config in names])
    assert run("nerf_lego", "--data", tmp_path) == 0
    lego = tmp_path / "nerf_synthetic" / "lego"
    assert (lego / "train" / "r_1.png").read_bytes() == (top / "lego" / "train" / "r_1.png").read_bytes()
    assert (lego / "README.txt").is_file() and not (lego / ".DS_Store").exists()
    assert not (tmp_path / "nerf_synthetic" / "mic").exists()
    assert run("nerf_mic", "--data", tmp_path, "--size", 16) == 0
    assert len(server.asked) == 1  # the archive was kept
    small = read_capture(tmp_path / "nerf_synthetic" / "mic").images
    for large, little in zip(read_capture(top / "mic").images, small, strict=True):
        wanted, got = read_frame(large, 16), read_frame(little, 0)
        assert np.allclose(wanted.intrinsics, got.intrinsics, rtol=1e-6)
        assert np.abs(np.float32(wanted.rgba) - np.float32(got.rgba)).max() < 0.006
    assert run("nerf_lego", "--data", tmp_path) == 0  # there already: left alone
    assert run("nerf_lego", "--data", tmp_path, "--size", 16) == 2
    assert run("nerf_lego", "--data", tmp_path, "--size", 16, "--replace") == 0


def test_an_interrupted_call_is_continued_by_the_same_words_and_tells_how_far_it_is(
    tmp_path, server, capture, monkeypatch, capsys
):
    server.files["/cape"] = packed(capture(), tmp_path / "x.zip").read_bytes()
    server.breaks["/cape"] = [20_000]
    archive = Archive("cape.zip", (Mirror(server.url("/cape")),), "the page", "CC BY-NC-SA")
    monkeypatch.setattr(download_datasets, "chosen", lambda _: [Scene("nerd_gold", "nerd/cape", "", archive, 32)])

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(datasets_fetch.time, "sleep", interrupt)
    assert run("nerd_gold", "--data", tmp_path) == 130
    assert "goes on from here" in capsys.readouterr().err
    assert run("nerd_gold", "--data", tmp_path) == 0
    said = capsys.readouterr().out
    assert "(100 %)" in said and "3 of 3" in said and server.asked[-1][1] == "bytes=20000-"
    assert "SHA-256" in said and "CC BY-NC-SA" in said


def test_a_failure_leaves_the_folder_as_it_was(tmp_path, capture, capsys):
    clone = capture()
    arguments = ("nerd_gold", "--data", tmp_path, "--archive", clone)
    assert run(*arguments) == 0
    folder = tmp_path / "nerd" / "moldGoldCape"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (clone / "masks" / "IMG_2_mask.png").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert run(*arguments, "--replace") == 2
    assert "IMG_2_mask.png" in capsys.readouterr().err
    (clone / "masks" / "IMG_2_mask.png").unlink()
    assert run(*arguments, "--replace") == 2
    assert "3 rows; there are 3 photographs, 2 with a mask" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert {path.name for path in folder.parent.iterdir()} == {"moldGoldCape", "moldGoldCape_rescaled"}
    (folder / "prepared.json").unlink()  # somebody's own folder is not replaced
    assert run(*arguments, "--replace") == 2
    assert run("nerf_lego", "--data", tmp_path, "--archive", clone) == 2
    assert run("nerf_lego", "--data", tmp_path, "--archive", tmp_path / "none.zip") == 2
    assert run("nowhere") == 2


def test_every_configuration_that_needs_a_download_has_one():
    wanted = {}
    for path in (ROOT / "backend" / "configs").glob("ner[fd]_*.json"):
        wanted[path.stem] = json.loads(path.read_text())["source"]
    assert wanted == {scene.config: f"data/{scene.folder}" for scene in datasets_list.SCENES}
