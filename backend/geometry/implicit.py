from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backend.engines.interface import Capacity, Engine
from backend.geometry import flexicubes, tetrahedra
from backend.geometry.lattice import Lattice
from backend.geometry.surface import Surface

Method = Literal["flexicubes", "tetrahedra"]
BAND = 3.0
"""Signed distances start within this many cells either side: what is far away must not take long to come back."""


class SignedDistanceGrid(nn.Module):
    """The shape while its topology is free: a signed distance grid, read as a surface by FlexiCubes or marching tetrahedra.

    A new grid is a sphere of half the half extent.

    Attributes:
        sdf: [P] parameter, signed distance **in cells**, negative inside: the same learning rate then suits every resolution, and the sign
            changes' cross-entropy has its usual scale.
        offsets: [P, 3] parameter, unbounded; tanh of it is each point's displacement in quarters of a cell.
        weights: [C, 21] parameter, raw FlexiCubes weights (see `flexicubes.squash`), None for tetrahedra.
        start: [P] buffer, what `reseed` puts back.
        engine: reads FlexiCubes' surface while fitting; None for plain torch.
    """

    floor: Tensor
    rest: Tensor
    start: Tensor

    def __init__(
        self,
        cells: int,
        method: Method = "flexicubes",
        half_extent: float = 1.0,
        device: torch.device | str = "cpu",
        engine: Engine | None = None,
    ) -> None:
        super().__init__()
        if method not in ("flexicubes", "tetrahedra"):
            raise ValueError(f"method is {method!r}; expected 'flexicubes' or 'tetrahedra'")
        lattice = Lattice.make(cells, half_extent, device)
        self.cells, self.method, self.half_extent, self.engine = cells, method, half_extent, engine
        self.register_buffer("floor", lattice.floor, persistent=False)
        self.register_buffer("rest", lattice.points(), persistent=False)  # the points' undisplaced positions
        self.register_buffer("start", self._sphere())
        self.sdf = nn.Parameter(self.start.clone())
        self.offsets = nn.Parameter(torch.zeros_like(self.rest))
        raw = torch.zeros(lattice.cube_count, flexicubes.WEIGHTS, device=device)
        self.weights = nn.Parameter(raw) if method == "flexicubes" else None

    @classmethod
    def from_field(
        cls,
        field: Tensor,
        cells: int,
        method: Method = "flexicubes",
        half_extent: float = 1.0,
        engine: Engine | None = None,
    ) -> SignedDistanceGrid:
        """A grid that starts as the solid a field describes, such as a visual hull.

        Args:
            field: [R, R, R] how far each point is inside, 0 to 1, indexed x, y, z; the first points lie on -half_extent, the last on
                half_extent. At least one must be 0.5 or more.
            cells: cubes along one side.
            method: how the surface is read.
            half_extent: of the lattice.
            engine: on the field's device, see the class.

        Returns:
            A grid on the field's device whose zero level runs midway between the points below and above 0.5.
        """
        solid = field.detach() >= 0.5
        if solid.ndim != 3 or len(set(solid.shape)) != 1 or not solid.any():
            raise ValueError(
                f"field {tuple(field.shape)} with {int(solid.sum())} points inside; expected [R, R, R] and at least one"
            )
        grid = cls(cells, method, half_extent, field.device, engine)
        gaps = field.shape[0] - 1
        reach = math.ceil(BAND * gaps / cells) + 1
        steps = _steps_to(solid, reach) - _steps_to(~solid, reach, edge=True)
        steps -= 0.5 * steps.sign()  # to half way between the points, not to the next one
        distance = steps.to(grid.rest) * (cells / gaps)
        padded_extent = half_extent * (gaps + 2) / gaps
        grid._begin(_trilinear(distance, grid.rest / padded_extent))
        return grid

    @property
    def lattice(self) -> Lattice:
        """The lattice, on the parameters' device."""
        return Lattice(self.cells, self.half_extent, self.floor)

    def points(self) -> Tensor:
        """[P, 3] the lattice's points where they are now. Differentiable in the offsets."""
        return torch.add(self.rest, self.offsets.tanh(), alpha=0.25 * self.lattice.cell_size)

    def surface(self, centres: bool = True, capacity: Capacity | None = None) -> Surface:
        """The surface as it is now.

        Args:
            centres: FlexiCubes only. True while fitting (four triangles a quad, all weights reachable), False for the mesh that is kept.
            capacity: FlexiCubes with centres and an engine only. Tensors of these shapes, and no wait for the device.

        Returns:
            A closed surface, perhaps an empty one. Differentiable in every parameter.
        """
        if self.weights is None:
            if capacity is not None:
                raise ValueError(f"{capacity} is for FlexiCubes; expected None for tetrahedra")
            return tetrahedra.extract(self.lattice, self.points(), self.sdf)
        return flexicubes.extract(self.lattice, self.points(), self.sdf, self.weights, centres, self.engine, capacity)

    def refined(self, cells: int) -> SignedDistanceGrid:
        """The same shape on a lattice of `cells`; offsets and weights are neutral again.

        The distances are resampled trilinearly, each new point reading the lattice where displacement had carried it from.
        """
        finer = SignedDistanceGrid(cells, self._method(), self.half_extent, self.rest.device, self.engine)
        side = self.lattice.side
        with torch.no_grad():
            shift = (self.points() - self.rest).view(side, side, side, 3)
            query = finer.rest
            for _ in range(3):  # the point of the undisplaced lattice that was carried here
                query = finer.rest - _trilinear(shift, query / self.half_extent)
            values = _trilinear(self.lattice.closed(self.sdf).view(side, side, side), query / self.half_extent)
            finer._begin(values * (cells / self.cells))
        return finer

    def reseed(self) -> None:
        """Put the starting shape back, in place: the answer to an empty surface. An optimiser's moments should be dropped with it."""
        with torch.no_grad():
            self.sdf.copy_(self.start)
            self.offsets.zero_()
            if self.weights is not None:
                self.weights.zero_()

    def _begin(self, sdf: Tensor) -> None:
        """Take [P] distances in cells as the start; a shape too small for the lattice becomes the sphere."""
        clamped = sdf.clamp(-BAND, BAND)
        something = bool((self.lattice.closed(clamped) < 0).any())
        self.start.copy_(clamped if something else self._sphere())
        with torch.no_grad():
            self.sdf.copy_(self.start)

    def _sphere(self) -> Tensor:
        radius = 0.5 * self.half_extent
        return ((self.rest.norm(dim=1) - radius) / self.lattice.cell_size).clamp(-BAND, BAND)

    def _method(self) -> Method:
        return "tetrahedra" if self.weights is None else "flexicubes"


