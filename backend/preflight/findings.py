"""What a check of photographs found, for events, preflight.json and the report."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

from backend.contract import Warned
from backend.dataset.posed import listed
from backend.preflight.directions import Hole
from backend.preflight.outlines import INSET

Fault = Literal["blurred", "exposure", "clipped", "silhouette", "holed"]

_HEADS: dict[Fault, tuple[str, str]] = {  # what is said before the names, and what to do
    "blurred": (
        "blurred photographs (contrast of fine detail against their neighbours')",
        "Take them again or leave them out: --drop-bad does.",
    ),
    "exposure": (
        "photographs exposed otherwise than their neighbours (stops)",
        "Take them again with exposure and white balance locked, fit a gain for each (--set refine.exposure=true), or --drop-bad.",
    ),
    "clipped": (
        "photographs in which much of the object is blown out (part of its pixels)",
        "Take them again with less exposure or a softer light, or --drop-bad.",
    ),
    "silhouette": (
        "masks or cameras that contradict the other views (part of a mask in conflict)",
        "Look at these masks; where they are sound the camera is out of place: solve it again, or --drop-bad.",
    ),
    "holed": (
        "masks that leave out much of what the other views show (part of the object)",
        "Look at these masks: dark insides and bright spots are often cut out of them. Fill them in, or --drop-bad.",
    ),
}
_JUTTING = 0.025  # exact cameras and masks have below 0.01
_MOST_DROPPED = 1 / 3  # of the views; more of them are no exception


@dataclass(frozen=True)
class Figures:
    """One photograph's figures; NaN where it does not tell.

    Attributes:
        name: as in the source.
        sharpness: of its neighbours' median; 1 is normal.
        stops: brighter (positive) or darker than its neighbours.
        clipped: part of the object blown out, in [0, 1].
        missing, excess, conflict: see `silhouettes.Silhouette`.
    """

    name: str
    sharpness: float
    stops: float
    clipped: float
    missing: float
    excess: float
    conflict: float


@dataclass(frozen=True)
class Finding:
    """A photograph that hurts the result.

    Attributes:
        view: its name; index: its place among the views.
        fault: what is wrong with it.
        number: how much, in the unit that the fault's warning names.
        reason: a sentence with the number in it.
    """

    view: str
    index: int
    fault: Fault
    number: float
    reason: str


@dataclass(frozen=True)
class Preflight:
    """What a check found.

    Attributes:
        views: figures of every photograph.
        findings: the photographs that hurt, each with reason and number; one may stand there twice.
        holes: directions from which no camera looks.
        too_few: how many views there are, where these are few; else 0.
        disordered: so many views contradict one another that no single one can be named with trust.
        placements: places of the views in each stretch of the sequence that shows the object in one state; more than one where no one
            shape explains all silhouettes.
        jutting: part of the outlines that lie `outlines.INSET` pixels and more beside what the other views show; NaN where that
            cannot be told.
        seconds: time it took.
        dropped: names of the photographs that were left out of the fit.
    """

    views: tuple[Figures, ...]
    findings: tuple[Finding, ...]
    holes: tuple[Hole, ...]
    too_few: int = 0
    disordered: bool = False
    placements: tuple[tuple[int, ...], ...] = ()
    jutting: float = float("nan")
    seconds: float = 0.0
    dropped: tuple[str, ...] = ()

    @property
    def hurting(self) -> tuple[int, ...]:
        """Places of the photographs that hurt, ascending."""
        return tuple(sorted({finding.index for finding in self.findings}))

    @property
    def kept(self) -> tuple[int, ...]:
        """Places of the views without those that hurt: of the largest placement; all of them where too many hurt to be exceptions."""
        bad = set(self.hurting)
        kept = tuple(sorted(index for index in self._largest if index not in bad))
        few = len(kept) < 2 or len(self._largest) - len(kept) > _MOST_DROPPED * len(self._largest)
        return tuple(sorted(self._largest)) if few else kept

    @property
    def _largest(self) -> tuple[int, ...]:
        return max(self.placements, key=len, default=tuple(range(len(self.views))))

    def _span(self, group: tuple[int, ...]) -> str:
        """The first and the last photograph of a placement, as `views.only` wants them."""
        return f"{self.views[group[0]].name}..{self.views[group[-1]].name}"

    def warnings(self) -> tuple[Warned, ...]:
        """A sentence for each kind of fault, with the photographs' names and numbers."""
        said = []
        if self.too_few:
            said.append(
                Warned(
                    message=f"only {self.too_few} views; what fewer than a dozen leave open is guessed",
                    code="preflight-few",
                    hint="Forty to a hundred from all around, at three heights, are plenty.",
                )
            )
        if self.holes:
            words = "; ".join(f"{hole.where} ({100 * hole.share:.0f} % of all directions)" for hole in self.holes)
            said.append(
                Warned(
                    message=f"no camera looks from {words}",
                    code="preflight-coverage",
                    hint="What faces there is guessed; add views from there where it matters. Front is -Y, right +X, above +Z.",
                )
            )
        if self.disordered:
            said.append(
                Warned(
                    message="masks and cameras contradict one another throughout",
                    code="preflight-disorder",
                    hint="Solve the cameras again, and check that each mask belongs to its photograph.",
                )
            )
        if len(self.placements) > 1:
            spans = [f"{self._span(group)} ({len(group)})" for group in self.placements]
            said.append(
                Warned(
                    message=f"the object was moved, or a part of it, so that no one shape fits all photographs: {', '.join(spans)}",
                    code="preflight-placements",
                    hint=f"Fit one part alone, as with --set views.only={self._span(self._largest)}; --drop-bad keeps the largest.",
                )
            )
        if self.jutting > _JUTTING:
            said.append(
                Warned(
                    message=f"{100 * self.jutting:.0f} % of the outlines lie {INSET} pixels and more beside what the other views show: the "
                    "cameras are a little off, or the masks; the surface would get ridges and a spiky outline",
                    code="preflight-outlines",
                    hint="Fit the cameras along: --set refine.poses=true.",
                )
            )
        for fault, (head, hint) in _HEADS.items():
            found = [finding for finding in self.findings if finding.fault == fault]
            if found:
                names = listed([f"{finding.view} ({_shown(finding)})" for finding in found])
                said.append(Warned(message=f"{head}: {names}", code=f"preflight-{fault}", hint=hint))
        if self.dropped:
            said.append(
                Warned(
                    message=f"left out of the fit: {listed(self.dropped)}",
                    code="preflight-dropped",
                    hint="Without --drop-bad they take part.",
                )
            )
        return tuple(said)

    def to_dict(self) -> dict[str, Any]:
        """What preflight.json holds."""
        return {
            "seconds": round(self.seconds, 3),
            "hurting": [self.views[index].name for index in self.hurting],
            "dropped": list(self.dropped),
            "too_few": self.too_few,
            "disordered": self.disordered,
            "placements": [[self.views[index].name for index in group] for group in self.placements],
            "jutting": round(self.jutting, 4) if math.isfinite(self.jutting) else None,
            "holes": [asdict(hole) for hole in self.holes],
            "findings": [asdict(finding) for finding in self.findings],
            "views": [_plain(asdict(figures).items()) for figures in self.views],
        }


def _shown(finding: Finding) -> str:
    if finding.fault == "exposure":
        return f"{finding.number:+.1f}"
    return f"{finding.number:.2f}" if finding.fault == "blurred" else f"{100 * finding.number:.1f} %"


def _plain(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Rounded, and null where there is no number."""
    return {
        name: (round(value, 4) if math.isfinite(value) else None) if isinstance(value, float) else value
        for name, value in items
    }
