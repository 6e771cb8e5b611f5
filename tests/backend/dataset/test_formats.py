"""Every format against its own definition, written out here anew: a known point must land within 0.01 pixel of where that puts it."""

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from known_camera import CENTRE, FOCAL, SIZE, check, projection_error, read_error, rig, write_chart
from scipy.spatial.transform import Rotation

from backend.dataset.formats import read_capture

WIDTH, HEIGHT = SIZE
FX, FY = FOCAL
CX, CY = CENTRE


def pinhole(x, y):
    return FX * x + CX, FY * y + CY


def charts(folder, cameras, project=pinhole, place="images", size=SIZE):
    """Writes each camera's chart; name -> the point's pixel by the format's formula."""
    pixels = {camera.name: project(*camera.flat) for camera in cameras}
    for name, pixel in pixels.items():
        write_chart(folder / place / name, pixel, size)
    return pixels


def test_llff(tmp_path):
    cameras, up = rig(level=False)
    scale = 10  # the file speaks of the original photographs
    rows = []
    for camera in cameras:
        right, down, forward = camera.R
        matrix = np.column_stack([down, right, -forward, camera.position, [scale * HEIGHT, scale * WIDTH, scale * FX]])
        rows.append([*matrix.ravel(), 0.1, 10.0])
    np.save(tmp_path / "poses_bounds.npy", np.array(rows))
    pixels = charts(tmp_path, cameras, lambda x, y: (FX * x + WIDTH / 2, FX * y + HEIGHT / 2))
    capture, *_ = check(tmp_path, pixels, up)
    axes = np.stack([image.camera_to_world for image in capture.images])
    foot = axes[:, :3, 3] + 2.5 * -axes[:, :3, 2]
    assert np.linalg.norm(foot.mean(0)) < 0.5, "recentred"


# ---- COLMAP: the models as its documentation has them; u, v are the pinhole's image


def _radial(*k):
    def bend(x, y):
        r2 = x * x + y * y
        scale = 1 + sum(value * r2 ** (power + 1) for power, value in enumerate(k))
        return x * scale, y * scale

    return bend


def _opencv(k1, k2, p1, p2):
    def bend(x, y):
        r2 = x * x + y * y
        radial = k1 * r2 + k2 * r2 * r2
        return (
            x + x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y + y * radial + 2 * p2 * x * y + p1 * (r2 + 2 * y * y),
        )

    return bend


def _full(k1, k2, p1, p2, k3, k4, k5, k6):
    def bend(x, y):
        r2 = x * x + y * y
        radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
        return (
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + 2 * p2 * x * y + p1 * (r2 + 2 * y * y),
        )

    return bend


def _fisheye(*k):
    def bend(x, y):
        r = np.hypot(x, y)
        theta = np.arctan(r)
        bent = theta * (1 + sum(value * theta ** (2 * power + 2) for power, value in enumerate(k)))
        return x * bent / r, y * bent / r

    return bend


def _fov(omega):
    def bend(x, y):
        r = np.hypot(x, y)
        bent = np.arctan(2 * r * np.tan(omega / 2)) / omega
        return x * bent / r, y * bent / r

    return bend


def _thin_prism(k1, k2, p1, p2, k3, k4, sx1, sy1):
    def bend(x, y):
        r = np.hypot(x, y)
        u, v = x * np.arctan(r) / r, y * np.arctan(r) / r
        r2 = u * u + v * v
        radial = k1 * r2 + k2 * r2**2 + k3 * r2**3 + k4 * r2**4
        return (
            u + u * radial + 2 * p1 * u * v + p2 * (r2 + 2 * u * u) + sx1 * r2,
            v + v * radial + 2 * p2 * u * v + p1 * (r2 + 2 * v * v) + sy1 * r2,
        )

    return bend


