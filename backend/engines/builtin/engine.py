"""The engine the project brings along: NVIDIA Warp kernels, on the CPU and on CUDA from one source."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.engines.builtin import (
    antialias,
    cube,
    flexicubes,
    hash_grid,
    interpolate,
    kernels,
    laplacian,
    photometric,
    rasterize,
    rays,
    shade,
    textures,
)
from backend.engines.builtin.launch import Launcher
from backend.engines.hash_layout import HashLayout
from backend.engines.interface import Capacity, Extraction, Raster
from backend.engines.shading import ShadingLight, ShadingPoints, ShadingTables


class BuiltinEngine:
    """`interface.Engine` on one device; needs no compiler, and on the CPU no driver.

    Args:
        device: where its tensors lie, the CPU or a CUDA device.
        threads: CPU threads, torch's own number when None. Results are the same bit for bit whatever the number.
    """

    name = "builtin"
    recordable = True

    def __init__(self, device: torch.device, threads: int | None = None) -> None:
        self.launch = Launcher(device, threads)

    def load(self) -> None:
        """Load the kernels that the imported modules hold, compiled before or now; otherwise each is loaded where it is first used."""
        self.launch.load(kernels.__name__)

    def rasterize(
        self,
        positions: Tensor,
        faces: Tensor,
        size: tuple[int, int],
        previous: Raster | None = None,
        derivatives: bool = False,
    ) -> Raster:
        """See `builtin.rasterize.rasterize`."""
        return rasterize.rasterize(positions, faces, size, previous, derivatives, self.launch)

    def interpolate(self, attributes: Tensor, faces: Tensor, barycentric: Tensor, triangle: Tensor) -> Tensor:
        """See `builtin.interpolate.interpolate`."""
        return interpolate.interpolate(attributes, faces, barycentric, triangle, self.launch)

    def antialias(
        self, color: Tensor, raster: Raster, positions: Tensor, faces: Tensor, adjacency: Tensor, walk: int = 8
    ) -> Tensor:
        """See `builtin.antialias.antialias`."""
        return antialias.antialias(color, raster, positions, faces, adjacency, walk, self.launch)

    def texture_2d(self, texture: Tensor, uv: Tensor, level: Tensor | None = None, wrap: bool = False) -> Tensor:
        """See `builtin.textures.texture_2d`."""
        return textures.texture_2d(texture, uv, level, wrap, self.launch)

    def texture_cube(self, levels: tuple[Tensor, ...], directions: Tensor, level: Tensor) -> Tensor:
        """See `builtin.cube.texture_cube`."""
        return cube.texture_cube(levels, directions, level, self.launch)

    def hash_encode(self, points: Tensor, table: Tensor, layout: HashLayout) -> Tensor:
        """See `builtin.hash_grid.hash_encode`."""
        return hash_grid.hash_encode(points, table, layout, self.launch)

    def photometric(self, rendered: Tensor, photographs: Tensor, index: Tensor, sizes: Tensor, seed: Tensor) -> Tensor:
        """See `builtin.photometric.photometric`."""
        return photometric.photometric(rendered, photographs, index, sizes, seed, self.launch)

    def solve_laplacian(
        self, values: Tensor, starts: Tensor, neighbours: Tensor, strength: float, least: float, iterations: int
    ) -> Tensor:
        """See `builtin.laplacian.solve_laplacian`."""
        return laplacian.solve_laplacian(values, starts, neighbours, strength, least, iterations, self.launch)

    def extract_surface(
        self, points: Tensor, sdf: Tensor, weights: Tensor, cells: int, capacity: Capacity | None = None
    ) -> Extraction:
        """See `builtin.flexicubes.extract_surface`."""
        return flexicubes.extract_surface(points, sdf, weights, cells, capacity, self.launch)

    def ray_mesh(self, vertices: Tensor, faces: Tensor) -> rays.BuiltinRayMesh:
        """See `builtin.rays.BuiltinRayMesh`."""
        return rays.BuiltinRayMesh(vertices, faces, self.launch)

    def shade(self, points: ShadingPoints, light: ShadingLight, tables: ShadingTables) -> tuple[Tensor, Tensor]:
        """See `builtin.shade.shade`."""
        return shade.shade(points, light, tables, self.launch)
