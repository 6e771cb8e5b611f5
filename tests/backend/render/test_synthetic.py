import torch
from known import asset, plain

from backend.render.camera import clip_positions
from backend.render.synthetic import asset_surface, same_size


def test_views_are_split_posed_rigidly_and_see_the_object_where_it_projects(block):
    thing, _, dataset = block
    assert (len(dataset.train), len(dataset.test)) == (12, 2)
    assert dataset.train.images.dtype == torch.float16
    names = set(dataset.train.names) | set(dataset.test.names)
    assert len(names) == 14
    poses = torch.cat((dataset.train.cameras.camera_to_world, dataset.test.cameras.camera_to_world))
    rotation, eyes = poses[:, :3, :3], poses[:, :3, 3]
    assert torch.allclose(rotation.transpose(1, 2) @ rotation, torch.eye(3).expand(14, 3, 3), atol=1e-5)
    assert torch.allclose(torch.linalg.det(rotation), torch.ones(14), atol=1e-5)
    assert torch.cdist(eyes, eyes).fill_diagonal_(9.0).min() > 0.5  # no held-out view stands where a fitted one does
    vertices = dataset.similarity.to_normalised(thing.vertices)
    assert torch.allclose(vertices.amax(0), torch.tensor([1.0, 0.6, 0.8])) and torch.equal(
        vertices.amin(0), -vertices.amax(0)
    )
    size = dataset.train.canvas[0]
    clip = clip_positions(vertices, dataset.train.cameras, dataset.train.canvas)
    place = (clip[..., :2] / clip[..., 3:] + 1.0) * 0.5 * size
    for corners, image in zip(place, dataset.train.images, strict=True):
        covered = (image[..., 3] > 0.02).nonzero().flip(-1)  # (x, y)
        low, high = covered.amin(0), covered.amax(0) + 1
        assert (low >= corners.amin(0).floor() - 1e-3).all() and (low <= corners.amin(0) + 1.0).all()
        assert (high <= corners.amax(0).ceil() + 1e-3).all() and (high >= corners.amax(0) - 1.0).all()
        assert low.min() > 0 and high.max() < size  # the whole object is in the picture
    for values in (dataset.train.images, dataset.test.images):
        assert values.isfinite().all() and (values[values[..., 3] == 0] == 0).all()


def test_a_finer_picture_says_the_same(renderer, block):
    """What is photographed is what the renderer draws of the asset: its own render of one pixel a pixel is near."""
    thing, light, dataset = block
    surface = asset_surface(thing, dataset.similarity.to_normalised(thing.vertices))
    with torch.no_grad():
        frame = renderer.render(surface, plain(), light.prefiltered(), dataset.train.cameras, dataset.train.canvas)
    assert (frame.image[..., 3] - dataset.train.images[..., 3].float()).abs().mean() < 0.003


def test_maps_of_any_size_become_square_and_stay_in_range():
    maps = asset().maps
    square = same_size(maps, 32)
    assert {tuple(values.shape[:2]) for values in vars(square).values() if values is not None} == {(32, 32)}
    assert torch.allclose(square.base_color, maps.base_color.view(32, 2, 32, 2, 3).mean((1, 3)), atol=1e-6)
    assert torch.equal(square.normal, torch.tensor([0.0, 0.0, 1.0]).expand(32, 32, 3))