TWO, ONE = (FX, FY, CX, CY), (FX, CX, CY)
COLMAP = [
    (0, "SIMPLE_PINHOLE", ONE, (), _radial),
    (1, "PINHOLE", TWO, (), _radial),
    (2, "SIMPLE_RADIAL", ONE, (-0.2,), _radial),
    (3, "RADIAL", ONE, (-0.2, 0.05), _radial),
    (4, "OPENCV", TWO, (-0.2, 0.05, 0.01, -0.02), _opencv),
    (5, "OPENCV_FISHEYE", TWO, (0.05, -0.02, 0.01, 0.003), _fisheye),
    (6, "FULL_OPENCV", TWO, (-0.2, 0.05, 0.01, -0.02, 0.01, 0.1, 0.02, 0.01), _full),
    (7, "FOV", TWO, (0.7,), _fov),
    (8, "SIMPLE_RADIAL_FISHEYE", ONE, (0.05,), _fisheye),
    (9, "RADIAL_FISHEYE", ONE, (0.05, -0.02), _fisheye),
    (10, "THIN_PRISM_FISHEYE", TWO, (0.05, -0.02, 0.01, -0.02, 0.01, 0.002, 0.01, -0.005), _thin_prism),
    (14, "SIMPLE_FISHEYE", ONE, (), _fisheye),
    (15, "FISHEYE", TWO, (), _fisheye),
]


def write_colmap(folder, cameras, model, name, parameters, binary):
    folder.mkdir(parents=True)
    quaternions = [Rotation.from_matrix(camera.R).as_quat(scalar_first=True) for camera in cameras]
    points = np.random.default_rng(0).normal(size=(40, 3)) * 0.1
    if not binary:
        (folder / "cameras.txt").write_text(
            f"# CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]\n7 {name} {WIDTH} {HEIGHT} {' '.join(map(repr, parameters))}\n"
        )
        lines = ["# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME"]
        for index, (camera, q) in enumerate(zip(cameras, quaternions)):
            lines.append(" ".join(map(str, [index + 1, *map(float, (*q, *camera.t)), 7, camera.name])))
            lines.append("" if index % 2 else "1.5 2.5 -1 3.5 4.5 12")
        (folder / "images.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / "points3D.txt").write_text(
            "".join(f"{i} {p[0]} {p[1]} {p[2]} 1 2 3 0.5 1 0 2 0\n" for i, p in enumerate(points))
        )
        return
    (folder / "cameras.bin").write_bytes(
        struct.pack("<QiiQQ", 1, 7, model, WIDTH, HEIGHT) + struct.pack(f"<{len(parameters)}d", *parameters)
    )
    data = struct.pack("<Q", len(cameras))
    for index, (camera, q) in enumerate(zip(cameras, quaternions)):
        data += struct.pack("<I7dI", index + 1, *q, *camera.t, 7) + camera.name.encode() + b"\0"
        data += struct.pack("<Q", 2) + struct.pack("<ddqddq", 1.5, 2.5, -1, 3.5, 4.5, 12)
    (folder / "images.bin").write_bytes(data)
    data = struct.pack("<Q", len(points))
    for index, point in enumerate(points):
        data += struct.pack("<Q3d3BdQ4i", index, *point, 1, 2, 3, 0.5, 2, 1, 0, 2, 0)
    (folder / "points3D.bin").write_bytes(data)


@pytest.mark.parametrize(("model", "name", "pinhole_part", "bends", "bend"), COLMAP, ids=[case[1] for case in COLMAP])
def test_colmap(tmp_path, model, name, pinhole_part, bends, bend):
    cameras, up = rig(level=False, names="Küche links/view {}.exr")
    fy = FY if len(pinhole_part) == 4 else FX

    def project(x, y):
        x, y = bend(*bends)(x, y)
        return FX * x + CX, fy * y + CY

    binary = model % 2 == 0
    pixels = charts(tmp_path, cameras, project)
    write_colmap(tmp_path / "sparse/0", cameras, model, name, (*pinhole_part, *bends), binary)
    capture, *_ = check(tmp_path, pixels, up)
    assert capture.points is not None and capture.points.shape == (40, 3)
    if model == 4:  # the other kind of file says the same
        write_colmap(tmp_path / "text/sparse", cameras, model, name, (*pinhole_part, *bends), binary=False)
        (tmp_path / "text/images").symlink_to(tmp_path / "images")
        other = read_capture(tmp_path / "text")
        for one, two in zip(capture.images, other.images):
            np.testing.assert_allclose(one.camera_to_world, two.camera_to_world, atol=1e-9)
        np.testing.assert_allclose(capture.points, other.points, atol=1e-9)


