"""Quality over wall time as an SVG that stands alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 20, 44, 48
_COLORS = ("#1f6feb", "#d1570a", "#1a7f37", "#8250df")
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#57606a}.title{font-size:15px;font-weight:600;fill:#24292f}"
    ".grid{stroke:#d8dee4}.stage{stroke:#8c959f;stroke-dasharray:4 4}"
)


@dataclass(frozen=True)
class Series:
    """One engine's run.

    Attributes:
        name: in the legend.
        points: (seconds since process start, dB), growing in time: a curve.
        stages: (stage, seconds at which it began): upright lines, drawn of the first series alone.
        ends: (seconds, dB) of complete runs, each of its own length: single dots.
    """

    name: str
    points: Sequence[tuple[float, float]]
    stages: Sequence[tuple[str, float]]
    ends: Sequence[tuple[float, float]] = ()


def quality_chart(series: Sequence[Series]) -> str:
    """PSNR of the held-out views over wall time; at least one series with a point."""
    all_points = [point for one in series for point in (*one.points, *one.ends)]
    longest = max(seconds for seconds, _ in all_points)
    low, high = min(level for _, level in all_points), max(level for _, level in all_points)
    step_x, step_y = _round_step(longest / 8), _round_step(max(high - low, 1.0) / 6)
    bottom, top = step_y * math.floor(low / step_y), step_y * math.ceil(high / step_y + 0.2)

    def x(seconds: float) -> float:
        return _LEFT + seconds / (1.02 * longest) * (_WIDTH - _LEFT - _RIGHT)

    def y(level: float) -> float:
        return _HEIGHT - _BOTTOM - (level - bottom) / (top - bottom) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [_text(_LEFT, 24, "PSNR of the held-out views (dB) over wall time since process start (s)", "title")]
    for number in range(round((top - bottom) / step_y) + 1):
        level = bottom + number * step_y
        parts.append(_line(_LEFT, y(level), _WIDTH - _RIGHT, y(level), "grid"))
        parts.append(_text(_LEFT - 8, y(level) + 4, f"{level:g}", anchor="end"))
    for number in range(int(1.02 * longest / step_x) + 1):
        parts.append(_text(x(number * step_x), _HEIGHT - _BOTTOM + 20, f"{number * step_x:g}", anchor="middle"))
    for stage, seconds in series[0].stages:
        parts.append(_line(x(seconds), _TOP, x(seconds), _HEIGHT - _BOTTOM, "stage"))
        parts.append(_text(x(seconds) + 4, _HEIGHT - _BOTTOM - 8, stage))
    for number, one in enumerate(series):
        color = _COLORS[number % len(_COLORS)]
        corners = " ".join(f"{x(seconds):.1f},{y(level):.1f}" for seconds, level in one.points)
        parts.append(f'<polyline points="{corners}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += _dots(((x(seconds), y(level)) for seconds, level in one.points), 2.5, color, color)
        parts += _dots(((x(seconds), y(level)) for seconds, level in one.ends), 5.0, "none", color)
        parts.append(_line(_LEFT + 170 * number, _HEIGHT - 12, _LEFT + 170 * number + 18, _HEIGHT - 12, "", color))
        parts.append(_text(_LEFT + 170 * number + 24, _HEIGHT - 8, one.name))
    if any(one.ends for one in series):
        parts += _dots([(_WIDTH - 120, _HEIGHT - 12)], 5.0, "none", "#57606a")
        parts.append(_text(_WIDTH - 110, _HEIGHT - 8, "complete runs"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}">'
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="white"/>{"".join(parts)}</svg>\n'
    )


def _round_step(wanted: float) -> float:
    """The next of 1, 2, 5, 10, ... at or above what is wanted."""
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= wanted * (1 - 1e-9))


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str, color: str = "") -> str:
    own = f' style="stroke:{color};stroke-width:2"' if color else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"{own}/>'


def _dots(places: Iterable[tuple[float, float]], radius: float, fill: str, stroke: str) -> list[str]:
    return [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{fill}" stroke="{stroke}"/>' for x, y in places]
