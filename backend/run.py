"""A run under way, and how one stage of it is carried to its end, however little memory there turns out to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from backend.bake.texels import Texels
from backend.contract import Cancelled, EnvironmentFault, Event, Request, Warned, write_json
from backend.dataset.views import Views
from backend.job import Job
from backend.memory import is_out_of_memory, release_memory
from backend.optimise.checkpoint import is_sound, load_checkpoint, moved, save_checkpoint
from backend.optimise.corrections import Corrections
from backend.optimise.fit import Fit, run
from backend.optimise.pyramid import halved
from backend.optimise.refine import RefineFit
from backend.optimise.shape import ShapeFit
from backend.optimise.team import Team
from backend.plan import Images, Plan, numbers, smaller_plan
from backend.preflight.findings import Preflight
from backend.render.renderer import Renderer
from backend.scene import Scene
from backend.watch import Watch

OnStep = Callable[[Fit, Mapping[str, Tensor]], bool]
F = TypeVar("F", ShapeFit, RefineFit)


@dataclass
class Run:
    """What every stage of one run needs; `plan` and `train` become smaller where a step runs out of memory."""

    plan: Plan
    images: Images
    job: Job
    emit: Callable[[Event], None]
    device: torch.device
    team: Team
    renderer: Renderer
    scene: Scene
    train: Views
    watch: Watch
    corrections: Corrections  # of `train`
    texels: Texels | None = None  # of the asset's textures, once they were found
    preflight: Preflight | None = None  # what the check of the photographs found
    checking: Future[Preflight] | None = None  # the check while it is under way

    @property
    def request(self) -> Request:
        """The request as it was planned."""
        return self.plan.request

    def hear_check(self, wait: bool) -> None:
        """Tell what the check of the photographs found if it has ended, or when it has."""
        if self.checking is not None and (wait or self.checking.done()):
            found, self.checking = self.checking.result(), None
            self.tell(found)

    def tell(self, found: Preflight) -> None:
        """Tell the artist what a check of the photographs found, and keep it: for the report, and as preflight.json."""
        self.preflight = found
        for warning in found.warnings():
            if warning.code == "preflight-outlines" and self.corrections.poses:
                continue  # what it advises is being done
            self.watch.warnings.append(warning.message)
            self.emit(warning)
        if self.team.leads:
            write_json(self.job.names.preflight, found.to_dict())

    def warn(self, messages: tuple[str, ...]) -> None:
        """Tell the artist, and keep it for the report."""
        for message in messages:
            if message not in self.watch.warnings:
                self.watch.warnings.append(message)
                self.emit(Warned(message=message))

    def leave_photographs(self) -> None:
        """Give back the memory of the photographs, once nothing is fitted any more."""
        images = self.train.images
        self.train = self.watch.views = replace(self.train, images=images.new_empty((0, *images.shape[1:])))


def optimise(run_: Run, stage: str, begin: Callable[[], F], on_step: OnStep, later_steps: int) -> F:
    """Run one stage from its checkpoint or its start; leaves a checkpoint at its end, and where the run is cancelled.

    Where a step runs out of memory the stage goes on with a smaller plan from its last good state.
    """
    path, team = run_.job.state / f"{stage}.pt", run_.team
    stored = team.from_first(lambda: load_checkpoint(path, "cpu") if run_.job.resumed else None)
    if stored is not None:
        run_.watch.restore(stored)

    def together(fit: Fit, terms: Mapping[str, Tensor]) -> bool:
        return team.agree(fit.step, on_step(fit, terms) if team.leads else True)

    while True:
        begun: F | None = None
        fit: F | None = None
        try:
            begun = begin()
            if stored is not None:
                begun.restore(moved(stored, run_.device))
            fit = begun  # whole: its state is worth keeping
            run_.watch.begin(fit, later_steps)
            reached_its_end = run(fit, together)
            fit.release()
            if not reached_its_end:
                run_.job.raise_if_cancelled()
                raise Cancelled("The first process stopped.")
            if team.leads:
                run_.watch.end(fit)
            return fit
        except Exception as error:
            if team.size > 1 or not is_out_of_memory(error):  # the others are in the middle of a step
                raise
            reason = " ".join(str(error).split())[:200]
            kept = _last_state(fit)
            stored = stored if kept is None else {**kept, **run_.watch.state()}
        del fit, begun
        _go_on_smaller(run_, stage, stored, reason)


def _last_state(fit: Fit | None) -> dict[str, Any] | None:
    """What a fit had reached before the step that failed, in the machine's memory; None where it cannot be had."""
    try:
        state = None if fit is None else moved(fit.state(), "cpu")
    except Exception as error:  # even this may want memory that is not there: the state before serves then
        if not is_out_of_memory(error):
            raise
        return None
    return state if is_sound(state) else None


def _go_on_smaller(run_: Run, stage: str, state: dict[str, Any] | None, reason: str) -> None:
    """Take the next smaller plan and say so; EnvironmentFault where there is none, with a checkpoint left behind."""
    release_memory(run_.device)
    if state is not None:
        save_checkpoint(run_.job.state / f"{stage}.pt", moved(state, "cpu"))
    plan = smaller_plan(run_.plan, run_.images, stage)
    step = 0 if state is None else state["step"]
    if plan is None:
        raise EnvironmentFault(
            f"step {step} of the {stage} stage ran out of memory, and there is no smaller plan: {reason}",
            hint="Close other programs, then run the same command with --resume to go on from the checkpoint.",
            code="out-of-memory",
        )
    if plan.request.views.resolution != run_.request.views.resolution:
        run_.train = halved(run_.train, 1)
        run_.watch.views = run_.train
    run_.plan = plan
    write_json(run_.job.state / "plan.json", numbers(plan))
    run_.emit(plan.event(run_.images))
    run_.warn((f"step {step} of the {stage} stage ran out of memory; {plan.notes[0]}",))
