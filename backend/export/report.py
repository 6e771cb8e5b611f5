"""report.html: what came in, what came out, and how near the two are; one file that needs nothing else."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch import Tensor

from backend.export.asset import Asset, texture_images
from backend.export.charts import line_chart, short
from backend.export.images import encode_jpeg, encode_png
from backend.export.report_preflight import preflight_section
from backend.export.report_style import STYLE
from backend.loss.metrics import mean
from backend.preflight.findings import Preflight

LONG_SIDE = 512  # of the pictures shown, in pixels
PICTURES = 8  # most views shown; the table lists all
DIFFERENCE_TOP = 0.15  # mean absolute difference that takes the ramp's last colour

Curve = Sequence[tuple[int, Mapping[str, float], float | None]]


@dataclass(frozen=True)
class Comparison:
    """One view: how near our render is to the photograph, and the two where they shall be shown.

    Attributes:
        photo, render: [H, W, 3] sRGB-encoded over white, or None: hundreds of views would not fit into memory (see `pictured`).
        psnr: dB; ssim, lpips: NaN or None where not measured.
    """

    name: str
    photo: Tensor | None
    render: Tensor | None
    psnr: float
    ssim: float
    lpips: float | None = None


@dataclass(frozen=True)
class Report:
    """What a run has to tell.

    Attributes:
        title: what was reconstructed.
        comparisons: the views measured, held out of the fit if `held_out`.
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
    curves: Mapping[str, Curve] = field(default_factory=dict)
    figures: Mapping[str, float | None] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    facts: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    preflight: Preflight | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def means(self) -> dict[str, float | None]:
        """PSNR (dB), SSIM and LPIPS, each the mean over the views; None where not measured."""
        return {
            name: mean([value for one in self.comparisons if (value := getattr(one, name)) is not None])
            for name in ("psnr", "ssim", "lpips")
        }

    def metrics(self) -> dict[str, Any]:
        """What metrics.json holds."""
        views = [
            {"name": one.name, "psnr": _finite(one.psnr), "ssim": _finite(one.ssim), "lpips": _finite(one.lpips)}
            for one in self.comparisons
        ]
        return {
            "mean": self.means(),
            "held_out": self.held_out,
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
        f"{_key_figures(report)}{_warnings(report.warnings)}{_views(report)}{_maps(asset)}{_light(asset)}"
        f"{_curves(report.curves)}{_timings(report.timings)}{preflight_section(report.preflight)}{_settings(report.settings)}"
        "</main></body></html>\n"
    )


def pictured(count: int) -> range:
    """Which of `count` views the report shows: PICTURES at most, evenly spread."""
    return range(0, count, max(1, math.ceil(count / PICTURES)))


def difference_picture(photo: Tensor, render: Tensor) -> np.ndarray:
    """[H, W, 3] pictures -> [H, W, 3] mean absolute difference over the channels, 0 to DIFFERENCE_TOP, as a colour ramp."""
    difference = (photo.float() - render.float()).abs().mean(-1).cpu().numpy()
    return _ramp(difference / DIFFERENCE_TOP)


def _ramp(values: np.ndarray) -> np.ndarray:
    whole = (np.nan_to_num(values, nan=1.0).clip(0.0, 1.0) * 255).astype(np.uint8)
    colored: np.ndarray = cv2.applyColorMap(whole, cv2.COLORMAP_MAGMA)
    return colored[..., ::-1].astype(np.float32) / 255.0


def _key_figures(report: Report) -> str:
    means = report.means()
    shown = [
        ("PSNR", f"{means['psnr']:.2f} <small>dB</small>" if means["psnr"] is not None else None),
        ("SSIM", f"{means['ssim']:.3f}" if means["ssim"] is not None else None),
        ("LPIPS", f"{means['lpips']:.3f}" if means["lpips"] is not None else None),
        *(_figure(name, value) for name, value in report.figures.items() if value is not None),
        ("Time", _duration(sum(report.timings.values())) if report.timings else None),
    ]
    boxes = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in shown if value is not None)
    return f'<dl class="figures">{boxes}</dl>' if boxes else ""


def _warnings(warnings: tuple[str, ...]) -> str:
    if not warnings:
        return ""
    return '<ul class="warnings">' + "".join(f"<li>{escape(line)}</li>" for line in warnings) + "</ul>"


