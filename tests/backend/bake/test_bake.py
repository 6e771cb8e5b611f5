import pytest
import torch
from solids import ball, corners_in_texture

from backend.bake.coverage import texel_coverage
from backend.bake.padding import dilate
from backend.bake.texels import nearest_weights, texel_surface
from backend.bake.textures import bake, finish_maps
from backend.bake.unwrap import unwrap
from backend.engines.select import select_engine
from backend.material.channels import MaterialMaps

SIZE = 128


@pytest.fixture(scope="module")
def engine():
    return select_engine("builtin", torch.device("cpu"), 1)


@pytest.fixture(scope="module", params=[60.0, 0.01], ids=["xatlas", "flat"])
def mesh(request):
    return unwrap(ball(), SIZE, padding=2, seconds=request.param).mesh


def surface_points(mesh, rounds=20):
    """Random points, corners and edges included: (uv, position)."""
    generator = torch.Generator().manual_seed(1)
    triangles = torch.arange(mesh.faces.shape[0]).repeat(rounds)
    weights = torch.rand(len(triangles), 3, generator=generator).square()
    weights[: 3 * mesh.faces.shape[0]] = torch.eye(3).repeat_interleave(mesh.faces.shape[0], 0)
    weights = (weights / weights.sum(1, keepdim=True))[..., None]
    uv = (mesh.uvs[mesh.uv_faces.long()[triangles]] * weights).sum(1)
    return uv, (mesh.vertices[mesh.faces.long()[triangles]] * weights).sum(1)


def test_every_bilinear_lookup_on_the_surface_reads_surface(engine, mesh):
    """Texels that no lookup may touch are poisoned: what is left has the constant everywhere, without any dilation."""
    texels = texel_surface(engine, mesh, SIZE)
    texture = torch.full((SIZE, SIZE, 1), 1e6)
    texture[texels.mask()] = 0.25
    uv, _ = surface_points(mesh)
    assert torch.allclose(engine.texture_2d(texture, uv), torch.tensor(0.25), atol=1e-6)


def test_a_baked_position_is_the_point_itself(engine, mesh):
    """Bilinear filtering is exact for what is linear inside a triangle; beside a seam it errs by about a texel."""
    uv, position = surface_points(mesh)
    texture = bake(lambda points: points, texel_surface(engine, mesh, SIZE), batch=1000)
    error = (engine.texture_2d(texture, uv) - position).norm(dim=1)
    area = texel_coverage(corners_in_texture(mesh), SIZE).share
    texel = (4 * torch.pi / (area * SIZE**2)) ** 0.5
    assert error.quantile(0.99) < texel
    assert error.mean() < 0.1 * texel


def test_texels_agree_with_the_scanline_count(engine, mesh):
    texels = texel_surface(engine, mesh, SIZE)
    counted = torch.from_numpy(texel_coverage(corners_in_texture(mesh), SIZE).counts > 0)
    assert (texels.mask() | ~counted).all()
    assert len(texels.pixel.unique()) == len(texels)
    assert torch.allclose(texels.barycentric.sum(1), torch.ones(len(texels)))
    assert texels.barycentric.min() >= 0
    values = torch.rand(len(texels), 2)
    assert torch.equal(texels.gather(texels.scatter(values)), values)


def test_nearest_weights_by_hand():
    triangle = torch.tensor([[[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]]], dtype=torch.float64).expand(5, 3, 2)
    points = torch.tensor([[0.5, 0.5], [1.0, -3.0], [5.0, 5.0], [-1.0, -1.0], [3.0, -0.5]], dtype=torch.float64)
    expected = [[0.5, 0.25, 0.25], [0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    assert torch.allclose(nearest_weights(triangle, points), torch.tensor(expected, dtype=torch.float64))
    needle = torch.tensor([[[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]], dtype=torch.float64)
    weights = nearest_weights(needle, torch.tensor([[1.5, 1.5]], dtype=torch.float64))
    assert torch.allclose((weights[..., None] * needle).sum(1), torch.tensor([[1.5, 1.5]], dtype=torch.float64))


def test_dilation_takes_the_nearest_value():
    texture = torch.zeros(4, 6, 1)
    filled = torch.zeros(4, 6, dtype=torch.bool)
    texture[1, 0], texture[2, 5] = 3.0, 7.0
    filled[1, 0] = filled[2, 5] = True
    padded = dilate(texture, filled)[..., 0]
    assert padded[:, :2].eq(3.0).all()
    assert padded[:, 4:].eq(7.0).all()
    assert torch.equal(dilate(texture, torch.zeros_like(filled)), texture)


def test_finished_maps_have_no_background_left(engine, mesh):
    """Whatever was in the background, and in what nobody saw, is gone; what was seen is kept bit for bit."""
    texels = texel_surface(engine, mesh, SIZE)
    seen = texels.positions[:, 0] > -0.3
    poison = torch.full((SIZE, SIZE, 8), 0.9)
    good = torch.tensor([0.2, 0.4, 0.6, 0.5, 0.1, 0.6, 0.0, 0.8])
    poison.view(-1, 8)[texels.pixel[seen]] = good
    finished = finish_maps(MaterialMaps(*poison.split([3, 1, 1, 3], -1)), mesh, texels, seen)
    for values, value in zip((finished.base_color, finished.roughness, finished.metallic), good[:5].split([3, 1, 1])):
        assert torch.allclose(values, value.expand_as(values), atol=1e-6)
    assert torch.equal(texels.gather(finished.base_color)[seen], good[:3].expand(int(seen.sum()), 3))
    assert torch.allclose(texels.gather(finished.normal)[seen], good[5:], atol=1e-6)
    assert torch.allclose(texels.gather(finished.normal)[~seen], torch.tensor([0.0, 0.0, 1.0]))


def test_a_texture_of_another_size_is_refused(engine, mesh):
    texels = texel_surface(engine, mesh, SIZE)
    with pytest.raises(ValueError, match="expected 128 x 128"):
        texels.gather(torch.zeros(64, 256, 3))
