from dataclasses import replace

import pytest
import torch
from known import bare_surface, camera_on_minus_y, cube_sphere, positional, sky

from backend.dataset.views import Cameras
from backend.engines.adjacency import edge_adjacency
from backend.engines.reference.rasterize import all_layers
from backend.light.environment import EnvironmentLight
from backend.render.layers import composite, peel, stacked
from backend.render.renderer import Surface

SIZE = 40


@pytest.fixture(scope="module")
def light():
    with torch.no_grad():
        return EnvironmentLight.from_latlong(sky(), 16).prefiltered()


def camera(size=SIZE):
    return camera_on_minus_y(3.6, (1.5 * size, 1.5 * size), (0.5 * size, 0.5 * size), (size, size))


def veiled(opacity):
    """A material that changes with the position and hides so much of what is behind it."""

    def material(pixels):
        return replace(positional(pixels), opacity=opacity(pixels))

    return material


def slanted_sheets():
    """Four sheets that fill the picture and pass through one another: clip positions [1, 16, 4] and faces [8, 3]."""
    corner = torch.tensor([[-1.5, -1.5], [1.5, -1.5], [1.5, 1.5], [-1.5, 1.5]])
    slopes = torch.tensor([[0.3, 0.1], [-0.2, 0.2], [0.05, -0.35], [-0.1, -0.05]])
    depth = torch.tensor([-0.1, 0.0, 0.05, 0.1])[:, None] + slopes @ corner.T
    points = torch.cat((corner.expand(4, 4, 2), depth[..., None], torch.ones(4, 4, 1)), -1).view(1, 16, 4)
    quads = torch.arange(16).view(4, 4)
    return points, torch.cat((quads[:, [0, 1, 2]], quads[:, [0, 2, 3]])).int()


def laid_over(triangle, colors, opacities):
    """sum_k a_k c_k prod_{j < k} (1 - a_j) over the triangles [H, W, K] at each pixel, near first; [H, W, 4]."""
    total, through = 0.0, 1.0
    for layer in triangle.unbind(-1):
        there = (layer >= 0).double()[..., None]
        alpha = opacities[layer.clamp(min=0)][..., None] * there
        total = total + through * alpha * torch.cat((colors[layer.clamp(min=0)], torch.ones_like(alpha)), -1)
        through = through * (1.0 - alpha)
    return total


@pytest.mark.parametrize("most", [2, 4])
def test_compositing_follows_the_formula_in_values_and_gradients(renderer, most):
    """Against float64, where sheets cross so that their order differs from pixel to pixel. Another order is far from it."""
    clip, faces = slanted_sheets()
    generator = torch.Generator().manual_seed(3)
    colors, opacities = torch.rand(8, 3, generator=generator), 0.1 + 0.8 * torch.rand(8, generator=generator)
    weight = torch.rand(SIZE, SIZE, 4, generator=generator)
    exact = all_layers(clip, faces, (SIZE, SIZE)).triangle[0, ..., :most]
    leaves = [values.double().requires_grad_() for values in (colors, opacities)]
    expected = laid_over(exact, *leaves)
    gradients = torch.autograd.grad((expected * weight).sum(), leaves)

    ours = [values.clone().requires_grad_() for values in (colors, opacities)]
    layers = peel(renderer.engine, clip, faces, (SIZE, SIZE), most, derivatives=False)
    triangle = stacked(layers).triangle.view(most, 1, SIZE, SIZE).long()
    same = (triangle[:, 0].permute(1, 2, 0) == exact).all(-1)
    assert same.float().mean() > 0.97  # the rest lies where two sheets meet
    there = (triangle >= 0)[..., None]
    straight = torch.cat((ours[0][triangle.clamp(min=0)], torch.ones(*triangle.shape, 1)), -1)
    images = torch.where(there, straight * ours[1][triangle.clamp(min=0)][..., None], 0.0)
    adjacency = edge_adjacency(faces)
    found = composite(renderer.engine, images, layers, clip, faces, adjacency, 8)[0]
    close = same & ((found.double() - expected).abs().amax(-1) < 1e-5)
    assert close.sum() == same.sum()
    for mine, true in zip(torch.autograd.grad((found * weight * same[..., None]).sum(), ours), gradients, strict=True):
        assert (mine - true).abs().max() < 0.05 * true.abs().max()
    swapped = composite(renderer.engine, images.flip(0), layers, clip, faces, adjacency, 8)[0]
    assert (swapped - expected).abs().mean() > 0.02


