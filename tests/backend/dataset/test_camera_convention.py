"""One bright spot in each image, put where OpenCV projects a known point: the importer's camera must say the same to 0.01 pixel."""

import json

import cv2
import numpy as np
import OpenEXR
import pytest
import torch
from posed_scene import CENTRE, project, ring

from backend.contract import ViewSettings
from backend.dataset.load import load

SIZE, INTRINSICS = (64, 48), (90.0, 80.0, 25.5, 28.25)  # width and height; principal point well off the middle
POINT = CENTRE + np.array([0.1, 0.15, -0.05])
ASIDE = CENTRE + np.array([0.2, -0.15, 0.6])  # seen well off the axis, where distortion is strong
BOX = (-0.5, -1.0, -0.5, 1.1, 0.6, 1.5)
DISTORTION = {"k1": -0.6, "k2": 0.2, "p1": 0.03, "p2": -0.02, "k3": 0.1}


def write_spots(folder, distortion=None, point=POINT, **shared):
    """EXR images with a Gaussian spot at the point's projection, everything opaque white in the mask."""
    frames = []
    (folder / "images").mkdir(parents=True)
    (width, height), (fx, fy, cx, cy) = SIZE, INTRINSICS
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    if distortion is not None:  # where a pinhole camera would have seen what this pixel saw
        matrix, coefficients = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]]), np.array(list(distortion.values()))
        pixels = np.stack([x, y], axis=-1).reshape(-1, 1, 2)
        x, y = cv2.undistortPoints(pixels, matrix, coefficients, P=matrix).reshape(height, width, 2).transpose(2, 0, 1)
    for index, pose in enumerate(ring(6)):
        u, v = project([point], pose, INTRINSICS)[0]
        spot = np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * 1.5**2))
        rgba = np.dstack([spot, spot, spot, np.ones_like(spot)]).astype(np.float32)
        OpenEXR.File({"type": OpenEXR.scanlineimage}, {"RGBA": rgba}).write(str(folder / f"images/{index}.exr"))
        frames.append({"file_path": f"images/{index}.exr", "transform_matrix": pose.tolist()})
    content = {**shared, **(distortion or {}), "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(content))


def shared_intrinsics(scale=1):
    fx, fy, cx, cy = (scale * value for value in INTRINSICS)
    return {"fl_x": fx, "fl_y": fy, "cx": cx, "cy": cy, "w": scale * SIZE[0], "h": scale * SIZE[1]}


def worst_error(dataset, poses=None, point=POINT):
    """Largest distance in pixels between the spots' centroids and where the cameras put the point."""
    views = dataset.train
    point = dataset.similarity.to_normalised(torch.tensor(point, dtype=torch.float32))
    poses = views.cameras.camera_to_world if poses is None else poses
    worst = 0.0
    for image, pose, lens in zip(views.images.double(), poses, views.cameras.intrinsics):
        local = (point - pose[:3, 3]) @ pose[:3, :3]
        seen = torch.stack([lens[2] + lens[0] * local[0] / -local[2], lens[3] - lens[1] * local[1] / -local[2]])
        y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) + 0.5 for n in image.shape[:2]), indexing="ij")
        weight = image[..., 0]
        centroid = torch.stack([(weight * x).sum(), (weight * y).sum()]) / weight.sum()
        worst = max(worst, float((seen - centroid).norm()))
    return worst


@pytest.mark.parametrize("resolution", [64, 32])
@pytest.mark.parametrize("json_scale", [1, 10])  # the JSON's pixels may be those of the originals, ten times as many
def test_a_known_point_lands_on_its_pixel(tmp_path, resolution, json_scale):
    write_spots(tmp_path, **shared_intrinsics(json_scale))
    dataset = load(tmp_path, ViewSettings(resolution=resolution, holdout=0, box=BOX))
    assert dataset.train.canvas == (resolution * 3 // 4, resolution)
    assert worst_error(dataset) < 0.01


@pytest.mark.parametrize("mistake", ["opencv axes", "y up", "transposed", "mirrored"])
def test_a_wrong_axis_is_noticed(tmp_path, mistake):
    write_spots(tmp_path, **shared_intrinsics())
    dataset = load(tmp_path, ViewSettings(resolution=64, holdout=0, box=BOX))
    poses = dataset.train.cameras.camera_to_world.clone()
    if mistake == "opencv axes":
        poses[:, :3, 1:3] *= -1
    elif mistake == "y up":
        poses[:, :3] = poses[:, [0, 2, 1]] * torch.tensor([1.0, -1.0, 1.0])[:, None]
    elif mistake == "transposed":
        poses[:, :3, :3] = poses[:, :3, :3].transpose(1, 2).clone()
    else:
        poses[:, :3, 1] *= -1
    assert worst_error(dataset) < 0.01 and worst_error(dataset, poses) > 1.0


def test_distortion_is_undone(tmp_path):
    settings = ViewSettings(resolution=64, holdout=0, box=BOX)
    write_spots(tmp_path, DISTORTION, ASIDE, **shared_intrinsics())
    assert worst_error(load(tmp_path, settings), point=ASIDE) < 0.04  # the rest is what bilinear sampling leaves
    content = json.loads((tmp_path / "transforms.json").read_text())
    (tmp_path / "transforms.json").write_text(json.dumps({**content, **dict.fromkeys(DISTORTION, 0.0)}))
    assert worst_error(load(tmp_path, settings), point=ASIDE) > 0.4


def test_field_of_view_stands_in_for_a_focal_length(tmp_path):
    write_spots(
        tmp_path, camera_angle_x=2 * np.arctan(32 / 90), camera_angle_y=2 * np.arctan(24 / 80), cx=25.5, cy=28.25
    )
    dataset = load(tmp_path, ViewSettings(resolution=64, holdout=0, box=BOX))
    assert worst_error(dataset) < 0.01
