"""Meshes the bake's tests share."""

import numpy as np
import torch
from scipy.spatial import ConvexHull

from backend.geometry.mesh import Mesh


def as_mesh(vertices, faces):
    return Mesh(torch.as_tensor(vertices, dtype=torch.float32), torch.as_tensor(faces, dtype=torch.int32))


def ball(count=400, bump=0.1):
    """A bumpy ball of about 2 * count triangles, counter-clockwise from outside."""
    i = np.arange(count) + 0.5
    polar, around = np.arccos(1 - 2 * i / count), np.pi * (1 + 5**0.5) * i
    points = np.stack([np.cos(around) * np.sin(polar), np.sin(around) * np.sin(polar), np.cos(polar)], 1)
    faces = ConvexHull(points).simplices
    a, b, c = points[faces].transpose(1, 0, 2)
    inward = (np.cross(b - a, c - a) * a).sum(1) < 0
    faces[inward] = faces[inward][:, ::-1]
    radius = 1 + bump * np.sin(9 * points[:, 0]) * np.cos(7 * points[:, 1] + 1)
    return as_mesh(points * radius[:, None], faces)


def noisy(count=1500, noise=0.03, needles=12, seed=0):
    """A ball as a short fit leaves it: bumps the size of its edges, and needles without area where triangles were collapsed."""
    mesh = ball(count)
    random = np.random.default_rng(seed)
    points = mesh.vertices.numpy() + random.normal(size=(count, 3)) * noise
    faces = mesh.faces.numpy()
    for t in random.choice(len(faces), needles, replace=False):
        a, b = faces[t, :2]
        other = next(i for i in range(len(faces)) if i != t and {a, b} <= set(faces[i].tolist()))
        d = next(iter(set(faces[other].tolist()) - {a, b}))
        points = np.concatenate([points, [points[a]]])  # the edge a-b opens into two triangles with a new tip on a
        n = len(points) - 1
        faces = np.concatenate([np.delete(faces, other, 0), [[b, a, n], [n, a, d], [b, n, d]]])
    return as_mesh(points, faces)


def soup(count=300, seed=0):
    """Triangles that share nothing and cut through each other."""
    corners = np.random.default_rng(seed).normal(size=(count * 3, 3))
    return as_mesh(corners, np.arange(count * 3).reshape(-1, 3))


def spiral_ramp(turns=3, steps=24):
    """One connected strip that passes over itself: seen from above it overlaps, though it looks up everywhere."""
    angle = np.linspace(0, 2 * np.pi * turns, turns * steps)
    inner = np.stack([np.cos(angle), np.sin(angle), 0.05 * angle], 1)
    outer = inner * (2, 2, 1)
    n = len(angle)
    i = np.arange(n - 1)
    faces = np.concatenate([np.stack([i, i + n, i + n + 1], 1), np.stack([i, i + n + 1, i + 1], 1)])
    return as_mesh(np.concatenate([inner, outer]), faces)


def corners_in_texture(mesh):
    return mesh.uvs[mesh.uv_faces.long()].numpy()


def signed_areas(corners):
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return (first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]) / 2