def test_neus(tmp_path):
    cameras, up = rig(level=False, names="{:03d}.exr")
    K = np.array([[FX, 1.5, CX], [0, FY, CY], [0, 0, 1.0]])  # with skew; pixels' centres at whole numbers
    scale = np.diag([1.7, 1.7, 1.7, 1.0])
    scale[:3, 3] = 0.02, -0.03, 0.01
    matrices = {}
    for index, camera in enumerate(cameras):
        world = np.eye(4)
        world[:3] = -2.0 * K @ np.column_stack([camera.R, camera.t])  # a projection's scale and sign are free
        matrices |= {f"world_mat_{index}": world, f"scale_mat_{index}": scale}
    np.savez(tmp_path / "cameras_sphere.npz", **matrices)
    pixels = charts(tmp_path, cameras, lambda x, y: (FX * x + 1.5 * y + CX + 0.5, FY * y + CY + 0.5), "image")
    capture, *_ = check(tmp_path, pixels, up)
    np.testing.assert_allclose((capture.from_source @ scale @ [0, 0, 0, 1])[:3], 0, atol=1e-9)


def test_middlebury(tmp_path):
    cameras, up = rig(level=False, names="templeR{:04d}.exr")
    K = [FX, 0, CX, 0, FY, CY, 0, 0, 1]
    rows = [" ".join([c.name, *map(repr, map(float, (*K, *c.R.ravel(), *c.t)))]) for c in cameras]
    (tmp_path / "templeR_par.txt").write_text("\n".join([str(len(rows)), *rows]) + "\n")
    check(tmp_path, charts(tmp_path, cameras, lambda x, y: (FX * x + CX + 0.5, FY * y + CY + 0.5), "."), up)


@pytest.mark.parametrize(
    ("version", "model", "bends", "bend"),
    [
        (["1", "2", "0"], "radial3", (-0.2, 0.05, 0.01), _radial),
        (
            ["1", "2", "11"],
            "brown",
            (-0.2, 0.05, 0.01, 0.01, -0.02),
            lambda a, b, c, d, e: _full(a, b, d, e, c, 0, 0, 0),
        ),
        (["1", "2", "11"], "fisheye4", (0.05, -0.02, 0.01, 0.003), _fisheye),
    ],
)
def test_meshroom(tmp_path, version, model, bends, bend):
    cameras, up = rig(level=False)
    newer = version[2] != "0"
    middle = (WIDTH / 2, HEIGHT / 2) if newer else (0.0, 0.0)
    intrinsic = {
        "intrinsicId": "5", "width": str(WIDTH), "height": str(HEIGHT), "type": model,
        "principalPoint": [str(CX - middle[0]), str(CY - middle[1])], "distortionParams": [str(k) for k in bends],
    }  # fmt: skip
    sensor = 23.5
    intrinsic |= (
        {"focalLength": str(FX * sensor / WIDTH), "sensorWidth": str(sensor)} if newer else {"pxFocalLength": str(FX)}
    )
    views, poses = [], []
    for index, camera in enumerate(cameras):
        views.append(
            {"viewId": str(index), "poseId": str(90 + index), "intrinsicId": "5", "path": f"D:\\fotos\\{camera.name}"}
        )
        transform = {
            "rotation": [repr(float(v)) for v in camera.R.ravel(order="F")],
            "center": [repr(float(v)) for v in camera.position],
        }
        poses.append({"poseId": str(90 + index), "pose": {"transform": transform, "locked": "0"}})
    views.append({"viewId": "77", "poseId": "77", "intrinsicId": "5", "path": "D:\\fotos\\lost.exr"})
    content = {"version": version, "views": views, "intrinsics": [intrinsic], "poses": poses}
    (tmp_path / "cameras.sfm").write_text(json.dumps(content))

    def project(x, y):
        x, y = bend(*bends)(x, y)
        return FX * x + CX + 0.5, FX * y + CY + 0.5

    capture, *_ = check(tmp_path, charts(tmp_path, cameras, project), up)
    assert any("lost.exr" in warning for warning in capture.warnings)


