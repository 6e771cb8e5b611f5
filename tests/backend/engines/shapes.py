"""Meshes and cameras the engines' tests share."""

import itertools
import math

import pytest
import torch

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
]


def icosphere(level, scale=(1.0, 0.8, 0.6)):
    """An ellipsoid of 20 * 4^level triangles: vertices [V, 3] float64, faces [T, 3] int32."""
    golden = (1 + math.sqrt(5)) / 2
    corners = [p for a, b in itertools.product((-1, 1), (-golden, golden)) for p in ((a, b, 0), (0, a, b), (b, 0, a))]
    vertices = torch.nn.functional.normalize(torch.tensor(corners, dtype=torch.float64), dim=1)
    faces = []
    for i, j, k in itertools.combinations(range(12), 3):
        p = vertices[[i, j, k]]
        if (p - p.roll(1, 0)).norm(dim=1).max() < 1.1:
            faces.append([i, j, k] if torch.linalg.det(p) > 0 else [i, k, j])
    faces = torch.tensor(faces)
    for _ in range(level):
        edges = torch.cat((faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]])).sort(1).values
        unique, inverse = edges.unique(dim=0, return_inverse=True)
        ab, bc, ca = (inverse + len(vertices)).view(3, -1)
        a, b, c = faces.unbind(1)
        faces = torch.cat([torch.stack(f, 1) for f in ((a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca))])
        vertices = torch.cat((vertices, torch.nn.functional.normalize(vertices[unique].mean(1), dim=1)))
    return vertices * torch.tensor(scale, dtype=torch.float64), faces.int()


def box():
    """A box [-1, 1]^3 of 12 triangles."""
    vertices = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=3)), dtype=torch.float64)
    quads = torch.tensor([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    return vertices, torch.cat((quads[:, [0, 1, 2]], quads[:, [0, 2, 3]])).int()


def cameras(count, distance=3.0, fov=0.8, near=0.1, far=20.0):
    """World to clip [B, 4, 4] of cameras around the Z axis that look at the origin; y/w = -1 is the image's top."""
    matrices = []
    for k in range(count):
        around, up = 2 * math.pi * (k + 0.3) / count, 0.5 * math.sin(2.0 * k + 1.0)
        back = torch.tensor(
            [math.cos(around) * math.cos(up), math.sin(around) * math.cos(up), math.sin(up)], dtype=torch.float64
        )
        right = torch.nn.functional.normalize(
            torch.linalg.cross(torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64), back), dim=0
        )
        view = torch.eye(4, dtype=torch.float64)
        view[:3, :3] = torch.stack((right, torch.linalg.cross(back, right), back))
        view[2, 3] = -distance
        focal = 1 / math.tan(fov / 2)
        projection = torch.tensor(
            [
                [focal, 0, 0, 0],
                [0, -focal, 0, 0],
                [0, 0, -(far + near) / (far - near), -2 * far * near / (far - near)],
                [0, 0, -1, 0],
            ],
            dtype=torch.float64,
        )
        matrices.append(projection @ view)
    return torch.stack(matrices)


def clip(vertices, matrices):
    """[V, 3] x [B, 4, 4] -> [B, V, 4] in the vertices' precision."""
    points = torch.cat((vertices, torch.ones_like(vertices[:, :1])), 1)
    return points @ matrices.to(points).transpose(1, 2)


def close(actual, expected, tolerance):
    """Greatest difference within `tolerance` of the greatest expected value."""
    expected = expected.to(actual)
    assert actual.shape == expected.shape
    worst = (actual - expected).abs().max().item()
    scale = max(expected.abs().max().item(), 1e-6)
    assert worst <= tolerance * scale, f"differs by {worst:.3g} of {scale:.3g}"
