"""Cameras of known projection for the importers' tests, in OpenCV's terms: X -> K distort(R X + t), the first pixel's corner at 0.

Every image is a chart: red and green say how far a pixel is from where the known point belongs, so what is read at the camera's own
projection of the point is the error, lens and resampling included.
"""

from dataclasses import dataclass

import numpy as np
import OpenEXR
from posed_scene import pose_from

from backend.dataset.formats import read_capture
from backend.dataset.frame import read_frame

SIZE = (96, 72)
FOCAL = (88.0, 84.0)
CENTRE = (45.0, 38.5)
POINT = np.array([0.2, -0.15, 0.1])
REACH = 8.0  # pixels that a chart shows to each side


@dataclass(frozen=True)
class Known:
    """World to camera R [3, 3], t [3]; the point's pinhole image (x, y) at distance 1."""

    name: str
    R: np.ndarray
    t: np.ndarray

    @property
    def flat(self):
        x, y, z = self.R @ POINT + self.t
        return x / z, y / z

    @property
    def position(self):
        return -self.R.T @ self.t


def rig(count=5, level=True, names="view {}.exr"):
    """Cameras around the origin, whose world leans unless `level`; and its up direction."""
    lean = np.eye(3) if level else np.array([[0.36, 0.48, -0.8], [-0.8, 0.6, 0.0], [0.48, 0.64, 0.6]])
    cameras = []
    for index in range(count):
        turn = 2 * np.pi * index / count
        place = 2.5 * np.array([np.cos(turn), np.sin(turn), 0.2 + 0.3 * (index % 3)])
        pose = pose_from(place, (0.05, 0.1, 0.0)) @ np.diag([1.0, -1.0, -1.0, 1.0])
        R = pose[:3, :3].T @ lean.T
        cameras.append(Known(names.format(index), R, -R @ lean @ place))
    return cameras, lean @ np.array([0.0, 0.0, 1.0])


def write_chart(path, pixel, size=SIZE):
    """An EXR whose red and green are 0.5 at `pixel` and grow to the right and downwards."""
    path.parent.mkdir(parents=True, exist_ok=True)
    x, y = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    red, green = ((value - at) / (2 * REACH) + 0.5 for value, at in ((x, pixel[0]), (y, pixel[1])))
    rgba = np.dstack([red.clip(0, 1), green.clip(0, 1), np.ones_like(x), np.ones_like(x)]).astype(np.float32)
    OpenEXR.File({"type": OpenEXR.scanlineimage}, {"RGBA": rgba}).write(str(path))


def flat_in(image, capture, mistake=None):
    """The known point's pinhole image by an importer's camera, (x right, y down), with a mistake made on purpose."""
    pose = image.camera_to_world.copy()
    if mistake == "transposed":
        pose[:3, :3] = pose[:3, :3].T
    elif mistake == "opencv axes":
        pose[:3, 1:3] *= -1
    point = (capture.from_source @ [*POINT, 1.0])[:3]
    local = (point - pose[:3, 3]) @ pose[:3, :3]
    return local[0] / -local[2], -local[1] / -local[2]


def projection_error(capture, pixels, size=SIZE, mistake=None):
    """Largest distance in pixels between the formula's pixels (name -> u, v) and those of the importer's pose, lens and distortion."""
    worst = 0.0
    for image in capture.images:
        x, y = image.lens.distortion.apply(*(np.float64(value) for value in flat_in(image, capture, mistake)))
        fx, fy, cx, cy = image.lens.intrinsics(*size)
        shift = 0.5 if mistake == "half a pixel" else 0.0
        worst = max(
            worst, float(np.hypot(cx + shift + fx * x - pixels[image.name][0], cy + fy * y - pixels[image.name][1]))
        )
    return worst


def read_error(capture):
    """The same through the pixels: every image read and undistorted, looked up where its pinhole camera sees the point."""
    worst = 0.0
    for image in capture.images:
        frame = read_frame(image, 0)
        fx, fy, cx, cy = frame.intrinsics
        x, y = flat_in(image, capture)
        u, v = cx + fx * x - 0.5, cy + fy * y - 0.5
        left, top = int(np.floor(u)), int(np.floor(v))
        four = frame.rgba[top : top + 2, left : left + 2, :2].astype(float)
        across, down = u - left, v - top
        value = np.einsum("i,ijc,j->c", [1 - down, down], four, [1 - across, across])
        worst = max(worst, float(np.hypot(*(value - 0.5))) * 2 * REACH)
    return worst


def check(folder, pixels, up=None, size=SIZE):
    """Both errors, and the mistakes that must show; returns the capture and the two errors in pixels."""
    capture = read_capture(folder)
    assert {image.name for image in capture.images} == set(pixels)
    exact, read = projection_error(capture, pixels, size), read_error(capture)
    assert exact < 1e-3 and read < 0.01, (exact, read)
    assert projection_error(capture, pixels, size, "transposed") > 1.0
    assert not projection_error(capture, pixels, size, "opencv axes") < 1.0
    assert projection_error(capture, pixels, size, "half a pixel") > 0.4
    if up is not None:
        turned = capture.from_source[:3, :3] @ up
        np.testing.assert_allclose(turned / np.linalg.norm(turned), [0, 0, 1], atol=1e-6)
    return capture, exact, read
