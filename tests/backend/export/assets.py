"""A small asset the export's tests share."""

import numpy as np
import torch

from backend.bake.flat_charts import flat_charts
from backend.dataset.views import Cameras, Similarity, Views
from backend.export.asset import Asset
from backend.geometry.mesh import Mesh
from backend.geometry.normals import vertex_normals
from backend.material.channels import MaterialMaps

SIMILARITY = Similarity((10.0, -4.0, 2.5), 0.25)
SIZE = 32


def mesh():
    """A brick, 1 x 0.5 x 0.25, in the normalised box; corners in the order of the bits of their number (x, y, z)."""
    corners = torch.tensor([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)], dtype=torch.float32) * 2 - 1
    vertices = corners * torch.tensor([1.0, 0.5, 0.25])
    quads = [(0, 4, 6, 2), (1, 3, 7, 5), (0, 1, 5, 4), (2, 6, 7, 3), (0, 2, 3, 1), (4, 5, 7, 6)]
    faces = torch.tensor([f for a, b, c, d in quads for f in ((a, b, c), (a, c, d))], dtype=torch.int32)
    uvs, uv_faces, _ = flat_charts(vertices.numpy(), faces.numpy(), SIZE, 2)
    return Mesh(vertices, faces, torch.from_numpy(uvs), torch.from_numpy(uv_faces))


def asset():
    brick = mesh()
    generator = torch.Generator().manual_seed(0)
    color, roughness, metallic = (torch.rand(SIZE, SIZE, n, generator=generator) for n in (3, 1, 1))
    normal = torch.tensor([0.6, 0.0, 0.8]).expand(SIZE, SIZE, 3)
    environment = torch.rand(8, 16, 3, generator=generator)
    environment[1, 3] = torch.tensor([200.0, 100.0, 50.0])
    maps = MaterialMaps(color, roughness, metallic, normal)
    return Asset(brick, vertex_normals(brick.vertices, brick.faces), maps, environment)


def views(names=("a.png", "b.png")):
    """Two cameras that look at the origin, in the normalised box."""
    poses = torch.eye(4).repeat(2, 1, 1)
    poses[0, :3, 3] = torch.tensor([0.0, 0.0, 3.0])
    poses[1, :3, :3] = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    poses[1, :3, 3] = torch.tensor([4.0, 0.1, 0.0])
    intrinsics = torch.tensor([[300.0, 310.0, 60.0, 50.0], [200.0, 200.0, 64.0, 48.0]])
    cameras = Cameras(poses, intrinsics, torch.tensor([[96, 128], [90, 120]]))
    return Views(tuple(names), cameras, torch.zeros(2, 96, 128, 4))


def corner_table(positions, normals, uvs):
    """[T, 3, 3], [T, 3, 3], [T, 3, 2] -> rows of all corners, triangle by triangle, for comparing two files."""
    return np.concatenate([positions, normals, uvs], axis=2).reshape(-1, 8)
