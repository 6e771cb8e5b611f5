import math
from dataclasses import replace

import pytest
import torch
from known import bare_surface, camera_on_minus_y, cube_sphere, plain, positional, sky

from backend.dataset.views import Cameras
from backend.engines.adjacency import edge_adjacency
from backend.light.environment import EnvironmentLight
from backend.render.camera import clip_positions
from backend.render.renderer import Surface, covered_pixels
from backend.render.rows import gather, spread

SIZE = 48


def camera(focal=70.0, distance=3.6, size=SIZE):
    return camera_on_minus_y(distance, (focal, focal), (0.5 * size, 0.5 * size), (size, size))


def finer(cameras, factor):
    return Cameras(cameras.camera_to_world, cameras.intrinsics * factor, cameras.sizes * factor)


@pytest.fixture(scope="module")
def light():
    with torch.no_grad():
        return EnvironmentLight.from_latlong(sky(), 16).prefiltered()


def test_a_balls_coverage_is_the_disc_and_colour_is_premultiplied_by_it(renderer):
    """A ball of radius r seen from distance d: the disc of radius f r / sqrt(d^2 - r^2). Under even light, half-covered pixels are
    as light as whole ones once their coverage is divided out."""
    vertices, faces, _, _ = cube_sphere(24, (0.9,) * 3, round_off=True)
    with torch.no_grad():
        white = EnvironmentLight(16, radiance=1.0).prefiltered()
        frame = renderer.render(bare_surface(vertices, faces), plain(), white, camera(), (SIZE, SIZE))
    radius = 70.0 * 0.9 / math.sqrt(3.6**2 - 0.9**2)
    fine = (torch.arange(SIZE * 8) + 0.5) / 8 - SIZE / 2
    disc = (fine[:, None].square() + fine.square() < radius**2).float()
    disc = disc.view(SIZE, 8, SIZE, 8).mean((1, 3))
    coverage = frame.image[0, ..., 3]
    assert coverage.sum().item() == pytest.approx(math.pi * radius**2, rel=0.005)
    assert (coverage - disc).abs().max() < 0.12
    edge = (coverage > 0.1) & (coverage < 0.9)
    assert edge.sum() > 50
    straight = frame.image[0, ..., :3] / coverage[..., None].clamp(min=1e-6)
    inner = straight[coverage == 1]
    assert (straight[edge] > inner.amin(0) - 0.02).all() and (straight[edge] < inner.amax(0) + 0.02).all()
    assert (frame.image[0][coverage == 0] == 0).all()


@pytest.mark.parametrize("motion", ["right", "up", "growth"])
def test_gradients_agree_with_differences_of_a_finer_render(renderer, light, motion):
    """Smoothly weighted sums of the pixels against a whole movement of the object, coverage and colour.

    The ball's 27 648 triangles are far below a pixel where its outline is: a short silhouette walk would lose half of the gradient.
    """
    size = 2 * SIZE
    vertices, faces, _, _ = cube_sphere(48, (0.9, 0.8, 0.7), round_off=True)
    directions = {"right": torch.tensor([1.0, 0, 0]), "up": torch.tensor([0.0, 0, 1.0]), "growth": vertices}
    direction = directions[motion].expand_as(vertices)
    line = torch.linspace(-1, 1, size)
    weight = torch.stack([1.0 + line[None, :] * k - 0.7 * line[:, None] * (2 - k) for k in range(4)], -1)

    def sums(offset, factor):
        surface = bare_surface(vertices + offset * direction, faces)
        canvas = (size * factor, size * factor)
        image = renderer.render(surface, positional, light, finer(camera(140.0, size=size), factor), canvas).image[0]
        small = image.view(size, factor, size, factor, 4).mean((1, 3))
        weighted = (small * weight).sum((0, 1))
        return torch.stack((weighted[3], weighted[:3].sum()))

    offset = torch.zeros((), requires_grad=True)
    found = torch.stack([torch.autograd.grad(value, offset, retain_graph=True)[0] for value in sums(offset, 1)])
    with torch.no_grad():
        step = 0.01
        measured = (sums(torch.tensor(step), 4) - sums(torch.tensor(-step), 4)) / (2 * step)
    coverage, color = (found / measured).tolist()
    assert coverage == pytest.approx(1.0, abs=0.04)
    assert color == pytest.approx(
        1.0, abs=0.08
    )  # the outline's blend takes the colour of the last pixel, not of the rim itself


