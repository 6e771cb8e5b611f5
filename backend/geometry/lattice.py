from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import torch
from torch import Tensor

AXES = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
# the seven edge directions of a cube cut into six tetrahedra: its axes, its face diagonals and its body diagonal
TETRAHEDRAL_DIRECTIONS = (*AXES, (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1))


@dataclass(frozen=True)
class Lattice:
    """A cube of `cells`^3 cubes over [-half_extent, half_extent]^3.

    Nothing but the boundary is stored: the point (i, j, k) has index (i m + j) m + k with m = cells + 1, the cube whose lowest corner it is
    (i cells + j) cells + k, and the edge that leaves it in direction d of D has index d P + its own. So every lookup is arithmetic.

    Attributes:
        cells: cubes along one side.
        half_extent: half the side, in the positions' unit.
        floor: [P] float, 0.1 for points on the boundary and -inf within, for `closed`.
    """

    cells: int
    half_extent: float
    floor: Tensor

    @staticmethod
    def make(cells: int, half_extent: float, device: torch.device | str = "cpu") -> Lattice:
        """A lattice of at least two cells a side (one cell has no point within)."""
        if cells < 2 or not half_extent > 0:
            raise ValueError(
                f"a lattice of {cells} cells and half extent {half_extent}; expected 2 cells or more, extent > 0"
            )
        floor = torch.full((cells + 1,) * 3, 0.1, device=device)
        floor[1:-1, 1:-1, 1:-1] = -torch.inf
        return Lattice(cells, half_extent, floor.flatten())

    @property
    def side(self) -> int:
        """Points along one side."""
        return self.cells + 1

    @property
    def point_count(self) -> int:
        """P."""
        return self.side**3

    @property
    def cube_count(self) -> int:
        """C."""
        return self.cells**3

    @property
    def cell_size(self) -> float:
        """The side of one cube."""
        return 2.0 * self.half_extent / self.cells

    def points(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """[P, 3] positions, on the lattice's device."""
        line = torch.linspace(-self.half_extent, self.half_extent, self.side, dtype=dtype, device=self.floor.device)
        return torch.cartesian_prod(line, line, line)

    def closed(self, sdf: Tensor) -> Tensor:
        """`sdf` ([P]) with the boundary raised to at least 0.1, so that no surface can leave the lattice. Differentiable."""
        if sdf.shape != self.floor.shape:
            raise ValueError(
                f"sdf has shape {tuple(sdf.shape)}; {self.cells} cells have {tuple(self.floor.shape)} points"
            )
        return torch.maximum(sdf, self.floor.to(sdf.dtype))

    def strides(self, directions: tuple[tuple[int, int, int], ...]) -> Tensor:
        """[D] int64: what to add to a point's index to go one step in each direction."""
        m = self.side
        return torch.tensor([(x * m + y) * m + z for x, y, z in directions], device=self.floor.device)

    def crossing_edges(self, inside: Tensor, directions: tuple[tuple[int, int, int], ...]) -> tuple[Tensor, Tensor]:
        """Edges with one end inside.

        Args:
            inside: [P] bool, False on the boundary.
            directions: D steps of 0 or 1 along each axis.

        Returns:
            (direction [E], base point [E]), both int64, ordered by direction and then by point.
        """
        grid = inside.view(self.side, self.side, self.side)
        crossing = torch.zeros((len(directions), *grid.shape), dtype=torch.bool, device=inside.device)
        for slot, (x, y, z) in zip(crossing, directions, strict=True):
            low = tuple(slice(0, self.side - step) for step in (x, y, z))
            high = tuple(slice(step, self.side) for step in (x, y, z))
            slot[low] = grid[low] ^ grid[high]
        edge = crossing.flatten().nonzero().squeeze(1)
        direction = edge // self.point_count
        return direction, edge - direction * self.point_count

    def surface_cubes(self, inside: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Cubes with corners on both sides.

        Args:
            inside: [P] bool.

        Returns:
            (cases [C] uint8: bit b of a cube is its corner b's `inside`, corner b lying at (b & 1, b >> 1 & 1, b >> 2 & 1);
            the surface cubes' indices [S] int64; their lowest corners' point indices [S] int64).
        """
        n, m = self.cells, self.side
        grid = inside.view(m, m, m).to(torch.uint8)
        # three doublings instead of eight sums: each joins a point with its neighbour along one axis
        along_x = grid[:-1] | grid[1:] << 1
        along_y = along_x[:, :-1] | along_x[:, 1:] << 2
        cases = (along_y[:, :, :-1] | along_y[:, :, 1:] << 4).flatten()
        cube = ((cases != 0) & (cases != 255)).nonzero().squeeze(1)
        row = cube // n
        return cases, cube, cube + row + (row // n) * m


def tetrahedra_of_a_cube() -> tuple[tuple[int, int, int, int], ...]:
    """The six tetrahedra along a cube's body diagonal (Kuhn 1960), as corner numbers, each positively oriented.

    Every cube is cut alike, and opposite faces carry the same diagonal, so that neighbours fit together.
    """
    cut = []
    for order in permutations(range(3)):
        first = 1 << order[0]
        second = first | 1 << order[1]
        even = order in ((0, 1, 2), (1, 2, 0), (2, 0, 1))
        cut.append((0, first, second, 7) if even else (0, second, first, 7))
    return tuple(cut)
