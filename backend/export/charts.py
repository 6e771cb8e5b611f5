from __future__ import annotations

import math
from collections.abc import Sequence

WIDTH, HEIGHT = 260, 120
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 8, 20
POINTS = 240  # a curve of more is thinned: the page stays small, and no eye can tell
LOGARITHMIC_FROM = 20.0  # largest over smallest value from which the vertical axis is logarithmic


def line_chart(steps: Sequence[float], values: Sequence[float]) -> str:
    """An inline SVG of one curve, its vertical axis logarithmic where the values are positive and span decades.

    Args:
        steps: growing, at least one.
        values: as many; those that are not finite are left out.

    Returns:
        The svg element; its colours come from the page's style. Empty where no value is finite.
    """
    pairs = [(step, value) for step, value in zip(steps, values) if math.isfinite(value)]
    if not pairs:
        return ""
    pairs = [*pairs[:: max(1, len(pairs) // POINTS)], pairs[-1]]
    first, last = pairs[0][0], max(pairs[-1][0], pairs[0][0] + 1)
    low, high = min(value for _, value in pairs), max(value for _, value in pairs)
    logarithmic = low > 0 and high / low > LOGARITHMIC_FROM
    scale = math.log10 if logarithmic else float
    bottom, top = scale(low), scale(high)
    if top - bottom < 1e-12:
        bottom, top = bottom - 0.5, top + 0.5

    def x(step: float) -> float:
        return LEFT + (step - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (scale(value) - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM)

    points = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in pairs)
    lines = "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{short(value, 2)}</text>'
        for value in ((low, high) if low != high else (low,))
    )
    ends = (
        f'<text x="{LEFT}" y="{HEIGHT - 5}">{first:g}</text>'
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 5}" text-anchor="end">{last:g}</text>'
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="from {short(pairs[0][1])} to {short(pairs[-1][1])}">'
        f'{lines}{ends}<polyline class="curve-line" points="{points}"/></svg>'
    )


def short(value: float, digits: int = 3) -> str:
    """A number in few characters: so many significant digits, a power of ten where that is shorter."""
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        return f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
