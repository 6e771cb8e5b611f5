"""A small scene as COLMAP leaves it: photographs and a sparse model."""

import numpy as np
from posed_scene import CENTRE, ellipsoid_mask, ring, write_png
from test_formats import write_colmap

SIZE, FOCAL = (64, 48), 90.0


class Solved:
    """A camera of `write_colmap`: name, R, t."""

    def __init__(self, name, pose):
        self.name = name
        self.R = np.diag([1.0, -1.0, -1.0]) @ pose[:3, :3].T
        self.t = -self.R @ pose[:3, 3]


def colmap_scene(folder, count=8, masks="alpha", binary=True, names="IMG {:02d}.png"):
    """An ellipsoid's photographs with a COLMAP model that knows them."""
    poses = ring(count)
    cameras = [Solved(names.format(index), pose) for index, pose in enumerate(poses)]
    intrinsics = (FOCAL, FOCAL, SIZE[0] / 2, SIZE[1] / 2)
    for index, (camera, pose) in enumerate(zip(cameras, poses)):
        mask = (255 * ellipsoid_mask(pose, intrinsics, SIZE)).astype(np.uint8)
        color = np.full((SIZE[1], SIZE[0], 3), 188, np.uint8)
        color[-1, -1] = index
        full = {"alpha": [mask], "full": [np.full_like(mask, 255)], "none": []}[masks]
        write_png(folder / "images" / camera.name, np.dstack([color, *full]))
    write_colmap(folder / "sparse/0", cameras, 1, "PINHOLE", intrinsics, binary)
    # sizes of this scene, not of the charts; and the points on the object
    cameras_file = folder / "sparse/0" / ("cameras.bin" if binary else "cameras.txt")
    if binary:
        data = bytearray(cameras_file.read_bytes())
        data[16:32] = np.array(SIZE, "<u8").tobytes()
        cameras_file.write_bytes(bytes(data))
    else:
        cameras_file.write_text(cameras_file.read_text().replace("96 72", "64 48"))
    (folder / "sparse/0/points3D.bin").unlink(missing_ok=True)
    points = CENTRE + np.random.default_rng(1).normal(size=(60, 3)) * 0.1
    lines = [f"{index} {p[0]} {p[1]} {p[2]} 1 2 3 0.5" for index, p in enumerate(points)]
    if not binary:
        (folder / "sparse/0/points3D.txt").write_text("\n".join([*lines, "99 500 500 500 1 2 3 0.5"]) + "\n")
    return folder
