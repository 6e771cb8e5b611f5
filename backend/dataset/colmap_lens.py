"""COLMAP's camera models as lenses."""

from __future__ import annotations

import math
from collections.abc import Sequence

from backend.contract import RequestError
from backend.dataset.distortion import Distortion
from backend.dataset.posed import Lens

LARGEST_SIDE = 1_000_000  # pixels; beyond this a file is damaged

# number -> name, parameters in the file's order (COLMAP, src/colmap/sensor/models.h)
MODELS: dict[int, tuple[str, tuple[str, ...]]] = {
    0: ("SIMPLE_PINHOLE", ("f", "cx", "cy")),
    1: ("PINHOLE", ("fx", "fy", "cx", "cy")),
    2: ("SIMPLE_RADIAL", ("f", "cx", "cy", "k1")),
    3: ("RADIAL", ("f", "cx", "cy", "k1", "k2")),
    4: ("OPENCV", ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2")),
    5: ("OPENCV_FISHEYE", ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "k4")),
    6: ("FULL_OPENCV", ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")),
    7: ("FOV", ("fx", "fy", "cx", "cy", "omega")),
    8: ("SIMPLE_RADIAL_FISHEYE", ("f", "cx", "cy", "k1")),
    9: ("RADIAL_FISHEYE", ("f", "cx", "cy", "k1", "k2")),
    10: ("THIN_PRISM_FISHEYE", ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4", "sx1", "sy1")),
    14: ("SIMPLE_FISHEYE", ("f", "cx", "cy")),
    15: ("FISHEYE", ("fx", "fy", "cx", "cy")),
}
REFUSED = {11: "RAD_TAN_THIN_PRISM_FISHEYE", 12: "SIMPLE_DIVISION", 13: "DIVISION", 16: "EUCM", 17: "EQUIRECTANGULAR"}
NUMBERS = {name: number for number, (name, _) in MODELS.items()}


def parameter_count(model: int, where: str) -> int:
    """How many numbers a camera of this model has. Raises RequestError (camera-model) for a model not known here."""
    if model not in MODELS:
        raise unknown_model(REFUSED.get(model, str(model)), where)
    return len(MODELS[model][1])


def unknown_model(model: str, where: str) -> RequestError:
    """The error for a camera model that is not in `MODELS`."""
    return RequestError(
        f"{where}: the camera model {model} is not known; expected one of {', '.join(NUMBERS)}",
        hint="in COLMAP, undistort the images (image_undistorter) and use the model it writes, or solve with OPENCV or OPENCV_FISHEYE",
        code="camera-model",
    )


def colmap_lens(model: int, width: int, height: int, parameters: Sequence[float], where: str) -> Lens:
    """A camera of `cameras.txt` or `cameras.bin`; the first pixel's centre is at 0.5, as inside. Raises RequestError (camera-invalid)."""
    given = dict(zip(MODELS[model][1], parameters, strict=True))
    fx, fy = given.get("fx", given.get("f", 0.0)), given.get("fy", given.get("f", 0.0))
    sound = all(map(math.isfinite, parameters)) and fx > 0 and fy > 0
    if not sound or not (0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE):
        raise RequestError(
            f"{where}: {width} x {height} pixels with the parameters {', '.join(f'{value:g}' for value in parameters)} make no camera",
            hint="the file may be damaged: export the model again",
            code="camera-invalid",
        )
    return Lens(
        focal=(fx, fy), centre=(given["cx"], given["cy"]), size=(width, height), distortion=_distortion(model, given)
    )


def _distortion(model: int, given: dict[str, float]) -> Distortion:
    name = MODELS[model][0]
    k1, k2, k3, k4, k5, k6, p1, p2, s1, s2, omega = (
        given.get(key, 0.0) for key in ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2", "sx1", "sy1", "omega")
    )
    if name == "FOV":
        return Distortion(projection="fov", view=omega)
    if name == "FULL_OPENCV":
        return Distortion(radial=(k1, k2, k3), divisor=(k4, k5, k6), tangential=(p1, p2))
    return Distortion(
        projection="fisheye" if name.endswith("FISHEYE") else "pinhole",
        radial=(k1, k2, k3, k4),
        tangential=(p1, p2),
        prism=(s1, s2),
    )
