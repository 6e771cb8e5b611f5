"""The report's part on the views: photograph, render and difference, and every figure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape

import cv2
import numpy as np
from torch import Tensor

from backend.export.report_pictures import image
from backend.loss.judging import COLUMNS, Figures, means

PICTURES = 8  # most views shown; the table lists all
DIFFERENCE_TOP = 0.15  # mean absolute difference that takes the ramp's last colour


@dataclass(frozen=True)
class Comparison:
    """One view: how near our render is to the photograph, and the two where they shall be shown.

    Attributes:
        photo, render: [H, W, 3] sRGB-encoded over white, or None: hundreds of views would not fit into memory (see `pictured`).
        figures: how near they are.
    """

    name: str
    photo: Tensor | None
    render: Tensor | None
    figures: Figures


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


def views_section(comparisons: Sequence[Comparison], held_out: bool, aligned: bool) -> str:
    """Some of the views with their pictures, all of them in a table; '' of none."""
    if not comparisons:
        return ""
    kind = "Held-out views" if held_out else "Training views"
    told = "none of them took part in the fit" if held_out else "they took part in the fit: none were held out"
    if aligned:
        told += ", but for their cameras, which were fitted to them afterwards as the others were"
    source = " The gain is three numbers, taken from the judged photograph itself." if held_out else ""
    measured = any(one.figures.psnr_exposed is not None for one in comparisons)
    count = len(comparisons)
    shown = f", {len(pictured(count))} of them shown" if len(pictured(count)) < count else ""
    rows = "".join(_view(comparisons[index]) for index in pictured(count))
    ramp = image(np.repeat(_ramp(np.linspace(0, 1, 160)[None]), 4, 0), "difference ramp", png=True)
    return (
        f"<h2>{kind}</h2><p class='quiet'>{count} view{'s' if count > 1 else ''}{shown}; {told}."
        f" Colors are sRGB over white.{source if measured else ''}</p>"
        f'<div class="ramp">Difference 0 {ramp} {DIFFERENCE_TOP:g} and more</div>'
        '<div class="triple heads"><span>Photo</span><span>Render</span><span>Difference</span></div>'
        f"{rows}{_view_table(comparisons)}"
    )


def _view(one: Comparison) -> str:
    if one.photo is None or one.render is None:
        return ""
    images = (
        image(one.photo, f"photo of {one.name}")
        + image(one.render, f"render of {one.name}")
        + image(difference_picture(one.photo, one.render), f"difference of {one.name}")
    )
    figures = " · ".join(
        f"{heading.replace(', dB', '')} {value:.{min(digits, 3)}f}{' dB' if heading.endswith('dB') else ''}"
        for name, heading, digits in COLUMNS
        if (value := getattr(one.figures, name)) is not None
    )
    return (
        f'<figure class="view"><div class="triple">{images}</div>'
        f"<figcaption><b>{escape(one.name)}</b><span>{figures}</span></figcaption></figure>"
    )


def _view_table(comparisons: Sequence[Comparison]) -> str:
    averages = means([one.figures for one in comparisons])
    columns = [column for column in COLUMNS if averages[column[0]] is not None]

    def row(name: str, values: Mapping[str, float | None], kind: str = "") -> str:
        cells = "".join(
            f'<td class="number">{"–" if (value := values[key]) is None else f"{value:.{digits}f}"}</td>'
            for key, _, digits in columns
        )
        return f'<tr class="{kind}"><td>{escape(name)}</td>{cells}</tr>'

    rows = "".join(row(one.name, asdict(one.figures)) for one in comparisons)
    heads = "".join(f'<th class="number">{heading}</th>' for _, heading, _ in columns)
    return (
        f'<details><summary>Every view</summary><div class="scroll"><table><tr><th>View</th>{heads}</tr>{rows}'
        f"{row('Mean', averages, 'mean')}</table></div></details>"
    )
