"""The split-sum prefilter: a fixed sparse linear map from a cube of radiance to its GGX-blurred levels and to the diffuse light.

Level k holds the mean of the light under the lobe of roughness r_k seen along its own axis (normal = view). That lobe,
D(h) G(l), depends on the angle between l and the axis alone, since the half vector h lies at half that angle; the diffuse lobe is the
cosine. So a level's matrix K between texels of one cube size is symmetric: the map is  out = K (solid angle * radiance) / norm  and its
adjoint is the same K, which is why no transpose is stored.

GGX has long tails, so K is split by angle into bands (a partition of unity): the core is applied on the level's own cube, each
further ring on a cube of half the size, where it is smooth too. Going down a size splits a texel's power between the four nearest
coarser texels; coming up interpolates with the same weights. Both keep the light's energy and its centre.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from backend.light.cube import mean_texel_angle, texel_solid_angles
from backend.light.sparse import ClosePairs, Pairs, csr, interpolation

_ROUGHNESS_RATIO = 1.3  # between neighbouring levels
_TEXELS_PER_BAND = 2.5  # a band fades out between this many mean texels and twice as many
_LOBES_PER_BAND = 0.8  # nor does it before this many times the lobe's own width, alpha
_HORIZON = math.sqrt(2.0)  # chord at which the cosine ends
_COARSEST = 8  # cube size of the widest band
_WIDE_SIZE = 16  # cube size of the widest levels, in one piece

_Lobe = Callable[[Tensor], Tensor]  # squared chord from the axis -> weight


@dataclass(frozen=True)
class Level:
    """One lobe on cubes of one size: kernels [6 n^2, 6 n^2] (CSR, symmetric) for n = size, size / 2, ...; norm [6 size^2, 1]."""

    size: int
    bands: tuple[Tensor, ...]
    norm: Tensor

    def to(self, device: torch.device) -> Level:
        """The same level on another device."""
        return Level(self.size, tuple(band.to(device) for band in self.bands), self.norm.to(device))


@dataclass(frozen=True)
class Filtered:
    """A light after the prefilter: specular levels, fine to coarse and the unblurred first, and the diffuse cube; each [6, n, n, C]."""

    specular: tuple[Tensor, ...]
    diffuse: Tensor


@dataclass(frozen=True)
class Prefilter:
    """The map for one cube size, made by `build_prefilter`.

    Attributes:
        size: texels along the source cube's edge.
        roughness: of each specular level, growing, the last 1. Level 0 is the cube itself: its roughness is that whose lobe is about
            as wide as a texel.
        solid_angles: [6 size^2, 1] of the source's texels.
        refine: for each size n below the source's, matrix [6 (2n)^2, 6 n^2] that interpolates n to 2n.
        restrict: their transposes.
        levels: of the specular levels but the first, then of the diffuse one.
    """

    size: int
    roughness: tuple[float, ...]
    solid_angles: Tensor
    refine: dict[int, Tensor]
    restrict: dict[int, Tensor]
    levels: tuple[Level, ...]

    def to(self, device: torch.device) -> Prefilter:
        """The same map on another device."""
        return replace(
            self,
            solid_angles=self.solid_angles.to(device),
            refine={size: matrix.to(device) for size, matrix in self.refine.items()},
            restrict={size: matrix.to(device) for size, matrix in self.restrict.items()},
            levels=tuple(level.to(device) for level in self.levels),
        )

    def apply(self, cube: Tensor) -> Filtered:
        """cube [6, size, size, C] -> its levels. No gradient: see `adjoint`."""
        if cube.shape[:3] != (6, self.size, self.size):
            raise ValueError(f"prefilter made for a cube [6, {self.size}, {self.size}, C]; got {list(cube.shape)}")
        cube = cube.detach()
        powers = self._powers(cube)
        blurred = [self._gather(level, powers) / level.norm for level in self.levels]
        shaped = [out.reshape(6, level.size, level.size, -1) for out, level in zip(blurred, self.levels)]
        return Filtered((cube, *shaped[:-1]), shaped[-1])

    def adjoint(self, gradient: Filtered) -> Tensor:
        """The gradient of the cube, [6, size, size, C], from those of its levels; the map is linear, so no value is needed."""
        powers: dict[int, Tensor] = {}
        for level, part in zip(self.levels, (*gradient.specular[1:], gradient.diffuse), strict=True):
            share = part.reshape(-1, part.shape[-1]) / level.norm
            for halvings, kernel in enumerate(level.bands):
                size = level.size >> halvings
                if halvings:
                    share = self.restrict[size] @ share
                powers[size] = powers[size] + kernel @ share if size in powers else kernel @ share
        for size in sorted(self.refine):  # from the coarsest up, each handing on to the next finer one
            if size in powers:
                finer = self.refine[size] @ powers[size]
                powers[2 * size] = powers[2 * size] + finer if 2 * size in powers else finer
        return gradient.specular[0] + (powers[self.size] * self.solid_angles).view_as(gradient.specular[0])

    def _powers(self, cube: Tensor) -> dict[int, Tensor]:
        """Radiance times solid angle on cubes of every size from the source's down: size n -> [6 n^2, C]."""
        powers = {self.size: cube.reshape(-1, cube.shape[-1]) * self.solid_angles}
        for size in sorted(self.refine, reverse=True):
            powers[size] = self.restrict[size] @ powers[2 * size]
        return powers

    def _gather(self, level: Level, powers: dict[int, Tensor]) -> Tensor:
        """A level before its norm, the bands added up from the coarsest."""
        coarse: Tensor | None = None
        for halvings in reversed(range(len(level.bands))):
            size = level.size >> halvings
            out = level.bands[halvings] @ powers[size]
            if coarse is not None:
                out = out + self.refine[size // 2] @ coarse
            coarse = out
        assert coarse is not None
        return coarse


def build_prefilter(
    size: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32, least_roughness: float = 0.08
) -> Prefilter:
    """The map for cubes of `size` texels an edge (a power of two, 8 or more). About a second for 32 on one core.

    Args:
        least_roughness: the smoothest surface that will ask; no level is made for anything smoother.
    """
    if size < _COARSEST or size & (size - 1):
        raise ValueError(f"the light's cube size is {size}; expected a power of two, {_COARSEST} or more")
    sharpest = max(least_roughness, math.sqrt(0.4 * mean_texel_angle(size)))
    count = max(1, round(math.log(1.0 / sharpest) / math.log(_ROUGHNESS_RATIO)))
    roughness = tuple(sharpest ** (1.0 - index / count) for index in range(count + 1))
    refine, restrict = {}, {}
    coarser = size // 2
    while coarser >= _COARSEST:
        refine[coarser], restrict[coarser] = interpolation(coarser, device, dtype)
        coarser //= 2
    plain = Prefilter(size, roughness, texel_solid_angles(size, device, dtype).reshape(-1, 1), refine, restrict, ())
    powers = plain._powers(torch.ones(6, size, size, 1, device=device, dtype=dtype))
    pairs = ClosePairs(device, dtype)
    levels = []
    for value in roughness[1:]:
        bands = _bands(partial(specular_lobe, roughness=value), value**2, _level_size(value, size), pairs)
        levels.append(bands)
    levels.append(_bands(diffuse_lobe, 1.0, min(_WIDE_SIZE, size), pairs))
    return replace(plain, levels=tuple(replace(level, norm=plain._gather(level, powers)) for level in levels))


def specular_lobe(chord_squared: Tensor, roughness: float) -> Tensor:
    """GGX's lobe for normal incidence, at a chord's distance from its axis: D(h) G(l), D scaled to 1 at its peak.

    With c^2 the squared chord between axis and l: n.l = 1 - c^2 / 2, sin^2 of the half vector's angle = c^2 / 4, and the
    height-correlated G at normal incidence = 1 / (1 + Lambda(l)).
    """
    alpha_squared = roughness**4
    density = (alpha_squared / (alpha_squared + (1.0 - alpha_squared) * 0.25 * chord_squared)).square()
    cosine = (1.0 - 0.5 * chord_squared).clamp_min(0.0)
    hypotenuse = (cosine.square() + alpha_squared * (1.0 - cosine.square())).sqrt()
    return density * 2.0 * cosine / (cosine + hypotenuse)


def diffuse_lobe(chord_squared: Tensor) -> Tensor:
    """Lambert's lobe: the cosine between normal and light, from the squared chord between them."""
    return (1.0 - 0.5 * chord_squared).clamp_min(0.0)


def _level_size(roughness: float, size: int) -> int:
    """The smallest cube whose texels are fine enough for the lobe, between the widest lobes' and the source's."""
    level_size = min(_WIDE_SIZE, size)
    while level_size < size and mean_texel_angle(level_size) > 0.6 * roughness**2:
        level_size *= 2
    return level_size


def _bands(lobe: _Lobe, width: float, size: int, pairs: ClosePairs) -> Level:
    """Kernels of one lobe on cubes of size, size / 2, ... Together, brought up to `size`, they make the whole of it; norm 1 as yet."""
    level_size = size
    bands: list[Tensor] = []
    inner = 0.0  # the chord where the band before this one fades
    while True:
        outer = max(_TEXELS_PER_BAND * mean_texel_angle(size), _LOBES_PER_BAND * width)
        last = size <= _COARSEST or 2.0 * outer > _HORIZON or (size <= _WIDE_SIZE and not bands)
        reach = _HORIZON if last else 2.0 * outer
        bands.append(_kernel(lobe, inner, math.inf if last else outer, pairs.of(size, reach)))
        if last:
            return Level(level_size, tuple(bands), bands[0].values().new_ones(()))
        inner, size = outer, size // 2


def _fade(chord: Tensor, start: float) -> Tensor:
    """1 below `start`, 0 beyond twice `start`, smooth between."""
    if math.isinf(start):
        return torch.ones_like(chord)
    x = (chord / start - 1.0).clamp(0.0, 1.0)
    return 1.0 - x * x * (3.0 - 2.0 * x)


def _kernel(lobe: _Lobe, inner: float, outer: float, pairs: Pairs) -> Tensor:
    """CSR [n, n] of the lobe between the fades at the chords `inner` (0: none) and `outer` (inf: none)."""
    values = lobe(pairs.chords_squared)
    if inner > 0.0 or not math.isinf(outer):
        chord = pairs.chords_squared.sqrt()
        values = values * _fade(chord, outer)
        if inner > 0.0:
            values = values * (1.0 - _fade(chord, inner))
    return csr(pairs.starts, pairs.columns, values, len(pairs.starts) - 1)
