import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from solids import as_mesh, ball, corners_in_texture, noisy, signed_areas, soup, spiral_ramp

from backend.bake.coverage import texel_coverage
from backend.bake.unwrap import lay_on_edges, start_unwrap, unwrap

SIZE = 512


def test_coverage_by_hand():
    """Two triangles that split a square share no texel; a third over one corner is an overlap, and only with its like."""
    square = np.array([[[0, 0], [0.5, 0], [0.5, 0.5]], [[0, 0], [0.5, 0.5], [0, 0.5]]])
    halves = texel_coverage(square, 8)
    assert halves.counts.max() == 1
    assert halves.share == pytest.approx(12 / 64)  # the four centres on the diagonal belong strictly to neither
    third = np.array([[[0.3, 0.05], [0.9, 0.05], [0.3, 0.3]]])
    three = texel_coverage(np.concatenate([square, third]), 8)
    assert three.overlapping.tolist() == [True, False, True]


def check(unwrapped, mesh, size=SIZE):
    flat = corners_in_texture(unwrapped.mesh)
    assert flat.min() >= 0
    assert flat.max() <= 1
    coverage = texel_coverage(flat, size)
    assert coverage.counts.max() <= 1, "a texel belongs to two triangles"
    assert (signed_areas(flat) < 0).all(), "a chart is mirrored, or a triangle has no area"
    assert torch.equal(unwrapped.mesh.vertices, mesh.vertices)
    assert torch.equal(unwrapped.mesh.faces, mesh.faces)
    assert unwrapped.coverage == pytest.approx(coverage.share, abs=0.01)


def test_xatlas_charts_are_apart_and_unmirrored():
    mesh = ball()
    unwrapped = unwrap(mesh, SIZE, padding=4, seconds=60)
    assert unwrapped.method == "xatlas", unwrapped.reason
    assert unwrapped.coverage > 0.4
    check(unwrapped, mesh)


def test_noise_and_needles_leave_few_charts_and_no_overlap():
    unwrapped = unwrap(noisy(), SIZE, padding=2, seconds=60)
    assert unwrapped.method == "xatlas", unwrapped.reason
    assert texel_coverage(corners_in_texture(unwrapped.mesh), SIZE).overlap < 1e-3
    assert unwrapped.charts < 150
    assert unwrapped.coverage > 0.4


def test_a_lost_needle_lies_on_its_neighbours_edge():
    """Its tip is known in another chart at (0.9, 0.9); the needle must not be drawn across to there."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0.25, 0, 0], [0, -1, 0]], np.float32)
    faces = np.array([[0, 1, 2], [1, 0, 3], [4, 3, 0]], np.int32)
    uvs = np.array([[0.1, 0.1], [0.5, 0.1], [0.1, 0.5], [0.9, 0.9], [0.8, 0.9], [0.8, 0.8], [0, 0]], np.float32)
    uv_faces = np.array([[0, 1, 2], [6, 6, 6], [5, 3, 4]], np.int32)
    laid, index = lay_on_edges(uvs, uv_faces, vertices, faces, np.array([False, True, False]))
    assert laid[index[1]] == pytest.approx(np.array([[0.5, 0.1], [0.1, 0.1], [0.2, 0.1]]))
    assert (index[[0, 2]] == uv_faces[[0, 2]]).all()


def test_charts_stay_the_padding_apart():
    unwrapped = unwrap(ball(), SIZE, padding=8, seconds=60)
    assert unwrapped.method == "xatlas", unwrapped.reason
    assert least_gap(unwrapped.mesh, SIZE) >= 7


def least_gap(mesh, size):
    """Texels that lie between the closest two charts."""
    flat = corners_in_texture(mesh)
    index = mesh.uv_faces.long().numpy()
    links = coo_matrix(
        (np.ones(2 * len(index)), (index[:, [0, 1]].reshape(-1), index[:, [1, 2]].reshape(-1))), (len(mesh.uvs),) * 2
    )
    count, label = connected_components(links, directed=False)
    owner = np.zeros((size, size), np.int64)
    for chart in range(count):
        owner[texel_coverage(flat[label[index[:, 0]] == chart], size, shrink=-0.01).counts > 0] = chart + 1
    distance, (rows, columns) = ndimage.distance_transform_edt(owner == 0, return_indices=True)
    nearest = owner[rows, columns]
    across = np.where(nearest[:, 1:] != nearest[:, :-1], distance[:, 1:] + distance[:, :-1], np.inf)
    return across.min() - 1


@pytest.mark.parametrize("mesh", [ball(), soup(), spiral_ramp()], ids=["ball", "soup", "spiral"])
def test_a_time_limit_gives_flat_charts_which_are_as_valid(mesh):
    began = time.monotonic()
    unwrapped = unwrap(mesh, SIZE, padding=2, seconds=0.01)
    assert time.monotonic() - began < 10
    assert unwrapped.method == "fallback"
    assert "0.01 s" in unwrapped.reason
    check(unwrapped, mesh)


def test_flat_charts_of_a_noisy_surface_are_few():
    """A chart that covers itself is cut in two and does not fall apart; islands of a few faces join what is around them."""
    unwrapped = unwrap(noisy(needles=0), SIZE, padding=2, seconds=0.01)
    assert unwrapped.method == "fallback"
    assert unwrapped.charts < 100
    assert unwrapped.coverage > 0.3
    assert texel_coverage(corners_in_texture(unwrapped.mesh), SIZE).counts.max() <= 1


def test_more_triangles_than_texels_still_has_a_place_for_each():
    mesh = soup(2000)
    unwrapped = unwrap(mesh, 32, padding=4, seconds=0.01)
    check(unwrapped, mesh, 32)


def test_cancelling_ends_the_child_and_removes_its_files():
    job = start_unwrap(soup(3000), 2048, 4, 600)
    child, folder = job._child.pid, job._folder.name
    job.cancel()
    job.cancel()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    assert not Path(folder).exists()
    with pytest.raises(ValueError, match="cancelled"):
        job.result()


def test_what_cannot_be_unwrapped_is_refused():
    with pytest.raises(ValueError, match="no faces"):
        unwrap(as_mesh(np.zeros((3, 3)), np.zeros((0, 3))), SIZE, 4, 1)
    with pytest.raises(ValueError, match="not finite"):
        unwrap(as_mesh(np.full((3, 3), np.nan), [[0, 1, 2]]), SIZE, 4, 1)
