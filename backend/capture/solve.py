"""Cameras of photographs, by COLMAP (Schoenberger and Frahm 2016) in a child process that can be watched, stopped and gone on from."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.capture.child import PACKAGE, run_worker
from backend.capture.photographs import Album
from backend.capture.prepare import prepare
from backend.capture.task import Settings, kept, stored, task_of
from backend.contract import EnvironmentFault, Event, Progress, RequestError, write_json

_OVERLAP = 10  # neighbours on one side, and as many again at doubling distances (COLMAP's sequential matching)


def require_solver() -> None:
    """Raise EnvironmentFault (package-missing) where the solver is not installed."""
    if importlib.util.find_spec(PACKAGE) is None:
        raise EnvironmentFault(
            f"the Python package {PACKAGE}, which solves cameras, is missing",
            hint=f"`{Path(sys.executable).name} -m pip install {PACKAGE}` installs it (about 40 MB); or solve the cameras with COLMAP, "
            "Meshroom, Metashape or RealityCapture, whose files are read",
            code="package-missing",
        )


def solve(
    album: Album, settings: Settings, state: Path, emit: Callable[[Event], None], cancelled: Callable[[], bool]
) -> tuple[Path, dict[str, Any]]:
    """Solve the cameras of an album.

    Args:
        album: the photographs.
        settings: how.
        state: folder of what is half done; where it holds the same photographs and settings, that is gone on from, else it is emptied.
        emit: told of the progress.
        cancelled: asked several times a second.

    Returns:
        The folder of the model (cameras.bin, images.bin, points3D.bin: upright, under the photographs' names, in their pixels), and the
        worker's figures: see `measure.measure`; further `models` (how many photographs each has), `others` (names in those not kept),
        `focal_unknown` (names of which nothing said the focal length), `pairs`, `neighbours`, `still`, `features`.

    Raises:
        RequestError: poses-none where no cameras could be solved, poses-focal where none is known that shall be held, or a photograph
            that cannot be read.
        EnvironmentFault: the solver is not installed, or was killed.
        Cancelled: what is done so far is in `state`.
    """
    require_solver()
    photographs = list(album.photographs)
    task = task_of(photographs, settings, state)
    if kept(stored(state / "task.json")) != kept(task):
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir(parents=True)
    write_json(state / "task.json", task)
    for leftover in ("models", "model", "verdict.json"):
        _remove(state / leftover)
    count = len(photographs)
    prepare(
        photographs,
        state / "pictures",
        Path(task["masks"]) if task["masks"] else None,
        settings.resolution,
        settings.threads,
        lambda done: emit(Progress(stage="read", step=done, steps=count)),
        cancelled,
    )
    run_worker(state, count, _pairs(count, task["matching"]), emit, cancelled)
    verdict = json.loads((state / "verdict.json").read_text(encoding="utf-8"))
    if "registered" not in verdict:
        raise _none(verdict, count, settings)
    unknown = [name for group in task["groups"] if not group["parameters"] for name in group["names"]]
    return state / "model", {**verdict, "focal_unknown": unknown}


def _pairs(count: int, matching: str) -> int:
    if matching == "exhaustive":
        return count * (count - 1) // 2
    steps = {*range(1, _OVERLAP + 1), *(2**power for power in range(_OVERLAP))}
    return sum(max(0, count - step) for step in steps)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _none(verdict: dict[str, Any], count: int, settings: Settings) -> RequestError:
    features = sorted(verdict["features"].values())
    middle = features[len(features) // 2] if features else 0
    largest = max(verdict["models"], default=0)
    found = f"only {largest} of them hang together" if largest else "no two of them could be placed"
    few = middle < 300
    if few:
        hint = "the photographs show too little to recognise: give the object or its surroundings texture (newspaper under it), "
        hint += "take sharper pictures" + ("" if settings.careful else ", or try --quality high")
    else:
        hint = "take more photographs, 10 to 15 degrees apart, so that each shows much of what its neighbours show"
    if settings.masks and few:
        hint += "; --ignore-masks uses the background too, where it did not move"
    return RequestError(
        f"no cameras could be solved for the {count} photographs: {found} ({middle} features a photograph, "
        f"{verdict['pairs']} pairs that match)",
        hint=hint,
        code="poses-none",
    )
