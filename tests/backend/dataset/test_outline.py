"""The first mesh: a surface of a grid, and of what silhouettes have in common."""

from types import SimpleNamespace

import numpy as np
import pytest

from backend.dataset.outline import outline
from backend.dataset.surface_nets import surface_nets

CENTRE, RADIUS = np.array([3.0, -2.0, 1.0]), 0.7


def volume(vertices, faces):
    a, b, c = (vertices[faces[:, corner]].astype(float) for corner in range(3))
    return np.einsum("ij,ij->", a, np.cross(b, c)) / 6  # positive where triangles face outwards


def is_closed(faces):
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    forth, back = ({tuple(edge) for edge in edges.tolist()} for edges in (directed, directed[:, ::-1]))
    return forth == back and len(forth) == len(directed)


def test_surface_nets_of_a_ball_are_closed_face_outwards_and_lie_where_the_level_is():
    axis = np.linspace(-1.5, 1.5, 31)
    distance = np.linalg.norm(np.stack(np.meshgrid(axis, axis + 0.1, axis - 0.2, indexing="ij")), axis=0)
    vertices, faces = surface_nets(1.0 - distance, 0.0)
    places = vertices * 0.1 - 1.5 + np.array([0.0, 0.1, -0.2])
    assert is_closed(faces)
    assert np.abs(np.linalg.norm(places, axis=1) - 1.0).max() < 0.01
    assert volume(places, faces) == pytest.approx(4 / 3 * np.pi, rel=0.02)  # chords lie within the ball


def test_a_surface_that_leaves_the_grid_is_closed_at_its_border():
    vertices, faces = surface_nets(np.ones((3, 4, 5)), 0.5)
    assert is_closed(faces) and volume(vertices, faces) > 2 * 3 * 4


def ball_views(count=24, side=96):
    """Cameras all around a ball that is far from the world's origin, and what they see of it."""
    posed, frames = [], []
    rows, columns = np.mgrid[:side, : side + 32] + 0.5
    for number in range(count):
        height = 1 - 2 * (number + 0.5) / count
        angle = 2.4 * number
        back = np.array([np.sqrt(1 - height**2) * np.cos(angle), np.sqrt(1 - height**2) * np.sin(angle), height])
        right = np.cross([0.0, 0.0, 1.0], back)
        right /= np.linalg.norm(right)
        pose = np.eye(4)
        pose[:3, :3] = np.stack([right, np.cross(back, right), back], 1)
        pose[:3, 3] = CENTRE + 3.0 * back
        focal = 1.4 * side
        rays = np.stack([(columns - 56) / focal, (44 - rows) / focal, -np.ones_like(rows)])
        rays /= np.linalg.norm(rays, axis=0)
        rgba = np.zeros((side, side + 32, 4), np.float16)
        rgba[..., 3] = 9.0 * rays[2] ** 2 > 9.0 - RADIUS**2  # the ray passes the ball's middle nearer than its radius
        posed.append(SimpleNamespace(camera_to_world=pose))
        frames.append(SimpleNamespace(rgba=rgba, intrinsics=(focal, focal, 56.0, 44.0)))
    return posed, frames


@pytest.mark.parametrize("wrong", [0, 1])
def test_the_outline_of_a_ball_is_the_ball_even_where_one_mask_of_many_is_wrong(wrong):
    posed, frames = ball_views(40)
    for frame in frames[:wrong]:
        frame.rgba = np.roll(frame.rgba, 45, 1)
    found = outline(posed, frames)
    assert is_closed(found.faces)
    assert volume(found.vertices - CENTRE, found.faces) == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.12)
    assert np.abs(np.linalg.norm(found.vertices - CENTRE, axis=1) - RADIUS).max() < 0.12


def test_views_of_different_places_have_no_outline():
    posed, frames = ball_views()
    for number, image in enumerate(posed):
        image.camera_to_world[:3, 3] += [50.0 * number, 0.0, 0.0]
    assert outline(posed, frames) is None
    assert outline(posed[:1], frames[:1]) is None
