from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from backend.contract import Event, MeshUpdate, Preview, Progress
from backend.dataset.views import Similarity, Views
from backend.engines.interface import Engine
from backend.export.images import write_png
from backend.job import Job
from backend.light.environment import EnvironmentLight
from backend.loss.metrics import encode_over_white, psnr
from backend.optimise.checkpoint import save_checkpoint
from backend.optimise.fit import Fit
from backend.optimise.refine import RefineFit
from backend.optimise.shape import ShapeFit
from backend.render.renderer import render

_EVERY_PROGRESS = 0.5  # seconds
_EVERY_CHECKPOINT = 30.0
_FIRST_PREVIEW, _EVERY_PREVIEW = 5.0, 20.0  # seconds; a preview costs about as much as a step
_MEANINGFUL = 20  # steps after which the first mesh is worth a look
_SHARE = {"shape": 0.55, "refine": 0.45}  # of the time left, before a stage has told its own pace


class Watch:
    """What a running fit tells the outside: progress with the time left, previews, coarse meshes, checkpoints; and its wish to stop.

    Attributes:
        curves: stage -> list of (step, losses by name, PSNR), for the report.
    """

    def __init__(
        self,
        job: Job,
        emit: Callable[[Event], None],
        views: Views,
        similarity: Similarity,
        light: EnvironmentLight,
        engine: Engine,
    ) -> None:
        self.job, self.emit, self.views, self.similarity, self.light, self.engine = (
            job,
            emit,
            views,
            similarity,
            light,
            engine,
        )
        self.curves: dict[str, list[tuple[int, dict[str, float], float | None]]] = {}
        self.later: dict[str, int] = {}  # stage -> steps of stages still to come
        self._started = self._told = self._saved = time.monotonic()
        self._pictured = time.monotonic() - _EVERY_PREVIEW + _FIRST_PREVIEW
        self._first_step = 0

    def begin(self, fit: ShapeFit | RefineFit, later_steps: int) -> None:
        """A stage begins (or goes on after a resume); `later_steps` are those of the stages after it."""
        self._started, self._first_step = time.monotonic(), fit.step
        self._saved = time.monotonic()
        self._later_steps = later_steps
        self.curves.setdefault(fit.name, [])

    def on_step(self, fit: Fit, terms: Mapping[str, Tensor]) -> bool:
        """After each step; False when the run was cancelled, with a checkpoint left behind."""
        now = time.monotonic()
        if now - self._told > _EVERY_PROGRESS or fit.step == fit.steps:
            self._told = now
            self._tell(fit, terms, now)
        stopping = self.job.cancelled()
        if stopping or now - self._saved > _EVERY_CHECKPOINT:
            self._saved = now
            self.save(fit)
        if now - self._pictured > _EVERY_PREVIEW and fit.step >= _MEANINGFUL:
            self._pictured = now
            self.show(fit)
        return not stopping

    def save(self, fit: Fit) -> None:
        """Write the stage's checkpoint."""
        save_checkpoint(self.job.state / f"{fit.name}.pt", {**fit.state(), "curve": self.curves.get(fit.name, [])})

    def show(self, fit: Fit) -> None:
        """A picture (photo, render, difference) of the first view, and the present mesh in the scene's own units."""
        assert isinstance(fit, (ShapeFit, RefineFit))
        view = self.views.select(torch.zeros(1, dtype=torch.int64, device=self.views.images.device))
        with torch.no_grad():
            built = fit.surface()
            surface = built[0] if isinstance(built, tuple) else built
            frame = render(self.engine, surface, fit.material, self.light.prefiltered(), view.cameras, view.canvas)
            photo, ours = encode_over_white(view.images[0].float()), encode_over_white(frame.image[0])
        strip = torch.cat([photo, ours, (photo - ours).abs()], 1)
        name = f"{fit.name}-{fit.step:06d}"
        write_png(self.job.preview / f"{name}.png", strip)
        self.emit(Preview(path=f"preview/{name}.png", stage=fit.name, step=fit.step))
        mesh = fit.mesh()
        path = self.job.preview / f"{name}.npz"
        vertices = self.similarity.to_scene(mesh.vertices).cpu().numpy()
        np.savez(path, vertices=vertices, faces=mesh.faces.cpu().numpy())
        self.emit(MeshUpdate(path=f"preview/{name}.npz", stage=fit.name, step=fit.step, triangles=mesh.faces.shape[0]))

    def _tell(self, fit: Fit, terms: Mapping[str, Tensor], now: float) -> None:
        losses = {name: float(term) for name, term in terms.items()}
        done = max(1, fit.step - self._first_step)
        pace = (now - self._started) / done
        eta = pace * (fit.steps - fit.step + self._later_steps)
        value = losses.pop("psnr", None)
        self.curves.setdefault(fit.name, []).append((fit.step, losses, value))
        self.emit(Progress(stage=fit.name, step=fit.step, steps=fit.steps, eta=eta, losses=losses, psnr=value))


def batch_psnr(image: Tensor, reference: Tensor, valid: Tensor) -> Tensor:
    """PSNR (dB) of a step's own views, sRGB-encoded over white; a scalar without gradient."""
    with torch.no_grad():
        return psnr(encode_over_white(image), encode_over_white(reference), valid)
