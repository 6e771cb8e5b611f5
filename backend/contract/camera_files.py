"""Which files posed photographs come with, for whoever looks for them: the backend's readers and the add-on's folder field."""

from __future__ import annotations

import typing


class CameraFiles(typing.NamedTuple):
    """One kind of files that posed photographs come with: whose it is, what is looked for in words, and marks that tell it.

    A mark is a pattern of paths in the folder, `*` for any name, and what one of those files has near its beginning (nothing: anything).
    """

    name: str
    files: str
    marks: tuple[tuple[str, bytes], ...]


# the first that is found is read: files that name their images and say most about their lenses come first
CAMERA_FILES = (
    CameraFiles(
        "instant-ngp, nerfstudio, NeRF-synthetic, Unrender",
        "transforms.json or transforms_train.json",
        (("transforms.json", b""), ("transforms_train.json", b"")),
    ),
    CameraFiles("Meshroom", "cameras.sfm or sfm.json", (("cameras.sfm", b""), ("sfm.json", b""), ("sfm.sfm", b""))),
    CameraFiles("Metashape", "an .xml of cameras", (("*.xml", b"<chunk"),)),
    CameraFiles(
        "RealityCapture, RealityScan",
        "a .csv of internal and external camera parameters, or .xmp files beside the images",
        (("*.csv", b"heading"), *((f"{place}*.xmp", b"capturingreality.com") for place in ("images/", "image/", ""))),
    ),
    CameraFiles(
        "NeuS, IDR",
        "cameras_sphere.npz or cameras.npz",
        (("cameras_sphere.npz", b""), ("cameras.npz", b""), ("cameras_large.npz", b"")),
    ),
    CameraFiles(
        "COLMAP",
        "sparse/0/ with cameras, images and points3D (.bin or .txt)",
        tuple(
            (f"{place}images.{kind}", b"")
            for place in ("sparse/*/", "sparse/", "colmap/sparse/*/", "distorted/sparse/*/", "model/", "")
            for kind in ("bin", "txt")
        ),
    ),
    CameraFiles("LLFF, NeRD", "poses_bounds.npy", (("poses_bounds.npy", b""),)),
    CameraFiles("Middlebury", "*_par.txt", (("*_par.txt", b""),)),
)
