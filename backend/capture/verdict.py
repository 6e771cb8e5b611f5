"""What solved cameras are worth, in words: what was found, what is doubtful, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.dataset.posed import listed

GOOD_SHARE, POOR_SHARE = 0.9, 0.6  # of the photographs that have a camera
GOOD_ERROR, POOR_ERROR = 1.0, 2.0  # pixels
LEAST_ANGLE = 4.0  # degrees between the rays of a point; narrower ones leave its depth to chance
MOST_STILL = 0.25  # of the matches that rest in the picture; more, and what is seen stands still before the camera
LEAST_TRACK = 3.0  # photographs that see a point
BAD_VIEW = 2.5  # times the mean error


@dataclass(frozen=True)
class Verdict:
    """A judgement of solved cameras.

    Attributes:
        grade: 'good', 'fair' or 'poor'.
        summary: the figures in a sentence.
        findings: what is doubtful, each with what to do.
        missing: photographs without a camera.
        doubtful: photographs whose points lie far from where they should.
    """

    grade: str
    summary: str
    findings: tuple[str, ...]
    missing: tuple[str, ...]
    doubtful: tuple[str, ...]


def judge(names: Sequence[str], figures: Mapping[str, Any]) -> Verdict:
    """The verdict on a model.

    Args:
        names: all photographs that were given.
        figures: of `solve.solve`; its `views` by the working copies' names, which end in .png behind the photograph's own name.
    """
    views = {name.removesuffix(".png"): view for name, view in figures["views"].items()}
    neighbours = {name.removesuffix(".png"): count for name, count in figures["neighbours"].items()}
    missing = tuple(name for name in names if name not in views)
    share, error, angle = figures["registered"] / len(names), figures["error"], figures["angle"]
    limit = max(BAD_VIEW * error, GOOD_ERROR)
    doubtful = tuple(name for name, view in views.items() if view["error"] is not None and view["error"] > limit)
    findings = []
    if missing:
        alone = [name for name in missing if neighbours.get(name, 0) < 2]
        linked = [name for name in missing if name not in alone]
        if alone:
            findings.append(
                f"without a camera, since hardly any other photograph shows the same: {listed(alone)}. Take more between these and the "
                "rest, 10 to 15 degrees apart; blurred ones cannot be saved"
            )
        if linked:
            findings.append(
                f"without a camera, though others show the same: {listed(linked)}. They may be blurred or show a part that repeats itself; "
                "--quality high may place them"
            )
    others = [[name.removesuffix(".png") for name in group] for group in figures["others"] if len(group) > 1]
    if others:
        groups = "; ".join(f"{len(group)}: {listed(group)}" for group in others)
        findings.append(
            f"photographs fell into groups that do not connect; the largest, of {figures['registered']}, was kept, and left out are "
            f"{groups}. Take photographs that lead from one group to the other"
        )
    if figures["still"] > MOST_STILL:
        findings.append(
            f"{figures['still']:.0%} of what was recognised rests in the picture while other things move, as on a turntable before a still "
            "background: the cameras may follow the background. Make masks first (`masks FOLDER --method chroma`, or box), and solve again"
        )
    if error > GOOD_ERROR:
        findings.append(
            f"points miss by {error:.2f} pixels in the mean; below {GOOD_ERROR:g} is good. Something moved, or lenses differ: "
            "try --lens OPENCV, --camera each, or --quality high"
        )
    if angle < LEAST_ANGLE:
        findings.append(
            f"the rays to a point part by {angle:.1f} degrees only, so depth is uncertain. "
            "Walk around the object instead of turning on the spot"
        )
    if figures["track"] < LEAST_TRACK:
        findings.append(
            f"a point is seen by {figures['track']:.1f} photographs in the mean; 3 and more hold cameras firmly. "
            "Take photographs closer together"
        )
    if doubtful:
        findings.append(
            f"cameras that fit worse than the rest: {listed(list(doubtful))}. "
            "Leave these photographs out if the result is blurred"
        )
    notes = []
    if figures["focal_unknown"]:
        notes.append(
            f"nothing said the focal length of {len(figures['focal_unknown'])} photographs (no EXIF), and it was found. On a turntable, or "
            "from far away, nearly any fits the points, and the cameras bend with it: where you know it give it, --focal-35 MM --hold-focal"
        )
    poor = share < POOR_SHARE or error > POOR_ERROR or angle < LEAST_ANGLE / 2 or figures["still"] > MOST_STILL
    grade = "poor" if poor else "fair" if findings and (share < GOOD_SHARE or len(findings) > bool(missing)) else "good"
    summary = (
        f"{figures['registered']} of {len(names)} photographs have a camera; reprojection error {error:.2f} pixels; "
        f"{figures['points']} points, each seen by {figures['track']:.1f} photographs, the median one under {angle:.1f} degrees: {grade}"
    )
    return Verdict(grade, summary, (*findings, *notes), missing, doubtful)
