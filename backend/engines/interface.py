"""The primitives every engine makes. Clip space: y/w = -1 is the image's top edge, z/w runs from -1 (near) to 1 (far)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from backend.engines.hash_layout import HashLayout
from backend.engines.shading import ShadingLight, ShadingPoints, ShadingTables


@dataclass(frozen=True)
class Raster:
    """What is seen at each pixel centre of B images.

    Attributes:
        barycentric: [B, H, W, 4] u, v (weights of the triangle's first and second corner, perspective-correct), z/w, and 1.0
            where covered (zeros elsewhere). Differentiable in the clip positions (u, v, z/w).
        triangle: [B, H, W] int32 index of the triangle seen, -1 where none.
        derivatives: [B, H, W, 4] du/dx, du/dy, dv/dx, dv/dy per pixel, or None. No gradient.
        depth_key: [B, H, W] int64 bits of the visible layer (engine's own), given back to `rasterize` to peel the next layer.
    """

    barycentric: Tensor
    triangle: Tensor
    derivatives: Tensor | None
    depth_key: Tensor | None


@dataclass(frozen=True)
class Capacity:
    """How much of an extracted surface there is room for.

    Attributes:
        vertices: rows, 0 or more.
        faces: rows, a multiple of four: a crossed edge of the grid makes four.
    """

    vertices: int
    faces: int

    def __post_init__(self) -> None:
        if self.vertices < 0 or self.faces < 0 or self.faces % 4:
            raise ValueError(f"capacity is {self}; expected 0 or more vertices and a multiple of 4 faces")

    @staticmethod
    def of(counts: Sequence[int], slack: float = 1.2, step: int = 8192) -> Capacity:
        """Room for `slack` times what was counted (vertices, faces), rounded up to `step` and at least that: it changes rarely."""
        vertices, faces = (max(1, -(-int(slack * count) // step)) * step for count in counts)
        return Capacity(vertices, faces)

    def fits(self, counts: Sequence[int]) -> bool:
        """Whether what was counted (vertices, faces) found room."""
        return counts[0] <= self.vertices and counts[1] <= self.faces


@dataclass(frozen=True)
class Extraction:
    """A closed surface read from a signed distance grid.

    Attributes:
        vertices: [V, 3], zeros in rows that are not used. Differentiable.
        faces: [T, 3] int32, counter-clockwise seen from outside, (0, 0, 0) in rows that are not used.
        regularity: scalar, mean deviation of the distances from vertices to their crossings. Differentiable.
        sign_changes: scalar, mean over the grid's crossed edges of both ends' -log sigmoid(-|sdf|); 0 when there are none. Differentiable.
        counts: [2] int32 vertices and faces there are; where that is more than there is room for, the surface is not whole.
    """

    vertices: Tensor
    faces: Tensor
    regularity: Tensor
    sign_changes: Tensor
    counts: Tensor


class RayMesh(Protocol):
    """A mesh that answers rays; no gradients."""

    def refit(self, vertices: Tensor) -> None:
        """Take new positions [V, 3] for the same triangles."""

    def closest(self, origins: Tensor, directions: Tensor, far: float) -> tuple[Tensor, Tensor]:
        """[N, 3] rays -> distance [N] (inf where nothing is hit before `far`) and triangle [N] int32 (-1)."""

    def occluded(self, origins: Tensor, directions: Tensor, near: float, far: float) -> Tensor:
        """[N, 3] rays -> [N] bool: something is hit between `near` and `far`."""


class Engine(Protocol):
    """A maker of the primitives. Inputs and outputs are tensors of one device; `name` is what reports call it."""

    name: str
    recordable: bool  # whether a CUDA graph can record everything it does: nothing waits for the device

    def load(self) -> None:
        """Load now what the first step would wait for."""

    def rasterize(
        self,
        positions: Tensor,
        faces: Tensor,
        size: tuple[int, int],
        previous: Raster | None = None,
        derivatives: bool = False,
    ) -> Raster:
        """positions [B, V, 4] clip space, faces [T, 3] int32, size (H, W) -> Raster; with `previous`, the layer behind it."""

    def interpolate(self, attributes: Tensor, faces: Tensor, barycentric: Tensor, triangle: Tensor) -> Tensor:
        """attributes [V, C], barycentric [..., 4], triangle [...] -> [..., C], zeros where triangle is -1.

        Works on whole images and on compacted lists of pixels alike. Gradients reach attributes and barycentric (u, v).
        """

    def antialias(
        self, color: Tensor, raster: Raster, positions: Tensor, faces: Tensor, adjacency: Tensor, walk: int = 8
    ) -> Tensor:
        """color [B, H, W, C] -> [B, H, W, C] with silhouettes blended. Gradients reach color and clip positions [B, V, 4].

        `adjacency` [T, 3] int32 is `engines.adjacency.edge_adjacency(faces)`.
        """

    def texture_2d(self, texture: Tensor, uv: Tensor, level: Tensor | None = None, wrap: bool = False) -> Tensor:
        """texture [H, W, C], uv [N, 2] (v down), level [N] mip level (0 when None) -> [N, C], trilinear.

        Mips are box-filtered halves made inside (their gradient flows to `texture`). Gradients reach texture, uv and level.
        `wrap` repeats, otherwise clamps.
        """

    def texture_cube(self, levels: tuple[Tensor, ...], directions: Tensor, level: Tensor) -> Tensor:
        """levels of [6, n, n, C] (any sizes, fine to coarse), directions [N, 3] (any length), level [N] -> [N, C].

        Seamless over edges, linear between neighbouring levels. Faces in the order +X -X +Y -Y +Z -Z with OpenGL's (s, t).
        Gradients reach levels, directions and level.
        """

    def hash_encode(self, points: Tensor, table: Tensor, layout: HashLayout) -> Tensor:
        """points [N, 3] in [0, 1], table [S, 2], layout from `engines.hash_layout` -> [N, 2 * levels]. Gradients reach both."""

    def photometric(self, rendered: Tensor, photographs: Tensor, index: Tensor, sizes: Tensor, seed: Tensor) -> Tensor:
        """rendered [B, H, W, 4] against photographs [N, H, W, 4] (float16 or 32) at index [B] int64, both linear and premultiplied.

        -> [4] sums over the pixels inside sizes [N, 2] int64 (height, width): absolute difference of colour (sRGB curve of log(1 + x)
        inside the photograph's mask, both over a background drawn from seed [1] int32 for each pixel of each photograph), absolute and
        squared difference of coverage, squared difference of the clamped sRGB colours. Gradients of the first three reach `rendered`.
        """

    def solve_laplacian(
        self, values: Tensor, starts: Tensor, neighbours: Tensor, strength: float, least: float, iterations: int
    ) -> Tensor:
        """values [V, 3] -> x [V, 3] with (I + strength L) x near them, after so many iterations. No gradient.

        L is the combinatorial Laplacian of neighbours [E] int32 from starts [V + 1] int32 on; `least` bounds the eigenvalues of the
        matrix divided by its diagonal from below.
        """

    def extract_surface(
        self, points: Tensor, sdf: Tensor, weights: Tensor, cells: int, capacity: Capacity | None = None
    ) -> Extraction:
        """points [P, 3], sdf [P] (negative inside), raw weights [C, 21] of a grid of cells^3 cubes -> its zero level by FlexiCubes.

        With a capacity nothing waits for the device and every shape is known beforehand. Gradients reach points, sdf and weights.
        """

    def ray_mesh(self, vertices: Tensor, faces: Tensor) -> RayMesh:
        """A ray query structure over vertices [V, 3], faces [T, 3]."""

    def shade(self, points: ShadingPoints, light: ShadingLight, tables: ShadingTables) -> tuple[Tensor, Tensor]:
        """M points -> [M, 3] diffuse and [M, 3] specular light they send to the viewer, linear; as `render.shade_reference` composes it.

        Gradients reach every tensor of `points` and the light's cubes; nothing is kept for them but what came in.
        """