def metashape_xml(cameras, sensor_type, given, world=None):
    """An export as Metashape 2 writes it; `world` is scale, turn, shift from chunk to world."""
    scale, turn, shift = world or (1.0, np.eye(3), np.zeros(3))
    entries = []
    for index, camera in enumerate(cameras):
        local = np.eye(4)  # camera to chunk, OpenCV's axes
        local[:3, :3] = turn.T @ camera.R.T
        local[:3, 3] = turn.T @ (camera.position - shift) / scale
        text = " ".join(repr(float(value)) for value in local.ravel())
        label = camera.name.rsplit(".", 1)[0]
        entries.append(
            f'<camera id="{index}" sensor_id="0" component_id="0" label="{label}"><transform>{text}</transform></camera>'
        )
    numbers = "".join(f"<{key}>{value!r}</{key}>" for key, value in given.items())
    text = " ".join(repr(float(value)) for value in turn.ravel())
    place = " ".join(repr(float(value)) for value in shift)
    component = f"<rotation>{text}</rotation><translation>{place}</translation><scale>{scale!r}</scale>"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><document version="2.0.0"><chunk label="Chunk 1" enabled="true"><sensors>'
        f'<sensor id="0" type="{sensor_type}"><resolution width="{WIDTH}" height="{HEIGHT}"/>'
        f'<calibration type="{sensor_type}" class="adjusted"><resolution width="{WIDTH}" height="{HEIGHT}"/>{numbers}'
        f'</calibration></sensor></sensors><components><component id="0" label="Component 1"><transform>'
        f"{component if world else ''}</transform></component></components><cameras>"
        f'<group id="0" label="a">{"".join(entries)}</group><camera id="99" sensor_id="0" label="adrift"/></cameras></chunk></document>'
    )


@pytest.mark.parametrize("sensor_type", ["frame", "fisheye"])
@pytest.mark.parametrize("placed", [True, False])
def test_metashape(tmp_path, sensor_type, placed):
    cameras, up = rig(level=placed)
    given = {
        "f": FX,
        "cx": 1.5,
        "cy": -2.0,
        "b1": 0.7,
        "b2": -1.2,
        "k1": -0.1,
        "k2": 0.03,
        "k3": -0.01,
        "k4": 0.002,
        "p1": 0.01,
        "p2": -0.02,
    }
    world = (
        (3.0, Rotation.from_euler("xyz", [0.4, 1.0, -0.3]).as_matrix(), np.array([0.3, 0.1, -0.4])) if placed else None
    )
    (tmp_path / "Ausrichtung.xml").write_text(metashape_xml(cameras, sensor_type, given, world))

    def project(x, y):
        if sensor_type == "fisheye":
            r = np.hypot(x, y)
            x, y = x * np.arctan(r) / r, y * np.arctan(r) / r
        r2 = x * x + y * y
        radial = 1 + given["k1"] * r2 + given["k2"] * r2**2 + given["k3"] * r2**3 + given["k4"] * r2**4
        p1, p2 = given["p1"], given["p2"]
        across = x * radial + p1 * (r2 + 2 * x * x) + 2 * p2 * x * y
        down = y * radial + p2 * (r2 + 2 * y * y) + 2 * p1 * x * y
        return WIDTH / 2 + given["cx"] + across * FX + across * given["b1"] + down * given["b2"], HEIGHT / 2 + given[
            "cy"
        ] + down * FX

    pixels = charts(tmp_path, cameras, project)
    labelled = {name.rsplit(".", 1)[0]: pixel for name, pixel in pixels.items()}
    capture = read_capture(tmp_path)
    assert any("adrift" in warning for warning in capture.warnings)
    if placed:  # cameras come out in the world, points of the tests are given there
        capture = replace(capture, from_source=np.eye(4))
        assert projection_error(capture, labelled) < 1e-3 and read_error(capture) < 0.01
        assert projection_error(capture, labelled, mistake="transposed") > 1.0
    else:
        check(tmp_path, labelled, up)


