"""`poses FOLDER`: cameras of bare photographs, and a folder that `reconstruct` reads."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import time
from pathlib import Path

from backend.capture.folder import FILE, refuse_taken, write_folder
from backend.capture.photographs import find_photographs
from backend.capture.solve import require_solver, solve
from backend.capture.task import Settings
from backend.capture.verdict import judge
from backend.console import Console
from backend.contract import Finished, Warned
from backend.job import Cancellation

# quality -> long side in pixels, features a photograph, careful
QUALITIES = {"draft": (1000, 4096, False), "standard": (1600, 8192, False), "high": (3200, 16384, True)}


def poses(arguments: argparse.Namespace, console: Console) -> None:
    """The verb `poses`."""
    began = time.monotonic()
    source = Path(os.path.abspath(arguments.folder))  # noqa: PTH100 - links stay as they were given
    output = Path(os.path.abspath(arguments.output)) if arguments.output else source.with_name(f"{source.name}-posed")  # noqa: PTH100
    require_solver()
    refuse_taken(output)
    album = find_photographs(source)
    for warning in album.warnings:
        console(Warned(message=warning, code="photographs"))
    resolution, features, careful = QUALITIES[arguments.quality]
    settings = Settings(
        resolution=resolution,
        features=features,
        careful=careful,
        matching=arguments.matching,
        lens=arguments.lens,
        each=arguments.camera == "each",
        focal_35=arguments.focal_35,
        hold_focal=arguments.hold_focal,
        masks=not arguments.ignore_masks,
        device=arguments.device.split(":")[0],
        threads=arguments.threads or os.cpu_count() or 1,
    )
    cancellation = Cancellation()
    cancellation.listen_to_signals()
    output.parent.mkdir(parents=True, exist_ok=True)
    state = output.with_name(f".{output.name}.poses")
    model, figures = solve(album, settings, state, console, cancellation.cancelled)
    verdict = judge([photograph.name for photograph in album.photographs], figures)
    photographs = {photograph.name: photograph for photograph in album.photographs}
    written = write_folder(output, state / "folder", photographs, model, verdict, figures)
    with contextlib.suppress(OSError):
        shutil.rmtree(state)
    for finding in verdict.findings:
        console(Warned(message=finding, code="poses"))
    if console.json_lines:
        console.text(json.dumps({"event": "poses", **{k: v for k, v in written.items() if k != "views"}}))
    console(
        Finished(result=str(output), seconds=time.monotonic() - began, metrics={"registered": written["registered"]})
    )
    if not console.json_lines:
        console.text(_report(written, output, any(p.mask for p in album.photographs)))


def _report(written: dict, output: Path, masked: bool) -> str:
    lines = [written["summary"], f"{output / FILE} has the figures of each photograph."]
    if not masked:
        lines.append(f"Masks are needed next: python -m backend masks {output} --method box")
    lines.append(f"Then: python -m backend reconstruct {output} -o OUT")
    return "\n".join(lines)
