"""Lens distortion: where a real lens puts what a pinhole camera would see, for every model that the camera files name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

STEPS = 4096  # of the search for the radius at which a lens folds over


@dataclass(frozen=True)
class Distortion:
    """A map of the image plane at distance 1 (x right, y down, 0 on the axis), from the pinhole's image to the lens's.

    With r the distance from the axis, and (x, y) scaled by atan(r) / r beforehand where `projection` is "fisheye":
    x' = x (1 + k1 r^2 + k2 r^4 ...) / (1 + d1 r^2 + d2 r^4 ...) + 2 p1 x y + p2 (r^2 + 2 x^2) + s1 r^2, and
    y' = y (the same) + 2 p2 x y + p1 (r^2 + 2 y^2) + s2 r^2: Brown and Conrady's model as OpenCV writes it, Kannala and Brandt's for
    fisheye lenses. "fov" scales by atan(2 r tan(w / 2)) / (r w) first (Devernay and Faugeras 2001). Last, x' grows by skew y'.

    Attributes:
        projection: how the angle from the axis becomes a radius, before the polynomials.
        radial: k1, k2, ...
        divisor: d1, d2, ... (OpenCV's k4, k5, k6).
        tangential: p1, p2.
        prism: s1, s2.
        view: w in radians, for "fov" alone.
        skew: of the pixels' axes.
    """

    projection: Literal["pinhole", "fisheye", "fov"] = "pinhole"
    radial: tuple[float, ...] = ()
    divisor: tuple[float, ...] = ()
    tangential: tuple[float, float] = (0.0, 0.0)
    prism: tuple[float, float] = (0.0, 0.0)
    view: float = 0.0
    skew: float = 0.0

    @property
    def straight(self) -> bool:
        """The lens is a pinhole: nothing is to be undone."""
        bends = any((*self.radial, *self.divisor, *self.tangential, *self.prism, self.skew))
        return not bends and (self.projection == "pinhole" or (self.projection == "fov" and self.view == 0.0))

    def apply(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the lens puts points of the pinhole's image plane; float64 arrays of one shape.

        Points beyond the radius at which the lens folds over (see `edge`) become NaN: the lens does not see them.
        """
        radius = np.sqrt(x * x + y * y)
        beyond = radius > self.edge()
        scale = self._projected(radius)
        x, y = x * scale, y * scale
        square = x * x + y * y
        factor = self._factor(square)
        p1, p2 = self.tangential
        across = x * factor + 2 * p1 * x * y + p2 * (square + 2 * x * x) + self.prism[0] * square
        down = y * factor + 2 * p2 * x * y + p1 * (square + 2 * y * y) + self.prism[1] * square
        across = across + self.skew * down
        return np.where(beyond, np.nan, across), np.where(beyond, np.nan, down)

    def edge(self) -> float:
        """The pinhole radius from which on the radial part no longer grows, so that places would be seen twice; inf where there is none.

        Searched up to 84 degrees from the axis, which no flat image reaches.
        """
        if not any(self.radial) and not any(self.divisor):
            return math.inf
        radius = np.tan(np.linspace(0.0, 1.47, STEPS))
        bent = radius * self._projected(radius)
        with np.errstate(all="ignore"):
            bent = bent * self._factor(bent * bent)
        falls = np.flatnonzero(~(np.diff(bent) > 0))
        return float(radius[falls[0]]) if len(falls) else math.inf

    def _projected(self, radius: np.ndarray) -> np.ndarray:
        safe = np.maximum(radius, 1e-12)
        if self.projection == "fisheye":
            return np.arctan(safe) / safe
        if self.projection == "fov" and self.view:
            return np.arctan(2 * safe * math.tan(0.5 * self.view)) / (safe * self.view)
        return np.ones_like(radius)

    def _factor(self, square: np.ndarray) -> np.ndarray:
        return _polynomial(self.radial, square) / _polynomial(self.divisor, square)


STRAIGHT = Distortion()


def _polynomial(coefficients: Sequence[float], square: np.ndarray) -> np.ndarray:
    """1 + c1 s + c2 s^2 ..."""
    total = np.zeros_like(square)
    for coefficient in reversed(coefficients):
        total = (total + coefficient) * square
    return 1.0 + total
