"""The split-sum prefilter: a fixed sparse linear map from a cube of radiance to its GGX-blurred levels.

Level k holds the mean of the light under the lobe of roughness r_k seen along its own axis (normal = view = reflection, Karis 2013):
weight(l) = D(h) max(n.l, 0), where the half vector h lies at half the angle between n and l. The weight depends on the angle alone,
so a level's matrix K between texels of one cube size is symmetric: the map is  out = K (solid angle * radiance) / norm  and its
adjoint is the same K, which is why no transpose is stored.

GGX has long tails, so K is split by angle into bands (a partition of unity): the core is applied on the level's own cube, each
further ring on a cube of half the size, where it is smooth too. Going down a size splits a texel's power between the four nearest
coarser texels; coming up interpolates with the same weights. Both keep the light's energy and its centre.

At roughness 1 the lobe is the cosine: the last level is the diffuse light as well.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from backend.light.cube import bilinear_taps, mean_texel_angle, texel_directions, texel_solid_angles

_ROUGHNESS_RATIO = 1.3  # between neighbouring levels
_TEXELS_PER_BAND = 3.0  # a band fades out between this many mean texels and twice as many
_LOBES_PER_BAND = 2.0  # nor does it before this many times the lobe's own width, alpha
_HORIZON = math.sqrt(2.0)  # chord at which the cosine ends
_COARSEST = 8  # cube size of the widest band
_DIFFUSE_SIZE = 16  # cube size of the widest levels, in one piece
_BLOCK = 8  # texels along the edge of the blocks in which close texels are searched


@dataclass(frozen=True)
class Level:
    """One roughness level: kernels [6 n^2, 6 n^2] (CSR, symmetric) for n = size, size / 2, ... and the norm [6 size^2, 1]."""

    roughness: float
    size: int
    bands: tuple[Tensor, ...]
    norm: Tensor


@dataclass(frozen=True)
class Prefilter:
    """The map for one cube size, made by `build_prefilter`. Level 0 is the cube itself and has no kernel.

    Attributes:
        size: texels along the source cube's edge.
        sharpest: roughness given to the unfiltered cube: that whose lobe is about as wide as a texel.
        solid_angles: [6 size^2, 1] of the source's texels.
        refine: for each size n below the source's, matrix [6 (2n)^2, 6 n^2] that interpolates n to 2n.
        restrict: their transposes.
        levels: by growing roughness, the last at 1.
    """

    size: int
    sharpest: float
    solid_angles: Tensor
    refine: dict[int, Tensor]
    restrict: dict[int, Tensor]
    levels: tuple[Level, ...]

    @property
    def roughness(self) -> tuple[float, ...]:
        """Roughness of each level, the unfiltered cube's first."""
        return (self.sharpest, *(level.roughness for level in self.levels))

    def to(self, device: torch.device) -> Prefilter:
        """The same map on another device."""
        return replace(
            self,
            solid_angles=self.solid_angles.to(device),
            refine={size: matrix.to(device) for size, matrix in self.refine.items()},
            restrict={size: matrix.to(device) for size, matrix in self.restrict.items()},
            levels=tuple(
                replace(level, bands=tuple(band.to(device) for band in level.bands), norm=level.norm.to(device))
                for level in self.levels
            ),
        )

    def apply(self, cube: Tensor) -> tuple[Tensor, ...]:
        """cube [6, size, size, C] -> the levels, fine to coarse, each [6, n, n, C]. Gradients reach the cube."""
        if cube.shape[:3] != (6, self.size, self.size):
            raise ValueError(f"prefilter made for a cube [6, {self.size}, {self.size}, C]; got {list(cube.shape)}")
        powers = {self.size: cube.reshape(-1, cube.shape[-1]) * self.solid_angles}
        for size in sorted(self.refine, reverse=True):
            powers[size] = _Multiply.apply(self.restrict[size], self.refine[size], powers[2 * size])
        filtered = [self._level(level, powers) / level.norm for level in self.levels]
        shaped = (out.reshape(6, level.size, level.size, -1) for out, level in zip(filtered, self.levels))
        return (cube, *shaped)

    def _level(self, level: Level, powers: dict[int, Tensor]) -> Tensor:
        """The unnormalised level, its bands gathered from the coarsest up."""
        coarse: Tensor | None = None
        for power_of_half in reversed(range(len(level.bands))):
            size = level.size >> power_of_half
            kernel = level.bands[power_of_half]
            out = _Multiply.apply(kernel, kernel, powers[size])
            if coarse is not None:
                out = out + _Multiply.apply(self.refine[size // 2], self.restrict[size // 2], coarse)
            coarse = out
        assert coarse is not None
        return coarse


def build_prefilter(
    size: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32, minimum_roughness: float = 0.08
) -> Prefilter:
    """The map for cubes of `size` texels an edge (a power of two, 8 or more). About a second for 32 on one core.

    Args:
        minimum_roughness: the smoothest surface that will ask; no level is made for anything smoother.
    """
    if size < _COARSEST or size & (size - 1):
        raise ValueError(f"the light's cube size is {size}; expected a power of two, {_COARSEST} or more")
    texel = mean_texel_angle(size)
    sharpest = max(minimum_roughness, math.sqrt(0.4 * texel))
    refine, restrict = {}, {}
    coarser = size // 2
    while coarser >= _COARSEST:
        refine[coarser], restrict[coarser] = _interpolation(coarser, device, dtype)
        coarser //= 2
    count = max(1, round(math.log(1.0 / sharpest) / math.log(_ROUGHNESS_RATIO)))
    plain = Prefilter(size, sharpest, texel_solid_angles(size, device, dtype).reshape(-1, 1), refine, restrict, ())
    constant = torch.ones(6, size, size, 1, device=device, dtype=dtype)
    pairs = _ClosePairs(device, dtype)
    levels = []
    for index in range(1, count + 1):
        roughness = sharpest ** (1.0 - index / count)
        level_size = _level_size(roughness, size)
        bands = _bands(roughness, level_size, pairs)
        level = Level(roughness, level_size, bands, torch.ones((), device=device, dtype=dtype))
        norm = replace(plain, levels=(level,)).apply(constant)[1].reshape(-1, 1)
        levels.append(replace(level, norm=norm))
    return replace(plain, levels=tuple(levels))


def lobe_weight(chord_squared: Tensor, roughness: float) -> Tensor:
    """Weight of light at a chord's distance from the lobe's axis: D(h) (n.l), D scaled to 1 at its peak.

    With c^2 the squared chord between n and l: n.l = 1 - c^2 / 2 and sin^2 of the half vector's angle = c^2 / 4.
    """
    alpha_squared = roughness**4
    density = (alpha_squared / (alpha_squared + (1.0 - alpha_squared) * 0.25 * chord_squared)).square()
    return density * (1.0 - 0.5 * chord_squared).clamp_min(0.0)


class _Multiply(torch.autograd.Function):
    """matrix @ x whose gradient is transposed @ grad; the matrices are constants."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, matrix: Tensor, transposed: Tensor, x: Tensor) -> Tensor:
        ctx.transposed = transposed  # type: ignore[attr-defined]
        return matrix @ x

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> tuple[None, None, Tensor]:  # type: ignore[override]
        return None, None, ctx.transposed @ grad.contiguous()  # type: ignore[attr-defined]


def _level_size(roughness: float, size: int) -> int:
    """The smallest cube whose texels are fine enough for the lobe, between the diffuse size and the source's."""
    level_size = min(_DIFFUSE_SIZE, size)
    while level_size < size and mean_texel_angle(level_size) > 0.6 * roughness**2:
        level_size *= 2
    return level_size


def _bands(roughness: float, size: int, pairs: _ClosePairs) -> tuple[Tensor, ...]:
    """Kernels of one level on cubes of size, size / 2, ... Together, brought up to `size`, they make the whole lobe."""
    bands: list[Tensor] = []
    inner = 0.0  # the chord where the band before this one fades
    while True:
        outer = max(_TEXELS_PER_BAND * mean_texel_angle(size), _LOBES_PER_BAND * roughness**2)
        last = size <= _COARSEST or 2.0 * outer > _HORIZON or (size <= _DIFFUSE_SIZE and not bands)
        bands.append(
            _kernel(roughness, inner, math.inf if last else outer, pairs.of(size, _HORIZON if last else 2.0 * outer))
        )
        if last:
            return tuple(bands)
        inner, size = outer, size // 2


def _fade(chord: Tensor, start: float) -> Tensor:
    """1 below `start`, 0 beyond twice `start`, smooth between."""
    if math.isinf(start):
        return torch.ones_like(chord)
    x = (chord / start - 1.0).clamp(0.0, 1.0)
    return 1.0 - x * x * (3.0 - 2.0 * x)


def _kernel(roughness: float, inner: float, outer: float, pairs: _Pairs) -> Tensor:
    """CSR [n, n] of the lobe between the fades at the chords `inner` (0: none) and `outer` (inf: none)."""
    values = lobe_weight(pairs.chords_squared, roughness)
    keep = values > 0.0
    chord = pairs.chords_squared.sqrt()
    if inner > 0.0:
        values = values * (1.0 - _fade(chord, inner))
        keep &= chord > inner
    values = values * _fade(chord, outer)
    if not math.isinf(outer):
        keep &= chord < 2.0 * outer
    return _csr(pairs.rows[keep], pairs.columns[keep], values[keep], pairs.count, pairs.count)


@dataclass(frozen=True)
class _Pairs:
    """Texels of one cube and their neighbours, by growing row: row [P], column [P] and squared chord [P] between them."""

    reach: float
    count: int
    rows: Tensor
    columns: Tensor
    chords_squared: Tensor


class _ClosePairs:
    """Pairs found so far while one map is built, for its levels share their cubes' sizes."""

    def __init__(self, device: torch.device | str, dtype: torch.dtype) -> None:
        self.device = device
        self.dtype = dtype
        self.found: dict[int, _Pairs] = {}

    def of(self, size: int, reach: float) -> _Pairs:
        """At least all pairs of texels of a cube of `size` whose chord is below `reach`."""
        if size not in self.found or self.found[size].reach < reach:
            self.found[size] = _close_pairs(size, reach, self.device, self.dtype)
        return self.found[size]


def _close_pairs(size: int, reach: float, device: torch.device | str, dtype: torch.dtype) -> _Pairs:
    """All pairs of texels of a cube of `size` whose chord is below `reach`, searched block of texels against block."""
    block = min(_BLOCK, size)
    blocks = size // block
    index = torch.arange(6 * size * size, device=device).reshape(6, blocks, block, blocks, block)
    index = index.transpose(2, 3).reshape(-1, block * block)
    points = texel_directions(size, device, torch.float64).reshape(-1, 3)[index]
    centres = torch.nn.functional.normalize(points.mean(1), dim=-1)
    radius = (points - centres[:, None]).norm(dim=-1).amax(-1)
    near = torch.cdist(centres, centres) < reach + radius[:, None] + radius[None, :]
    first, second = near.nonzero(as_tuple=True)
    keys, chords = [], []
    count = 6 * size * size
    for a, b in zip(first.split(2048), second.split(2048)):
        squared = 2.0 - 2.0 * torch.bmm(points[a], points[b].transpose(1, 2))
        pair, i, j = (squared < reach * reach).nonzero(as_tuple=True)
        keys.append(index[a[pair], i] * count + index[b[pair], j])
        chords.append(squared[pair, i, j].clamp_min(0.0).to(dtype))
    key, order = torch.cat(keys).sort()
    rows = torch.div(key, count, rounding_mode="floor")
    return _Pairs(reach, count, rows, key - rows * count, torch.cat(chords)[order])


def _interpolation(size: int, device: torch.device | str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The matrix [6 (2 size)^2, 6 size^2] that reads a cube at the texels of one twice as fine, and its transpose."""
    fine = texel_directions(2 * size, device, torch.float64).reshape(-1, 3)
    columns, weights = bilinear_taps(fine, size)
    rows = torch.arange(fine.shape[0], device=device)[:, None].expand_as(columns)
    rows, columns, values = rows.reshape(-1), columns.reshape(-1), weights.to(dtype).reshape(-1)
    order = columns.argsort(stable=True)
    return (
        _csr(rows, columns, values, 6 * 4 * size * size, 6 * size * size),
        _csr(columns[order], rows[order], values[order], 6 * size * size, 6 * 4 * size * size),
    )


def _csr(rows: Tensor, columns: Tensor, values: Tensor, height: int, width: int) -> Tensor:
    """The sparse matrix [height, width] of entries sorted by row."""
    starts = torch.zeros(height + 1, dtype=torch.int32, device=rows.device)
    starts[1:] = torch.bincount(rows, minlength=height).cumsum(0)
    with warnings.catch_warnings():  # torch calls its CSR support beta on first use
        warnings.simplefilter("ignore")
        return torch.sparse_csr_tensor(starts, columns.int(), values, (height, width), check_invariants=False)
