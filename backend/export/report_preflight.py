"""The report's part on the photographs themselves."""

from __future__ import annotations

import math
from html import escape

from backend.preflight.findings import Figures, Preflight

_COLUMNS = (  # heading, digits
    ("Sharpness", 2),
    ("Stops", 1),
    ("Clipped, %", 1),
    ("Missing, %", 1),
    ("Excess, %", 1),
    ("Conflict, %", 1),
)


def preflight_section(found: Preflight | None) -> str:
    """The photographs that hurt, where none looked from, and the figures of each; '' where nothing was checked."""
    if found is None:
        return ""
    names = {finding.view for finding in found.findings}
    verdict = f"{len(names)} of {len(found.views)} hurt" if names else f"none of {len(found.views)} stands out"
    told = "".join(
        f"<tr><td>{escape(finding.view)}</td><td>{escape(finding.reason)}"
        f"{'; left out of the fit' if finding.view in found.dropped else ''}</td></tr>"
        for finding in found.findings
    )
    holes = "".join(
        f"<li>no camera looks from {escape(hole.where)}: {100 * hole.share:.0f} % of all directions, up to {hole.angle:.0f}° "
        "from the nearest camera</li>"
        for hole in found.holes
    )
    heads = "".join(f'<th class="number">{heading}</th>' for heading, _ in _COLUMNS)
    rows = "".join(_row(one, one.name in names) for one in found.views)
    return (
        f"<h2>Photographs</h2><p class='quiet'>Checked before the run: {verdict}.</p>"
        + (f"<table>{told}</table>" if told else "")
        + (f'<ul class="quiet">{holes}</ul>' if holes else "")
        + "<details><summary>Every photograph</summary>"
        + f'<div class="scroll"><table><tr><th>View</th>{heads}</tr>{rows}</table></div></details>'
    )


def _row(one: Figures, hurts: bool) -> str:
    shares = (100 * one.clipped, 100 * one.missing, 100 * one.excess, 100 * one.conflict)
    cells = "".join(
        f'<td class="number">{f"{value:.{digits}f}" if math.isfinite(value) else "–"}</td>'
        for value, (_, digits) in zip((one.sharpness, one.stops, *shares), _COLUMNS, strict=True)
    )
    return f'<tr class="{"mean" if hurts else ""}"><td>{escape(one.name)}</td>{cells}</tr>'
