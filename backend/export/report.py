"""report.html: what came in, what came out, and how near the two are; one file that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from backend.export.asset import Asset
from backend.export.charts import line_chart, short
from backend.export.report_pictures import light_section, maps_section
from backend.export.report_preflight import preflight_section
from backend.export.report_style import STYLE
from backend.export.report_views import Comparison, views_section
from backend.loss.judging import COLUMNS, means
from backend.preflight.findings import Preflight

Curve = Sequence[tuple[int, Mapping[str, float], float | None]]


@dataclass(frozen=True)
class Report:
    """What a run has to tell.

    Attributes:
        title: what was reconstructed.
        comparisons: the views measured, held out of the fit if `held_out`; their cameras fitted to them afterwards if `aligned`.
        curves: stage -> (step, losses by name, PSNR in dB or None) of the steps told.
        figures: further named numbers (triangles, share of the texture that no view saw).
        timings: part of the run -> seconds.
        facts: short lines under the title (device, engine, version).
        warnings: sentences for the artist.
        preflight: what the check of the photographs found, where there was one.
        settings: the request as nested dictionaries.
    """

    title: str
    comparisons: tuple[Comparison, ...] = ()
    held_out: bool = True
    aligned: bool = False
    curves: Mapping[str, Curve] = field(default_factory=dict)
    figures: Mapping[str, float | None] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    facts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    preflight: Preflight | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def means(self) -> dict[str, float | None]:
        """Each figure's mean over the views; None where not measured."""
        return means([one.figures for one in self.comparisons])

    def metrics(self) -> dict[str, Any]:
        """What metrics.json holds."""
        views = [
            {"name": one.name, **{name: _finite(value) for name, value in asdict(one.figures).items()}}
            for one in self.comparisons
        ]
        return {
            "mean": self.means(),
            "held_out": self.held_out,
            "aligned": self.aligned,
            "views": views,
            "figures": {name: _finite(value) for name, value in self.figures.items()},
            "seconds": {name: _finite(value) for name, value in self.timings.items()},
        }


def write_report(path: Path, report: Report, asset: Asset) -> None:
    """Write the page.

    Raises:
        OSError: it cannot be written.
    """
    path.write_text(report_html(report, asset), encoding="utf-8", newline="\n")


def report_html(report: Report, asset: Asset) -> str:
    """The whole page: pictures are data URIs, curves are inline SVG, no script and no network."""
    facts = f'<p class="quiet">{escape(" · ".join(report.facts))}</p>' if report.facts else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.title)}</title><style>{STYLE}</style></head><body><main>"
        f"<h1>{escape(report.title)}</h1>{facts}"
        f"{_key_figures(report)}{_warnings(report.warnings)}{views_section(report.comparisons, report.held_out, report.aligned)}"
        f"{maps_section(asset)}{light_section(asset)}"
        f"{_curves(report.curves)}{_timings(report.timings)}{preflight_section(report.preflight)}{_settings(report.settings)}"
        "</main></body></html>\n"
    )


def _key_figures(report: Report) -> str:
    averages = report.means()
    shown = [
        *((heading.replace(", dB", ""), _level(averages[name], heading)) for name, heading, _ in COLUMNS),
        *(_figure(name, value) for name, value in report.figures.items() if value is not None),
        ("Time", _duration(sum(report.timings.values())) if report.timings else None),
    ]
    boxes = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in shown if value is not None)
    return f'<dl class="figures">{boxes}</dl>' if boxes else ""


def _warnings(warnings: tuple[str, ...]) -> str:
    if not warnings:
        return ""
    return '<ul class="warnings">' + "".join(f"<li>{escape(line)}</li>" for line in warnings) + "</ul>"


def _curves(curves: Mapping[str, Curve]) -> str:
    blocks = []
    for stage, told in curves.items():
        names = list(dict.fromkeys(name for _, losses, _ in told for name in losses))
        series = {name: [(step, losses[name]) for step, losses, _ in told if name in losses] for name in names}
        levels = [(step, value) for step, _, value in told if value is not None]
        charts = [_curve("PSNR of the step's views, dB", levels)] if levels else []
        charts += [_curve(_words(name), values) for name, values in series.items()]
        if any(charts):
            blocks.append(f'<h3>{escape(_words(stage))}</h3><div class="curves">{"".join(charts)}</div>')
    if not blocks:
        return ""
    return '<h2>Losses</h2><p class="quiet">Unweighted, over the steps of each stage.</p>' + "".join(blocks)


def _curve(name: str, values: Sequence[tuple[int, float]]) -> str:
    chart = line_chart([step for step, _ in values], [value for _, value in values])
    last = short(values[-1][1]) if math.isfinite(values[-1][1]) else "not finite"
    return f'<div class="curve"><header>{escape(name)}<span>{last}</span></header>{chart}</div>' if chart else ""


def _timings(timings: Mapping[str, float]) -> str:
    if not timings:
        return ""
    longest = max(max(timings.values()), 1e-9)
    rows = "".join(
        f'<tr><td>{escape(_words(name))}</td><td class="number">{_duration(seconds)}</td>'
        f'<td class="wide"><div class="bar" style="width: {100 * seconds / longest:.1f}%"></div></td></tr>'
        for name, seconds in timings.items()
    )
    return f"<h2>Time</h2><table>{rows}</table>"


def _settings(settings: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>" for name, value in _flattened(settings)
    )
    if not rows:
        return ""
    return f"<h2>Settings</h2><details><summary>The whole request</summary><table>{rows}</table></details>"


def _flattened(settings: Mapping[str, Any], path: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in settings.items():
        flat += _flattened(value, f"{path}{key}.") if isinstance(value, Mapping) else [(path + key, value)]
    return flat


def _words(name: str) -> str:
    text = name.replace("_", " ").replace("sdf", "SDF")
    return text[:1].upper() + text[1:]


def _level(value: float | None, heading: str) -> str | None:
    if value is None:
        return None
    return f"{value:.2f} <small>dB</small>" if heading.endswith("dB") else f"{value:.3f}"


def _figure(name: str, value: float) -> tuple[str, str]:
    """A figure's label and its value as HTML; the name's ending tells the unit."""
    if name.endswith("_share"):
        return _words(name.removesuffix("_share")), f"{100 * value:.1f} <small>%</small>"
    if name.endswith("_gb"):
        return _words(name.removesuffix("_gb")), f"{value:.2f} <small>GB</small>"
    return _words(name), _number(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) and abs(value) < 1e12 else short(value)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    return f"{minutes}:{int(seconds % 60):02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
