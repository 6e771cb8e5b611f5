import pytest
import torch

from backend.engines.hash_layout import hash_layout
from backend.engines.select import select_engine
from backend.material.channels import LEAST_ROUGHNESS, MaterialMaps, flat_normal, unit_normal
from backend.material.field import MaterialField
from backend.material.textures import CHANNELS, MaterialTextures

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def engine():
    return select_engine("builtin", CPU)


def some_maps(height=6, width=8):
    torch.manual_seed(0)
    color = torch.rand(height, width, 3)
    normal = unit_normal(torch.randn(height, width, 3) * 0.3 + torch.tensor([0.0, 0.0, 1.0]))
    return MaterialMaps(color, 0.1 + 0.9 * torch.rand(height, width, 1), torch.rand(height, width, 1), normal)


def test_texel_centres_read_back_each_channel(engine):
    maps = some_maps()
    textures = MaterialTextures(maps)
    rows, columns = torch.meshgrid(torch.arange(6), torch.arange(8), indexing="ij")
    uv = torch.stack(((columns + 0.5) / 8, (rows + 0.5) / 6), -1).reshape(-1, 2)
    sample = textures.sample(engine, uv)
    for read, stored in zip(
        (sample.base_color, sample.roughness, sample.metallic, sample.normal),
        (maps.base_color, maps.roughness, maps.metallic, maps.normal),
    ):
        torch.testing.assert_close(read, stored.reshape(read.shape), atol=1e-5, rtol=0)
    again = MaterialTextures(textures.maps()).maps()
    torch.testing.assert_close(again.normal, maps.normal, atol=1e-6, rtol=0)


def test_coarse_level_is_the_mean_of_the_texture(engine):
    maps = some_maps(8, 8)
    sample = MaterialTextures(maps).sample(engine, torch.tensor([[0.3, 0.6]]), torch.tensor([3.0]))
    torch.testing.assert_close(sample.base_color[0], maps.base_color.mean((0, 1)), atol=1e-5, rtol=0)
    assert sample.normal.norm(dim=-1).item() == pytest.approx(1.0, abs=1e-5)


def test_texel_beyond_its_range_shows_clamped_and_still_learns(engine):
    textures = MaterialTextures.plain(4, 4)
    with torch.no_grad():
        textures.values[..., :3] = 1.5
        textures.values[..., 3] = -0.2
        textures.values[..., 5:] = -flat_normal(textures.values[..., 5:])
    sample = textures.sample(engine, torch.tensor([[0.4, 0.4]]))
    assert sample.base_color.max() == 1.0 and sample.roughness.item() == pytest.approx(LEAST_ROUGHNESS)
    (sample.base_color.sum() + sample.roughness.sum()).backward()
    assert textures.values.grad.sum((0, 1)).tolist() == pytest.approx([1, 1, 1, 1, 0, 0, 0, 0], abs=1e-5)
    textures.project_()
    color, roughness, _, normal = textures.values.detach().split(CHANNELS, -1)
    assert color.max() == 1.0 and roughness.min().item() == pytest.approx(LEAST_ROUGHNESS)
    torch.testing.assert_close(normal, flat_normal(normal))


def test_field_starts_plain_stays_in_range_and_learns_a_place(engine):
    field = MaterialField(engine, hash_layout(4, 8, 1.6, 12), 0.4, 0.7, 0.2, torch.Generator().manual_seed(0))
    points = torch.rand(500, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1
    start = field(points)
    assert (start.base_color - 0.4).abs().max() < 0.05 and (start.roughness - 0.7).abs().max() < 0.05
    assert (start.metallic - 0.2).abs().max() < 0.05 and start.normal is None
    target = (points[:, :1] > 0).float()
    optimiser = torch.optim.Adam(field.parameters(), lr=0.02)
    for _ in range(80):
        sample = field(points)
        loss = (sample.base_color - target).abs().mean() + (sample.roughness - 2 * target).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    sample = field(points)
    assert (sample.base_color - target).abs().mean() < 0.1
    for channel, least in ((sample.base_color, 0.0), (sample.roughness, LEAST_ROUGHNESS), (sample.metallic, 0.0)):
        assert channel.min() >= least and channel.max() <= 1.0