def test_opaque_layers_are_one_layer_to_the_last_bit(renderer, light):
    """A ball before and behind another: what is behind opaque surfaces changes neither the picture nor the gradient, rims included."""
    vertices, faces, _, _ = cube_sphere(6, (0.8, 0.7, 0.6), round_off=True)
    both = torch.cat((vertices, 0.7 * vertices + torch.tensor([0.3, 0.9, 0.2])))
    faces = torch.cat((faces, faces + len(vertices)))
    found = []
    for layers, material in ((1, positional), (4, veiled(lambda pixels: torch.ones_like(pixels.position[:, :1])))):
        leaf = both.clone().requires_grad_()
        surface = replace(bare_surface(leaf, faces), layers=layers)
        frame = renderer.render(surface, material, light, camera(), (SIZE, SIZE))
        (frame.image * torch.linspace(0, 1, SIZE)[:, None]).sum().backward()
        found.append((frame.image.detach(), leaf.grad))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.allclose(found[0][1], found[1][1], atol=1e-5 * float(found[0][1].abs().max()))


@pytest.mark.parametrize("part", ["inner", "shell"])
def test_silhouettes_behind_a_translucent_surface_are_drawn_and_have_gradients(renderer, light, part):
    """An opaque ball in a half transparent shell, each growing: against differences of a finer render."""
    size = 64
    ball, faces, _, _ = cube_sphere(16, (0.5, 0.45, 0.4), round_off=True)
    shell, more, _, _ = cube_sphere(16, (0.95, 0.9, 0.85), round_off=True)
    vertices, faces = torch.cat((ball, shell)), torch.cat((faces, more + len(ball)))
    moving = vertices * (torch.arange(len(vertices)) < len(ball))[:, None].float()
    if part == "shell":
        moving = vertices - moving
    material = veiled(lambda p: torch.where(p.position.norm(dim=-1, keepdim=True) > 0.7, 0.4, 1.0))
    line = torch.linspace(-1, 1, size)
    weight = torch.stack([1.0 + line[None, :] * k - 0.7 * line[:, None] * (2 - k) for k in range(4)], -1)

    def sums(offset, factor):
        surface = replace(bare_surface(vertices + offset * moving, faces), layers=4)
        canvas = (size * factor, size * factor)
        cameras = camera(size)
        finer = Cameras(cameras.camera_to_world, cameras.intrinsics * factor, cameras.sizes * factor)
        image = renderer.render(surface, material, light, finer, canvas).image[0]
        weighted = (image.view(size, factor, size, factor, 4).mean((1, 3)) * weight).sum((0, 1))
        return torch.stack((weighted[3], weighted[:3].sum()))

    offset = torch.zeros((), requires_grad=True)
    found = torch.stack([torch.autograd.grad(value, offset, retain_graph=True)[0] for value in sums(offset, 1)])
    with torch.no_grad():
        step = 0.01
        measured = (sums(torch.tensor(step), 4) - sums(torch.tensor(-step), 4)) / (2 * step)
    coverage, color = (found / measured).tolist()
    assert coverage == pytest.approx(1.0, abs=0.06)
    assert color == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("room", [1.2, 0.6])
def test_a_fixed_capacity_serves_all_layers_and_leaves_out_the_last_first(renderer, light, room):
    """What lets a step be recorded: every shape is known beforehand, whatever is covered."""
    vertices, faces, _, _ = cube_sphere(6, (0.9, 0.8, 0.7), round_off=True)
    surface = replace(bare_surface(vertices, faces), layers=3)
    material = veiled(lambda pixels: 0.5 * torch.ones_like(pixels.position[:, :1]))
    free = renderer.render(surface, material, light, camera(), (SIZE, SIZE))
    covered = int(free.pixels.covered)
    fixed = renderer.render(surface, material, light, camera(), (SIZE, SIZE), round(room * covered))
    assert int(fixed.pixels.covered) == covered and len(fixed.pixels.index) == round(room * covered)
    if room > 1:
        assert torch.allclose(free.image, fixed.image, atol=1e-6)
    else:  # a ball has two layers: the first is whole, a part of the second is missing
        full, lacking = free.image[0, ..., 3], fixed.image[0, ..., 3]
        assert lacking.min() >= 0 and (lacking[full > 0.7] >= 0.46).all() and (lacking < full - 0.1).any()


def test_a_sheet_seen_from_behind_is_lit_on_that_side(renderer):
    """Lit from the viewer's side alone, a sheet is as bright whichever way its normal points."""
    vertices = torch.tensor([[-1.0, 0, -1], [1, 0, -1], [1, 0, 1], [-1, 0, 1]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]], dtype=torch.int32)
    normals = torch.tensor([[0.0, -1.0, 0.0]]).expand(4, 3).contiguous()
    with torch.no_grad():
        picture = torch.zeros(16, 32, 3)
        picture[:, 16:] = 1.0  # where the camera stands, on the side of Y below 0
        light = EnvironmentLight.from_latlong(picture, 16).prefiltered()
    means = []
    for order in (faces, faces.flip(1)):
        side = normals if order is faces else -normals
        surface = Surface(vertices, order.contiguous(), side, edge_adjacency(order.contiguous()), layers=2)
        means.append(renderer.render(surface, positional, light, camera(), (SIZE, SIZE)).image[..., :3].mean())
    assert means[0] > 0.05
    assert torch.allclose(means[0], means[1], rtol=1e-4)