BROWN = (-0.1, 0.03, 0.01, 0.0, 0.01, -0.02)  # k1 k2 k3 k4 t1 t2


def reality_pixel(x, y):
    k1, k2, k3, _, t1, t2 = BROWN
    x, y = _full(k1, k2, t1, t2, k3, 0, 0, 0)(x, y)
    return FX * x + WIDTH / 2 + 1.5, FX * y + HEIGHT / 2 - 2.0


def test_reality_capture_csv(tmp_path):
    cameras, _ = rig()
    rows = ["#name,x,y,alt,heading,pitch,roll,f,px,py,k1,k2,k3,k4,t1,t2"]
    for camera in cameras:
        turn = camera.R.T @ np.diag([1.0, -1.0, -1.0])  # looks down -Z, +Y up
        # the angles one by one: pitch lifts the view from straight down, heading turns clockwise from north
        pitch = np.arcsin(turn[2, 1])
        roll = np.arctan2(-turn[2, 0], turn[2, 2])
        heading = np.arctan2(turn[0, 1], turn[1, 1])
        angles = np.degrees([heading, pitch, roll])
        principal = (1.5 * 36 / WIDTH, -2.0 * 36 / WIDTH)
        rows.append(
            ",".join(
                [camera.name, *map(repr, map(float, (*camera.position, *angles, FX * 36 / WIDTH, *principal, *BROWN)))]
            )
        )
    (tmp_path / "registration.csv").write_text("\n".join(rows) + "\n")
    check(tmp_path, charts(tmp_path, cameras, reality_pixel), np.array([0, 0, 1.0]))


def test_reality_capture_xmp(tmp_path):
    cameras, _ = rig()
    pixels = charts(tmp_path, cameras, reality_pixel)
    for camera in cameras:
        turn, place, bends = (
            " ".join(repr(float(v)) for v in values) for values in (camera.R.ravel(), camera.position, BROWN)
        )
        (tmp_path / "images" / camera.name).with_suffix(".xmp").write_text(
            '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
            '<rdf:Description xmlns:xcr="http://www.capturingreality.com/ns/xcr/1.1#" xcr:Version="3" xcr:PosePrior="locked" '
            f'xcr:DistortionModel="brown3t2" xcr:FocalLength35mm="{FX * 36 / WIDTH!r}" xcr:PrincipalPointU="{1.5 / WIDTH!r}" '
            f'xcr:PrincipalPointV="{-2.0 / WIDTH!r}"><xcr:Rotation>{turn}</xcr:Rotation><xcr:Position>{place}</xcr:Position>'
            f"<xcr:DistortionCoeficients>{bends}</xcr:DistortionCoeficients></rdf:Description></rdf:RDF></x:xmpmeta>"
        )
    check(tmp_path, {name.rsplit(".", 1)[0]: pixel for name, pixel in pixels.items()}, np.array([0, 0, 1.0]))


def test_instant_ngp_fisheye(tmp_path):
    cameras, _ = rig()
    bends = (0.05, -0.02, 0.01, 0.003)
    frames = []
    for camera in cameras:
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = camera.R.T @ np.diag([1.0, -1.0, -1.0]), camera.position
        frames.append({"file_path": f"images/{camera.name}", "transform_matrix": pose.tolist()})
    shared = {"fl_x": FX, "fl_y": FY, "cx": CX, "cy": CY, "w": WIDTH, "h": HEIGHT, "is_fisheye": True}
    (tmp_path / "transforms.json").write_text(
        json.dumps({**shared, **dict(zip(("k1", "k2", "k3", "k4"), bends)), "frames": frames})
    )

    def project(x, y):
        return pinhole(*_fisheye(*bends)(x, y))

    pixels = charts(tmp_path, cameras, project)
    check(tmp_path, {f"images/{name}": pixel for name, pixel in pixels.items()}, np.array([0, 0, 1.0]))
