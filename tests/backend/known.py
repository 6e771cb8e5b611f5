"""Things whose shape, paint and light are known, and cameras worked out by hand."""

import itertools
import math

import torch

from backend.dataset.mesh_file import SurfaceMaps, TexturedMesh
from backend.dataset.views import Cameras
from backend.engines.adjacency import edge_adjacency
from backend.geometry.normals import vertex_normals
from backend.light.environment import EnvironmentLight
from backend.light.latlong import direction_of_pixel
from backend.material.channels import MaterialSample
from backend.render.renderer import Surface
from backend.render.synthetic import reference_dataset

TEXELS = 64
SIDES = (1.0, 0.6, 0.8)  # of the box, in half lengths


def cube_sphere(cells=8, sides=SIDES, round_off=False):
    """A closed box of 6 x cells x cells quads, or the ellipsoid blown up from it; (vertices, faces, uvs, uv_faces).

    Texture coordinates: side k of the box fills the middle of part (k % 3, k // 3) of a sheet of 3 x 2 parts.
    """
    line = torch.linspace(-1.0, 1.0, cells + 1)
    across, down = (values.flatten() for values in torch.meshgrid(line, line, indexing="xy"))
    corners, uvs, quads = [], [], []
    number = torch.arange((cells + 1) ** 2).view(cells + 1, cells + 1)
    first = torch.stack((number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]), -1).view(-1, 4)
    for side, (axis, sign) in enumerate(itertools.product(range(3), (1.0, -1.0))):
        points = torch.empty(len(across), 3)
        points[:, axis] = sign
        points[:, (axis + 1) % 3], points[:, (axis + 2) % 3] = sign * across, -down  # seen from outside
        corners.append(points)
        place = torch.tensor([side % 3, side // 3])
        inside = 0.5 + 0.42 * torch.stack((across, down), -1)
        uvs.append((place + inside) / torch.tensor([3.0, 2.0]))
        quads.append(first + side * len(across))
    points, quads = torch.cat(corners), torch.cat(quads)
    vertices, weld = points.unique(dim=0, return_inverse=True)
    if round_off:
        vertices = torch.nn.functional.normalize(torch.tan(vertices * math.pi / 4), dim=-1)
    triangles = torch.cat((quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]))
    return vertices * torch.tensor(sides), weld[triangles].int(), torch.cat(uvs), triangles.int()


def paint(size=TEXELS, waves=2.0):
    """[size, size, 3] base colour: smooth waves, different in each channel."""
    line = (torch.arange(size) + 0.5) / size
    u, v = line[None, :, None], line[:, None, None]
    phase = torch.tensor([0.0, 2.0, 4.0])
    return 0.45 + 0.3 * torch.sin(2 * math.pi * waves * u + phase) * torch.cos(2 * math.pi * waves * v + 2.0 * phase)


def asset(sides=SIDES, round_off=False, cells=8):
    """A painted dielectric."""
    vertices, faces, uvs, uv_faces = cube_sphere(cells, sides, round_off)
    maps = SurfaceMaps(paint(), torch.full((1, 1, 1), 0.7), torch.zeros(1, 1, 1))
    return TexturedMesh(vertices, faces, uvs, uv_faces, None, None, maps)


def sky(height=16):
    """[height, 2 height, 3] equirectangular picture: brighter above, warmer towards +X."""
    direction = direction_of_pixel(height, "cpu")
    return 0.9 + 0.5 * direction[..., 2:] + 0.3 * direction[..., :1] * torch.tensor([1.0, 0.0, -1.0])


def skylight():
    """The light of that sky."""
    return EnvironmentLight.from_latlong(sky(), 16)


def ball_views(renderer, resolution=48, count=12):
    """(asset, light, dataset) of a painted ball."""
    return _views(renderer, asset((1.0, 1.0, 1.0), round_off=True), resolution, count)


def box_views(renderer, resolution=48, count=12, light=None):
    """(asset, light, dataset) of a painted box, under that sky or another light."""
    return _views(renderer, asset(), resolution, count, light)


def polished_views(renderer, resolution=48, count=12):
    """(asset, light, dataset) of an uneven ball of polished metal (roughness 0.2) in a dark room with two windows."""
    vertices, faces, uvs, uv_faces = cube_sphere(16, (1.0, 0.7, 0.9), round_off=True)
    dents = 1.0 + 0.1 * torch.sin(4.0 * vertices[:, :1]) * torch.sin(5.0 * vertices[:, 1:2] + 1.0)
    maps = SurfaceMaps(paint(), torch.full((1, 1, 1), 0.2), torch.ones(1, 1, 1))
    direction = direction_of_pixel(32, "cpu")
    windows = (direction @ torch.tensor([0.6, 0.5, 0.62]) > 0.9) | (direction @ torch.tensor([-0.7, 0.3, 0.64]) > 0.95)
    light = EnvironmentLight.from_latlong(0.08 + 3.0 * windows[..., None].float().expand(-1, -1, 3), 32)
    return _views(
        renderer, TexturedMesh(vertices * dents, faces, uvs, uv_faces, None, None, maps), resolution, count, light
    )


def _views(renderer, thing, resolution, count, light=None):
    light = light or skylight()
    with torch.no_grad():
        return thing, light, reference_dataset(renderer, thing, light, resolution, count)


def camera_on_minus_y(distance, focal, centre, size):
    """One camera at (0, -distance, 0) that looks along +Y: right is +X, up is +Z; focal and centre are (x, y), size (h, w)."""
    pose = torch.tensor([[1.0, 0, 0, 0], [0, 0, -1, -distance], [0, 1, 0, 0], [0, 0, 0, 1]])
    return Cameras(pose[None], torch.tensor([[*focal, *centre]]), torch.tensor([size]))


def bare_surface(vertices, faces):
    """What the renderer draws of a mesh without texture coordinates."""
    return Surface(vertices, faces, vertex_normals(vertices, faces), edge_adjacency(faces))


def plain(color=(0.7, 0.5, 0.3), roughness=1.0):
    """A material that is the same everywhere."""

    def material(pixels):
        ones = torch.ones_like(pixels.position[:, :1])
        return MaterialSample(ones * torch.tensor(color), ones * roughness, ones * 0.0)

    return material


def positional(pixels):
    """A material that changes smoothly with the position."""
    color = 0.5 + 0.3 * torch.sin(3.0 * pixels.position.roll(1, -1) + torch.tensor([0.0, 1.0, 2.0]))
    ones = torch.ones_like(color[:, :1])
    return MaterialSample(color, ones * 0.8, ones * 0.0)
