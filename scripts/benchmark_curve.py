"""A run that is judged on its way: `benchmark_curve.py REQUEST.json TOLD.json BEGAN MARKS`, started by benchmark_runs.py.

The run is the command line's own. At some steps of each stage it puts a copy of its surface, material and light aside (milliseconds, which
count); when the result is complete, the copies are held against the views that were held out. BEGAN is when the process was started.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import json  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Mapping  # noqa: E402
from dataclasses import dataclass, replace  # noqa: E402
from typing import Any  # noqa: E402
from unittest import mock  # noqa: E402

import torch  # noqa: E402
from benchmark_fits import judge  # noqa: E402
from torch import Tensor  # noqa: E402

from backend import pipeline  # noqa: E402
from backend.commands.device import pick_device  # noqa: E402
from backend.contract import Event, parse  # noqa: E402
from backend.dataset.views import Views  # noqa: E402
from backend.job import Job  # noqa: E402
from backend.material.channels import MaterialMaps  # noqa: E402
from backend.material.textures import CHANNELS, MaterialTextures  # noqa: E402
from backend.optimise.fit import Fit  # noqa: E402
from backend.optimise.refine import RefineFit  # noqa: E402
from backend.optimise.shape import ShapeFit  # noqa: E402
from backend.render.renderer import Renderer, Surface  # noqa: E402
from backend.scene import read_scene  # noqa: E402
from backend.watch import Watch  # noqa: E402

_FIRST = 10  # steps before the first mark


@dataclass(frozen=True)
class Mark:
    """A copy of what a fit had reached `seconds` after the process was started."""

    seconds: float
    step: int
    fit: ShapeFit | RefineFit
    surface: Surface
    material: dict[str, Tensor]
    light: dict[str, Tensor]


class Diary:
    """The marks of a run, and when its stages began."""

    def __init__(self, began: float, marks: int) -> None:
        self._began, self._marks = began, marks
        self.marks: list[Mark] = []
        self.stages: list[tuple[str, float]] = []
        self.events: list[tuple[str, float]] = []

    def now(self) -> float:
        """Seconds since the process was started."""
        return time.time() - self._began

    def hear(self, event: Event) -> None:
        """Note when what was told first."""
        if event.EVENT not in [name for name, _ in self.events]:
            self.events.append((event.EVENT, self.now()))

    def begin(self, fit: Fit) -> None:
        """A stage begins."""
        self.stages.append((fit.name, self.now()))

    def look(self, fit: Fit) -> None:
        """Put a copy aside if it is time for one: more often early in a stage, when much changes."""
        shares = ((number / self._marks) ** 2 for number in range(1, self._marks + 1))
        if fit.step not in {_FIRST, *(round(share * fit.steps) for share in shares)}:
            return
        assert isinstance(fit, (ShapeFit, RefineFit))
        material = fit.field if isinstance(fit, ShapeFit) else fit.textures
        with torch.no_grad():
            drawn = fit.surface()
        surface = replace(drawn, **{name: getattr(drawn, name).detach().clone() for name in ("vertices", "normals")})
        if drawn.tangents is not None:
            surface = replace(surface, tangents=drawn.tangents.clone())
        kept = [_copy(part.state_dict()) for part in (material, fit.light)]
        float(surface.vertices.sum())  # the device has come so far
        self.marks.append(Mark(self.now(), fit.step, fit, surface, *kept))


def _copy(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in state.items()}


def _judged(mark: Mark, renderer: Renderer, views: Views) -> dict[str, Any]:
    """The fit is over, so its own modules may take the copies up."""
    fit = mark.fit
    if isinstance(fit, ShapeFit):
        fit.field.load_state_dict(mark.material)
    else:
        device = mark.surface.vertices.device
        fit.textures = MaterialTextures(MaterialMaps(*mark.material["values"].split(CHANNELS, -1))).to(device)
    fit.light.load_state_dict(mark.light)
    with torch.no_grad():
        level, overlap = judge(renderer, mark.surface, fit.material, fit.light.prefiltered(), views)
    return {"stage": fit.name, "step": mark.step, "seconds": mark.seconds, "psnr_db": level, "mask_iou": overlap}


def main(asked: str, told: str, began: str, marks: str) -> None:
    """Run, judge, tell."""
    diary = Diary(float(began), int(marks))
    request = parse(json.loads(Path(asked).read_text(encoding="utf-8")))
    request = replace(request, device=str(pick_device(request.device)))

    class Watching(Watch):
        """The run's watch, which keeps the diary too."""

        def begin(self, fit: Fit, later_steps: int) -> None:
            diary.begin(fit)
            super().begin(fit, later_steps)

        def on_step(self, fit: Fit, terms: Mapping[str, Tensor]) -> bool:
            diary.look(fit)
            return super().on_step(fit, terms)

    with (
        tempfile.TemporaryDirectory(prefix="unrender-benchmark-") as folder,
        Job(Path(folder, "job"), request) as job,
        mock.patch.object(pipeline, "Watch", Watching),  # the run itself has no place for a second listener
    ):
        result = pipeline.reconstruct(request, job, diary.hear)
        complete = diary.now()
    renderer = diary.marks[0].fit.renderer
    dataset = read_scene(request, renderer, torch.device(request.device)).dataset
    views = dataset.test if dataset.test is not None else dataset.train.span(0, min(8, len(dataset.train)))
    rows = [_judged(mark, renderer, views) for mark in diary.marks]
    steps = request.shape.steps + request.refine.steps
    last = {"stage": "export", "step": steps, "seconds": complete, "psnr_db": result.metrics["psnr"], "mask_iou": None}
    found = {"marks": [*rows, last], "stages": diary.stages, "events": diary.events}
    Path(told).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
