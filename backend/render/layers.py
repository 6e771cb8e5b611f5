"""Several surfaces behind one another at a pixel, for materials that hide only a part of what lies behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from backend.engines.interface import Engine, Raster

_NEIGHBOURS = ((0, 1), (0, -1), (1, 0), (-1, 0))  # rows down, columns right; each after the odd ones is the way back
_WAY_BACK = [1, 0, 3, 2]


def peel(
    engine: Engine,
    clip: Tensor,
    faces: Tensor,
    canvas: tuple[int, int],
    most: int,
    derivatives: bool,
    stop_early: bool = False,
) -> tuple[Raster, ...]:
    """The nearest surface at each pixel centre, the one behind it, and so on (depth peeling, Everitt 2001).

    Args:
        engine: who rasterises.
        clip: [B, V, 4] clip positions.
        faces: [T, 3] int32.
        canvas: (height, width).
        most: layers, 1 or more.
        derivatives: as in `Engine.rasterize`.
        stop_early: leave out layers in which nothing is, which waits for the device; otherwise there are always `most`.

    Returns:
        Near to far: where a layer covers a pixel, so do all before it. Gradients reach `clip`.
    """
    layers = [engine.rasterize(clip, faces, canvas, derivatives=derivatives)]
    while len(layers) < most:
        behind = engine.rasterize(clip, faces, canvas, previous=layers[-1], derivatives=derivatives)
        if stop_early and not bool((behind.triangle >= 0).any()):
            break
        layers.append(behind)
    return tuple(layers)


def stacked(layers: Sequence[Raster]) -> Raster:
    """L layers of B images as one raster of L * B images, layer after layer, so that all their pixels go through one look-up."""
    if len(layers) == 1:
        return layers[0]
    derivatives = [layer.derivatives for layer in layers if layer.derivatives is not None]
    return Raster(
        barycentric=torch.cat([layer.barycentric for layer in layers]),
        triangle=torch.cat([layer.triangle for layer in layers]),
        derivatives=torch.cat(derivatives) if derivatives else None,
        depth_key=None,
    )


def composite(
    engine: Engine,
    images: Tensor,
    layers: Sequence[Raster],
    clip: Tensor,
    faces: Tensor,
    adjacency: Tensor,
    walk: int,
) -> Tensor:
    """Lay the layers over one another (Porter and Duff 1984, "over"), their silhouettes antialiased.

    From the last layer to the first: over what lies behind it, then antialiased. A silhouette thus blends what is seen on its two sides,
    each with everything behind it. Between two pixels that is done once, in the nearest layer that has a silhouette there: a closed
    surface's outline, where its front and its back end together, would else be drawn twice, and an opaque ball's rim, half covered, hide
    three quarters of the background. Behind opaque surfaces nothing counts: the picture is exactly that of one layer.

    Args:
        engine: who antialiases.
        images: [L, B, H, W, 4] linear colour premultiplied by opacity, opacity; zeros where a layer has no surface.
        layers: L of them from `peel`.
        clip, faces, adjacency, walk: as in `Engine.antialias`.

    Returns:
        [B, H, W, 4] premultiplied. Gradients reach the images and, by the silhouettes of every layer, the clip positions.
    """
    if len(layers) == 1:
        return engine.antialias(images[0], layers[0], clip, faces, adjacency, walk)
    probe, index = _probe(images)
    weights, free = [], None
    for layer in layers:
        found = engine.antialias(probe, layer, clip, faces, adjacency, walk).gather(-1, index)
        covered = layer.triangle >= 0
        weights.append(found if free is None else torch.where(free, found, 0.0))
        taken = found.detach() != 0.0
        near = torch.stack([covered & covered.roll(_back(step), (1, 2)) for step in _NEIGHBOURS], -1)
        here = near & ~taken & ~_from_neighbours(taken)
        free = here if free is None else free & here
    behind = _Blend.apply(images[-1], weights[-1])
    for image, weight in zip(images[1:-1].flip(0), reversed(weights[1:-1])):
        behind = _Blend.apply(image + (1.0 - image[..., 3:]) * behind, weight)
    whole = images[0] + (1.0 - images[0][..., 3:]) * behind
    return engine.antialias(whole, layers[0], clip, faces, adjacency, walk)


def _probe(images: Tensor) -> tuple[Tensor, Tensor]:
    """A picture [B, H, W, 5] whose antialiasing tells what each neighbour adds to a pixel, and where: [B, H, W, 4] int64 channels.

    Each pixel lights one of five channels so that it and its four neighbours all light different ones.
    """
    _, count, height, width, _ = images.shape
    row = torch.arange(height, device=images.device)[:, None]
    column = torch.arange(width, device=images.device)[None]
    channel = (column + 2 * row) % 5
    probe = (channel[..., None] == torch.arange(5, device=images.device)).to(images.dtype)
    index = torch.stack([(channel + across + 2 * down) % 5 for down, across in _NEIGHBOURS], -1)
    return probe.expand(count, -1, -1, -1).contiguous(), index.expand(count, -1, -1, -1)


def _back(step: tuple[int, int]) -> tuple[int, int]:
    """The roll that brings the neighbour in this direction to the pixel."""
    return -step[0], -step[1]


def _from_neighbours(values: Tensor) -> Tensor:
    """[B, H, W, 4] by direction: what each neighbour has for the way back."""
    return torch.stack([values[..., _WAY_BACK[n]].roll(_back(step), (1, 2)) for n, step in enumerate(_NEIGHBOURS)], -1)


class _Blend(torch.autograd.Function):
    """image[p] + sum over the neighbours q of weight[p, q] (image[q] - image[p]); keeps nothing but what came in."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(image, weight)
        out = image * (1.0 - weight.sum(-1, keepdim=True))
        for n, step in enumerate(_NEIGHBOURS):
            out += weight[..., n : n + 1] * image.roll(_back(step), (1, 2))
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        image, weight = ctx.saved_tensors
        gradient = gradients[0]
        to_image, to_weight = gradient * (1.0 - weight.sum(-1, keepdim=True)), []
        for n, step in enumerate(_NEIGHBOURS):
            to_image += (weight[..., n : n + 1] * gradient).roll(step, (1, 2))
            to_weight.append((gradient * (image.roll(_back(step), (1, 2)) - image)).sum(-1))
        return to_image, torch.stack(to_weight, -1)