def plane(stretch):
    """A square of side 2 in the plane y = 0, facing the camera; u runs `stretch` times as fast as v."""
    vertices = torch.tensor([[-1.0, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32)
    uvs = torch.tensor([[0.0, 1.0], [1, 1], [1, 0], [0, 0]]) * torch.tensor([stretch, 1.0])
    normals = torch.tensor([[0.0, -1.0, 0.0]]).expand(4, 3).contiguous()
    return Surface(vertices, faces, normals, edge_adjacency(faces), uvs, faces)


@pytest.mark.parametrize("stretch", [1.0, 4.0, 0.25])
def test_the_footprint_is_the_longer_side_of_a_pixel(renderer, stretch):
    """A pixel sees distance / focal of the square's side 2, so that part of the texture, or `stretch` of it where that is more."""
    surface, cameras, canvas = plane(stretch), camera(focal=60.0, distance=3.0), (SIZE, SIZE)
    clip = clip_positions(surface.vertices, cameras, canvas)
    raster = renderer.engine.rasterize(clip, surface.faces, canvas, derivatives=True)
    pixels = covered_pixels(renderer.engine, surface, raster, cameras)
    expected = math.log2(3.0 / 60.0 / 2.0 * max(1.0, stretch))
    assert len(pixels.footprint) == 40 * 40
    assert torch.allclose(pixels.footprint, torch.tensor(expected), atol=1e-3)
    row, column = pixels.index // SIZE, pixels.index % SIZE
    assert torch.allclose(pixels.uv[:, 0], (column - 4 + 0.5) / 40 * stretch, atol=1e-4)
    assert torch.allclose(pixels.uv[:, 1], (row - 4 + 0.5) / 40, atol=1e-4)  # v runs down


def test_split_normals_are_followed_and_pixels_know_their_view(renderer):
    """A box lit by its faces' own normals: every pixel of a side has that side's normal, which the welded ones have nowhere."""
    vertices, faces, _, _ = cube_sphere(2, (0.8, 0.8, 0.8))
    surface = bare_surface(vertices, faces)
    axes = torch.cat((torch.eye(3), -torch.eye(3)))
    corner = vertices[faces.long()]
    facing = torch.nn.functional.normalize(
        torch.linalg.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), dim=-1
    )
    side = (facing @ axes.T).argmax(-1)
    split = replace(surface, normals=axes, normal_faces=side[:, None].expand(-1, 3).int().contiguous())
    pose = camera()
    turn = torch.tensor([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    turned = pose.camera_to_world.clone()
    turned[:, :3] = turn @ turned[:, :3]
    both = Cameras(torch.cat((pose.camera_to_world, turned)), pose.intrinsics.repeat(2, 1), pose.sizes.repeat(2, 1))
    clip = clip_positions(vertices, both, (SIZE, SIZE))
    raster = renderer.engine.rasterize(clip, faces, (SIZE, SIZE))
    pixels = covered_pixels(renderer.engine, split, raster, both)
    triangle = raster.triangle.flatten()[pixels.index].long()
    assert torch.allclose(pixels.normal, facing[triangle], atol=1e-5)
    assert set(side[triangle].tolist()) == {0, 4}  # +X and -Y, from the second camera
    assert (pixels.image == (pixels.index >= SIZE * SIZE)).all()
    eye = both.camera_to_world[pixels.image, :3, 3]
    assert torch.allclose(
        pixels.position + pixels.view * (eye - pixels.position).norm(dim=-1, keepdim=True), eye, atol=1e-4
    )
    assert pixels.footprint is None and pixels.uv is None


@pytest.mark.parametrize("room", [1.3, 0.5])
def test_a_fixed_capacity_gives_the_same_picture_and_gradients_and_leaves_out_what_is_beyond_it(renderer, light, room):
    vertices, faces, _, _ = cube_sphere(6, (0.9, 0.8, 0.7), round_off=True)
    found = []
    for factor in (None, room):
        leaf = vertices.clone().requires_grad_()
        source = replace(light, diffuse=light.diffuse.clone().requires_grad_())
        capacity = None if factor is None else round(factor * found[0][3])
        frame = renderer.render(bare_surface(leaf, faces), positional, source, camera(), (SIZE, SIZE), capacity)
        (frame.image * torch.linspace(0, 1, SIZE)[:, None]).sum().backward()
        assert frame.pixels.position.shape[0] == (int(frame.pixels.covered) if capacity is None else capacity)
        found.append((frame.image.detach(), leaf.grad, source.diffuse.grad, int(frame.pixels.covered)))
    assert found[0][3] == found[1][3]
    if room > 1:
        for exact, padded in zip(found[0][:3], found[1][:3], strict=True):
            assert torch.allclose(exact, padded, rtol=1e-3, atol=1e-5 * float(exact.abs().max()))
    else:
        rows = found[1][0][0, ..., 3].sum(1)
        assert rows[:20].any() and not rows[-20:].any() and all(t.isfinite().all() for t in found[1][:3])


def test_gather_and_spread_are_each_others_adjoint():
    index = torch.tensor([4, 1, 6, 6, 0])  # 6 is a blank row's, beyond the image
    image = torch.arange(12.0, dtype=torch.float64).view(6, 2).requires_grad_()
    rows = torch.arange(10.0, dtype=torch.float64).view(5, 2).requires_grad_()
    assert gather(image, index).tolist() == [[8, 9], [2, 3], [0, 0], [0, 0], [0, 1]]
    assert spread(rows, index, 6).tolist() == [[8, 9], [2, 3], [0, 0], [0, 0], [0, 1], [0, 0]]
    assert torch.autograd.gradcheck(lambda t: gather(t, index), (image,))
    assert torch.autograd.gradcheck(lambda t: spread(t, index, 6), (rows,))