def _views(report: Report) -> str:
    if not report.comparisons:
        return ""
    kind = "Held-out views" if report.held_out else "Training views"
    told = "none of them took part in the fit" if report.held_out else "they took part in the fit: none were held out"
    count = len(report.comparisons)
    shown = f", {len(pictured(count))} of them shown" if len(pictured(count)) < count else ""
    rows = "".join(_view(report.comparisons[index]) for index in pictured(count))
    ramp = _image(np.repeat(_ramp(np.linspace(0, 1, 160)[None]), 4, 0), "difference ramp", png=True)
    return (
        f"<h2>{kind}</h2><p class='quiet'>{count} view{'s' if count > 1 else ''}{shown}; {told}."
        f" Colors are sRGB over white.</p>"
        f'<div class="ramp">Difference 0 {ramp} {DIFFERENCE_TOP:g} and more</div>'
        '<div class="triple heads"><span>Photo</span><span>Render</span><span>Difference</span></div>'
        f"{rows}{_view_table(report)}"
    )


def _view(one: Comparison) -> str:
    if one.photo is None or one.render is None:
        return ""
    images = (
        _image(one.photo, f"photo of {one.name}")
        + _image(one.render, f"render of {one.name}")
        + _image(difference_picture(one.photo, one.render), f"difference of {one.name}")
    )
    figures = f"PSNR {one.psnr:.2f} dB"
    if math.isfinite(one.ssim):
        figures += f" · SSIM {one.ssim:.3f}"
    if one.lpips is not None:
        figures += f" · LPIPS {one.lpips:.3f}"
    return (
        f'<figure class="view"><div class="triple">{images}</div>'
        f"<figcaption><b>{escape(one.name)}</b><span>{figures}</span></figcaption></figure>"
    )


def _view_table(report: Report) -> str:
    means = report.means()

    def row(name: str, values: Sequence[float | None], kind: str = "") -> str:
        cells = "".join(
            f'<td class="number">{"–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"}</td>'
            for value, digits in zip(values, (2, 4, 4))
        )
        return f'<tr class="{kind}"><td>{escape(name)}</td>{cells}</tr>'

    rows = "".join(row(one.name, (one.psnr, one.ssim, one.lpips)) for one in report.comparisons)
    heads = "".join(f'<th class="number">{name}</th>' for name in ("PSNR, dB", "SSIM", "LPIPS"))
    return (
        f'<details><summary>Every view</summary><div class="scroll"><table><tr><th>View</th>{heads}</tr>{rows}'
        f"{row('Mean', tuple(means.values()), 'mean')}</table></div></details>"
    )


def _maps(asset: Asset) -> str:
    images = texture_images(asset.maps)
    captions = {
        "base_color": "Base color",
        "roughness": "Roughness",
        "metallic": "Metallic",
        "normal": "Normal, tangent space, +Y",
    }
    if asset.maps.opacity is not None:
        images |= {"base_color": images["base_color"][..., :3], "opacity": images["base_color"][..., 3:]}
        captions["opacity"] = "Opacity: the base color's alpha"
    height, width = asset.maps.base_color.shape[:2]
    figures = "".join(
        f"<figure>{_image(images[name], caption)}<figcaption>{caption}</figcaption></figure>"
        for name, caption in captions.items()
    )
    return f'<h2>Textures</h2><p class="quiet">{width} × {height} texels.</p><div class="maps">{figures}</div>'


def _light(asset: Asset) -> str:
    light = asset.environment.detach().cpu().float().numpy()
    grey = light @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    exposure = round(math.log2(0.4 / max(float(grey.mean()), 1e-6)), 1)
    shown = np.clip(light * 2.0**exposure, 0, 1)
    shown = np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * np.maximum(shown, 0.0031308) ** (1 / 2.4) - 0.055)
    caption = f"Mean {short(float(grey.mean()))}, brightest {short(float(grey.max()))}; shown {exposure:+.1f} stops."
    return (
        f'<h2>Light</h2><p class="quiet">Equirectangular; the center looks along +X, the top is +Z. {caption}</p>'
        f'<div class="light">{_image(shown, "environment light", LONG_SIDE * 2)}</div>'
    )


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


def _image(picture: Tensor | np.ndarray, text: str, long_side: int = LONG_SIDE, png: bool = False) -> str:
    values = picture.detach().cpu().float().numpy() if isinstance(picture, Tensor) else np.asarray(picture, np.float32)
    scale = long_side / max(values.shape[:2])
    if scale < 1:
        size = (max(1, round(values.shape[1] * scale)), max(1, round(values.shape[0] * scale)))
        values = cv2.resize(values, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1)
    data = encode_png(values) if png else encode_jpeg(values)
    kind = "png" if png else "jpeg"
    encoded = base64.b64encode(data).decode()
    return f'<img alt="{escape(text)}" width="{values.shape[1]}" height="{values.shape[0]}" src="data:image/{kind};base64,{encoded}">'


def _words(name: str) -> str:
    text = name.replace("_", " ").replace("sdf", "SDF")
    return text[:1].upper() + text[1:]


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
