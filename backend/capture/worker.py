"""The solver's child process: `python -m backend.capture.worker TASK.json`. Imports pycolmap, and of the backend only what needs no torch.

COLMAP cannot be interrupted while it works and ends the process where its own checks fail, hence a process that may be killed; what it
has put into the database by then is used again. It says on standard output, a JSON object a line, what it begins and how many cameras
are solved; how many features and matches the database holds, the parent reads there itself. It ends by itself when its parent does:
standard input closes then.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap

from backend.capture.measure import measure
from backend.dataset.orient import box_of, upright
from backend.dataset.posed import Capture, Lens, PosedImage, pose_of_opencv

SEED = 7
LEAST_MODEL = 3  # photographs
_ERRORS = 2  # pycolmap's log level: warnings are about its own tries and would frighten


def say(**what: Any) -> None:
    """One line for the parent."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def solve(task: dict[str, Any]) -> None:
    """Features, matches, cameras; then the best model upright, sized, under the photographs' own names, and what was measured of it."""
    database, pictures = Path(task["database"]), Path(task["pictures"])
    _import(task, database, pictures)
    device = getattr(pycolmap.Device, task["device"])
    _extract(task, database, pictures, device)
    _match(task, database, device)
    models = _map(task, database, pictures)
    sizes = sorted((model.num_reg_images() for model in models.values()), reverse=True)
    if not models or sizes[0] < LEAST_MODEL:
        Path(task["verdict"]).write_text(json.dumps({"models": sizes, **_links(database)}), encoding="utf-8")
        return
    best = max(models.values(), key=lambda model: model.num_reg_images())
    say(stage="model")
    placed = {image.name for image in best.images.values()}
    others = [sorted({image.name for image in model.images.values()} - placed) for model in models.values()]
    verdict = {"models": sizes, "others": [names for names in others if names], **_links(database), **measure(best)}
    folder = Path(task["model"])
    folder.mkdir(parents=True, exist_ok=True)
    _name_and_size(best, task["photographs"])
    _turn_upright(best)
    best.write_binary(folder)
    Path(task["verdict"]).write_text(json.dumps(verdict), encoding="utf-8")


def _import(task: dict[str, Any], database: Path, pictures: Path) -> None:
    """Name the pictures to the database, by the lens they were taken through. A half-named database is begun again."""
    named = database.with_name("named")
    if named.exists():
        return
    for leftover in database.parent.glob(f"{database.name}*"):
        leftover.unlink()
    pycolmap.Database.open(database).close()
    for group in task["groups"]:
        options = pycolmap.ImageReaderOptions()
        options.camera_model = task["lens"]
        if group["parameters"]:
            options.camera_params = ",".join(map(str, group["parameters"]))
        mode = pycolmap.CameraMode.PER_IMAGE if task["each"] else pycolmap.CameraMode.SINGLE
        pycolmap.import_images(database, pictures, mode, group["names"], options)
    named.touch()


def _extract(task: dict[str, Any], database: Path, pictures: Path, device: Any) -> None:
    say(stage="features")
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = task["lens"]
    if task["masks"]:
        reader.mask_path = task["masks"]
    options = pycolmap.FeatureExtractionOptions()
    options.num_threads = task["threads"]
    options.sift.max_num_features = task["features"]
    options.sift.peak_threshold = task["peak"]
    options.sift.domain_size_pooling = options.sift.estimate_affine_shape = task["careful"]
    names = [name for group in task["groups"] for name in group["names"]]
    pycolmap.extract_features(database, pictures, names, pycolmap.CameraMode.AUTO, reader, options, device)


def _match(task: dict[str, Any], database: Path, device: Any) -> None:
    say(stage="matches")
    options = pycolmap.FeatureMatchingOptions()
    options.num_threads = task["threads"]
    options.guided_matching = task["careful"]
    if task["matching"] == "sequential":
        pycolmap.match_sequential(database, options, pycolmap.SequentialPairingOptions(), device=device)
    else:
        pairing = pycolmap.ExhaustivePairingOptions()
        pairing.block_size = (
            10  # pairs are stored a block at a time: small blocks lose little when the process is killed
        )
        pycolmap.match_exhaustive(database, options, pairing, device=device)


