"""Shading in the built-in engine: one kernel forward, one for the adjoint, which stores nothing in between."""

from __future__ import annotations

from typing import Any

import torch
import warp as wp
from torch import Tensor
from torch.autograd.function import once_differentiable

from backend.engines.builtin.kernels import shade_kernels
from backend.engines.builtin.kernels.shade_bsdf import Model, Row
from backend.engines.builtin.launch import Launcher
from backend.engines.builtin.textures import level_table
from backend.engines.checks import require
from backend.engines.shading import ShadingLight, ShadingPoints, ShadingTables


def shade(points: ShadingPoints, light: ShadingLight, tables: ShadingTables, launch: Launcher) -> tuple[Tensor, Tensor]:
    """What `Engine.shade` describes.

    Args:
        points: M points, float32.
        light: float32 cubes of any sizes.
        tables: of the reflectance model, float32.
        launch: runs the kernels; all tensors lie on its device.

    Returns:
        [M, 3] diffuse and [M, 3] specular light. Gradients reach every tensor of points and the light's cubes.

    Raises:
        ValueError: a tensor's shape, type or device is not as its record says.
    """
    relieved = _check_points(points, launch.device)
    rows, texels = _light_buffer(light, launch.device)
    for name, table, channels in (
        ("reflectance", tables.reflectance, 12),
        ("tilt", tables.tilt, 3),
        ("horizon", tables.horizon, 2),
    ):
        require(f"shade: {name} table", table, (None, None, channels), launch.device, torch.float32)
    return _Shade.apply(
        points.base_color,
        points.roughness,
        points.metallic,
        points.normal,
        points.view,
        points.normal_map if relieved else None,
        points.tangent if relieved else None,
        points.occlusion,
        texels,
        level_table(rows, launch.device),
        light.roughness.contiguous(),
        tables,
        launch,
    )


def _check_points(points: ShadingPoints, device: torch.device) -> bool:
    """Refuse points that do not fit together; whether they have relief."""
    count = points.base_color.shape[0]
    if (points.normal_map is None) != (points.tangent is None):
        raise ValueError("shade: only one of normal_map and tangent is given; expected both or neither")
    for name, tensor, channels in (
        ("base_color", points.base_color, 3),
        ("roughness", points.roughness, 1),
        ("metallic", points.metallic, 1),
        ("normal", points.normal, 3),
        ("view", points.view, 3),
        ("normal_map", points.normal_map, 3),
        ("tangent", points.tangent, 4),
        ("occlusion", points.occlusion, 1),
    ):
        if tensor is not None:
            require(f"shade: {name}", tensor, (count, channels), device, torch.float32)
    return points.normal_map is not None


def _light_buffer(light: ShadingLight, device: torch.device) -> tuple[tuple[tuple[int, int, int], ...], Tensor]:
    """Where each cube lies, the diffuse one first, and all texels behind one another [S, 3]."""
    if len(light.levels) < 2:
        raise ValueError(f"shade: the light has {len(light.levels)} specular levels; expected 2 or more")
    require("shade: roughness of the levels", light.roughness, (len(light.levels),), device, torch.float32)
    rows = []
    offset = 0
    for index, cube in enumerate((light.diffuse, *light.levels)):
        name = "shade: diffuse light" if index == 0 else f"shade: specular level {index - 1}"
        size = cube.shape[1] if cube.dim() == 4 else None
        require(name, cube, (6, size, size, 3), device, torch.float32)
        if not cube.numel():
            raise ValueError(f"{name} is {list(cube.shape)}; expected at least one texel")
        rows.append((offset, cube.shape[1], cube.shape[1]))
        offset += 6 * cube.shape[1] ** 2
    return tuple(rows), torch.cat([cube.flatten(0, 2) for cube in (light.diffuse, *light.levels)])


class _Shade(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        base_color: Tensor,
        roughness: Tensor,
        metallic: Tensor,
        normal: Tensor,
        view: Tensor,
        normal_map: Tensor | None,
        tangent: Tensor | None,
        occlusion: Tensor | None,
        texels: Tensor,
        levels: Tensor,
        knots: Tensor,
        tables: ShadingTables,
        launch: Launcher,
    ) -> tuple[Tensor, Tensor]:
        given = [base_color, roughness, metallic, normal, view, normal_map, tangent, occlusion]
        points = [
            base_color.new_empty(0, width) if tensor is None else tensor.contiguous()
            for tensor, width in zip(given, _WIDTHS, strict=True)
        ]
        diffuse, specular = torch.empty_like(points[0]), torch.empty_like(points[0])
        inputs = _inputs(points, texels, levels, knots, tables, launch)
        outputs = (launch.array(diffuse, wp.vec3), launch.array(specular, wp.vec3))
        launch.items(shade_kernels.shade_points, points[0].shape[0], (*inputs, *outputs))
        ctx.save_for_backward(*points, texels, levels, knots)
        ctx.tables, ctx.launch = tables, launch
        ctx.absent = [tensor is None for tensor in given]
        return diffuse, specular

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        *points, texels, levels, knots = ctx.saved_tensors
        launch: Launcher = ctx.launch
        to_points = [torch.zeros_like(tensor) for tensor in points]
        fitted = ctx.needs_input_grad[8]
        copies = launch.accumulators if fitted else 0
        to_texels = texels.new_zeros(copies * texels.shape[0], 3)
        contiguous = [gradient.contiguous() for gradient in gradients]
        launch.sums(
            shade_kernels.shade_adjoint,
            points[0].shape[0],
            (
                *_inputs(points, texels, levels, knots, ctx.tables, launch),
                *(launch.array(gradient, wp.vec3) for gradient in contiguous),
                *_arrays(to_points, launch),
                int(fitted),
                launch.array(to_texels, wp.float32),
            ),
        )
        found = [None if absent else gradient for absent, gradient in zip(ctx.absent, to_points, strict=True)]
        total = to_texels.view(copies, *texels.shape).sum(0) if fitted else None
        return *found, total, None, None, None, None


_WIDTHS = (3, 1, 1, 3, 3, 3, 4, 1)
_KINDS = {1: wp.float32, 3: wp.vec3, 4: wp.vec4}


def _arrays(tensors: list[Tensor], launch: Launcher) -> list[Any]:
    """Kernel arguments of [M, 1], [M, 3] and [M, 4] as one number or vector a row."""
    return [
        launch.array(tensor[:, 0] if tensor.shape[1] == 1 else tensor, _KINDS[tensor.shape[1]]) for tensor in tensors
    ]


def _inputs(
    points: list[Tensor], texels: Tensor, levels: Tensor, knots: Tensor, tables: ShadingTables, launch: Launcher
) -> tuple[Any, ...]:
    """What both kernels read, in their order."""
    model = Model()
    model.least_roughness = tables.least_roughness
    model.least_cosine = tables.least_cosine
    model.coat_fresnel = tables.coat_fresnel
    return (
        *_arrays(points, launch),
        model,
        launch.array(tables.reflectance.flatten(0, 1), Row),
        tables.reflectance.shape[1],
        launch.array(tables.tilt.flatten(0, 1), wp.vec3),
        launch.array(tables.horizon.flatten(0, 1), wp.vec2),
        tables.horizon.shape[1],
        launch.array(texels, wp.vec3),
        launch.array(levels, wp.int32),
        launch.array(knots, wp.float32),
    )