def _trilinear(values: Tensor, where: Tensor) -> Tensor:
    """[N] or [N, C] of `values` ([R, R, R] or [R, R, R, C], indexed x, y, z) at `where` ([N, 3]; the points fill [-1, 1]^3)."""
    volume = values.view(*values.shape[:3], -1).permute(3, 0, 1, 2).unsqueeze(0)
    places = where.flip(1).view(1, 1, 1, -1, 3)  # grid_sample names the last axis first
    sampled = F.grid_sample(volume, places, mode="bilinear", padding_mode="border", align_corners=True)
    return sampled.view(volume.shape[1], -1).t().reshape(-1, *values.shape[3:])


def _steps_to(solid: Tensor, reach: int, edge: bool = False) -> Tensor:
    """[R + 2, R + 2, R + 2] distance of each point to the nearest in `solid` [R, R, R], in steps of the grid, at most `reach`.

    Exact below `reach`: the squared distance is a minimum along one axis after another. `edge`: whether the points about the grid count
    as solid.
    """
    squared = torch.where(F.pad(solid, (1,) * 6, value=edge), 0.0, float(reach * reach))
    for axis in range(3):
        padded = F.pad(squared.movedim(axis, -1), (reach, reach), value=float(reach * reach))
        shifts = [padded.narrow(-1, reach + by, squared.shape[axis]) + by * by for by in range(-reach, reach + 1)]
        squared = torch.stack(shifts).amin(0).movedim(-1, axis)
    return squared.sqrt()