def _map(task: dict[str, Any], database: Path, pictures: Path) -> dict[int, Any]:
    """Models of what belongs together; where the usual demands leave photographs out, softer ones are tried, and the larger model kept."""
    say(stage="cameras")
    best: dict[int, Any] = {}
    count = len(task["photographs"])
    for soft in (False, True):
        options = pycolmap.IncrementalPipelineOptions()
        options.num_threads = task["threads"]
        options.random_seed = options.mapper.random_seed = options.triangulation.random_seed = SEED
        options.min_model_size = LEAST_MODEL
        options.max_num_models = 5
        options.extract_colors = False
        if task["hold_focal"]:
            options.ba_refine_focal_length = options.mapper.abs_pose_refine_focal_length = False
        if soft:
            options.min_num_matches = 10
            options.mapper.init_min_num_inliers = 40
            options.mapper.abs_pose_min_num_inliers = 15
            options.mapper.abs_pose_min_inlier_ratio = 0.15
            options.triangulation.ignore_two_view_tracks = False
        solved = [0]

        def begin(solved: list[int] = solved) -> None:
            solved[0] = 2
            say(solved=2)

        def another(solved: list[int] = solved) -> None:
            solved[0] += 1
            say(solved=solved[0])

        place = Path(task["models"]) / ("soft" if soft else "usual")
        place.mkdir(parents=True, exist_ok=True)
        found = pycolmap.incremental_mapping(
            database, pictures, place, options, initial_image_pair_callback=begin, next_image_callback=another
        )
        if _largest(found) > _largest(best):
            best = found
        if _largest(best) >= 0.95 * count:
            break
    return best


def _largest(models: dict[int, Any]) -> int:
    return max((model.num_reg_images() for model in models.values()), default=0)


def _links(database: Path) -> dict[str, Any]:
    """How the pictures hang together: verified pairs, neighbours a picture, and what share of the matches did not move in the picture."""
    pairs, still, moved = 0, 0, 0
    neighbours: dict[str, int] = {}
    with pycolmap.Database.open(database) as base:
        images = {image.image_id: image for image in base.read_all_images()}
        widths = {camera.camera_id: max(camera.width, camera.height) for camera in base.read_all_cameras()}
        points = {number: base.read_keypoints(number) for number in images}
        names, geometries = base.read_two_view_geometries()
        for pair, geometry in zip(names, geometries):
            matches = np.asarray(geometry.inlier_matches)
            if len(matches) < 15:
                continue
            first, second = pycolmap.pair_id_to_image_pair(pair)
            pairs += 1
            for number in (first, second):
                neighbours[images[number].name] = neighbours.get(images[number].name, 0) + 1
            shift = _places(points[first])[matches[:, 0]] - _places(points[second])[matches[:, 1]]
            rests = np.linalg.norm(shift, axis=1) < 0.004 * widths[images[first].camera_id]
            still, moved = still + int(rests.sum()), moved + int((~rests).sum())
    return {
        "pairs": pairs,
        "neighbours": neighbours,
        "still": still / max(1, still + moved),
        "features": {images[number].name: len(places) for number, places in points.items()},
    }


def _places(keypoints: Any) -> np.ndarray:
    return np.asarray(keypoints)[:, :2]


def _name_and_size(model: Any, photographs: dict[str, dict[str, Any]]) -> None:
    """The model as if it had been solved for the photographs themselves: their names, and lenses and points in their pixels."""
    scales: dict[int, tuple[float, float, dict[str, Any]]] = {}
    for image in model.images.values():
        real = photographs[image.name]
        camera = model.cameras[image.camera_id]
        scales.setdefault(image.camera_id, (real["width"] / camera.width, real["height"] / camera.height, real))
        across, down, _ = scales[image.camera_id]
        for point in image.points2D:
            point.xy = point.xy * np.array([across, down])
        image.name = real["name"]
    for number, (_, _, real) in scales.items():
        model.cameras[number].rescale(real["width"], real["height"])


def _turn_upright(model: Any) -> None:
    """Z up, what the cameras look at in the origin, and the longest side of its box 1."""
    posed = tuple(
        PosedImage(image.name, Path(image.name), None, _pose(image), Lens(None)) for image in model.images.values()
    )
    capture = upright(Capture(posed, points=np.stack([point.xyz for point in model.points3D.values()])))
    assert capture.points is not None
    poses = [image.camera_to_world for image in capture.images]
    box = box_of(capture.points, poses)
    far = np.median(np.linalg.norm(np.stack(poses)[:, :3, 3], axis=1))
    scale = 1.0 / max(float((box[1] - box[0]).max() if box else far), 1e-9)
    turn, shift = capture.from_source[:3, :3], capture.from_source[:3, 3]
    model.transform(pycolmap.Sim3d(scale, pycolmap.Rotation3d(turn), scale * shift))


def _pose(image: Any) -> np.ndarray:
    camera = image.cam_from_world().inverse()
    return pose_of_opencv(camera.rotation.matrix(), camera.translation, image.name)


def _end_with_parent() -> None:
    while os.read(
        0, 4096
    ):  # unbuffered: Python aborts at its own exit when a thread waits inside the buffered standard input
        pass
    os._exit(1)


def main() -> None:
    """Solve the task in the file named."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    pycolmap.logging.minloglevel = _ERRORS
    solve(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    sys.stdout.flush()
    os._exit(0)  # nothing is left to be done, and a library's threads need not be waited for


if __name__ == "__main__":
    main()
