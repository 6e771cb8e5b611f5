from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend.contract import Event, MeshUpdate, Preview, Progress, UnrenderError
from backend.dataset.views import Similarity, Views
from backend.export.images import write_png
from backend.job import Job
from backend.light.environment import EnvironmentLight
from backend.loss.metrics import encode_over_white, encode_srgb
from backend.optimise.checkpoint import save_checkpoint
from backend.optimise.fit import Fit
from backend.optimise.refine import RefineFit
from backend.optimise.shape import ShapeFit
from backend.pictures import maps_strip
from backend.render.renderer import Renderer

_EVERY_PROGRESS = 0.5  # seconds
_EVERY_CHECKPOINT = 30.0
_EVERY_MESH, _EVERY_MESH_SHARE = (
    2.0,
    0.05,
)  # seconds, and of the time so far: a long run leaves a hundred meshes, not thousands
_FIRST_PICTURE, _EVERY_PICTURE = 5.0, 20.0
_SHARE = 0.01  # of the time that meshes may take from the fit, and pictures again
_LIGHT_ROWS, _LIGHT_MEAN = 128, 0.25  # of the light's picture, and how bright it is on average
_MEANINGFUL = 10  # steps after which the first mesh is worth a look: the visual hull has begun to follow the pictures


class Watch:
    """What a running fit tells the outside: progress with the time left, previews, coarse meshes, checkpoints; and its wish to stop.

    Attributes:
        curves: stage -> list of (step, losses by name, PSNR), for the report.
        timings: part of the run -> seconds, earlier parts of a resumed run included.
        warnings: what was told so far.
    """

    def __init__(
        self,
        job: Job,
        emit: Callable[[Event], None],
        views: Views,
        similarity: Similarity,
        light: EnvironmentLight,
        renderer: Renderer,
    ) -> None:
        self.job, self.emit, self.views, self.similarity = job, emit, views, similarity
        self.light, self.renderer = light, renderer
        self.curves: dict[str, list[tuple[int, dict[str, float], float | None]]] = {}
        self.timings: dict[str, float] = {}
        self.warnings: list[str] = []
        self._start = self._began = self._told = self._saved = time.monotonic()
        self._next_mesh, self._next_picture = self._start, self._start + _FIRST_PICTURE
        self._writer = ThreadPoolExecutor(1, "preview")
        self._written: deque[tuple[Future[None], Event]] = deque()
        self._first_step = self._later_steps = 0
        self._earlier = 0.0
        self._pace = 0.0

    def begin(self, fit: Fit, later_steps: int) -> None:
        """A stage begins, or goes on after a resume; `later_steps` are those of the stages after it."""
        self._began = self._saved = time.monotonic()
        self._first_step, self._later_steps = fit.step, later_steps
        self._earlier = self.timings.get(fit.name, 0.0)
        self.curves.setdefault(fit.name, [])

    def on_step(self, fit: Fit, terms: Mapping[str, Tensor]) -> bool:
        """After each step; False when the run was cancelled, with a checkpoint left behind."""
        now = time.monotonic()
        if now - self._told > _EVERY_PROGRESS or fit.step == fit.steps:
            self._told = now
            self._tell(fit, terms, now)
        stopping = self.job.cancelled()
        if stopping or now - self._saved > _EVERY_CHECKPOINT:
            self._save(fit)
        if fit.step >= _MEANINGFUL:
            if now > self._next_mesh:
                self._show_mesh(fit)
                self._next_mesh = _after(now, max(_EVERY_MESH, _EVERY_MESH_SHARE * (now - self._start)))
            if now > self._next_picture:
                self._show_picture(fit)
                self._next_picture = _after(now, _EVERY_PICTURE)
        self._announce()
        return not stopping

    def end(self, fit: Fit) -> None:
        """A stage reached its end."""
        self._save(fit)
        self._announce(wait=True)

    def time_left(self, steps: int) -> float | None:
        """Seconds that `steps` steps will take at the last pace, None before there was one."""
        return self._pace * steps or None

    def state(self) -> dict[str, Any]:
        """What a resumed run must not forget."""
        return {"curves": self.curves, "timings": self.timings}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` gave."""
        self.curves, self.timings = dict(state["curves"]), {**state["timings"], "views": self.timings["views"]}

    def memory(self, device: torch.device) -> dict[str, float]:
        """Peak memory of this process so far, in gigabytes (10^9 bytes): of the machine, and of the GPU where one is used."""
        found = {}
        if sys.platform != "win32":  # which has no such module
            import resource

            unit = 1 if sys.platform == "darwin" else 1024
            found["memory_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9
        if device.type != "cpu":
            found["gpu_memory_gb"] = torch.cuda.max_memory_allocated(device) / 1e9
        return found

    def _save(self, fit: Fit) -> None:
        self._saved = time.monotonic()
        self.timings[fit.name] = self._earlier + self._saved - self._began
        save_checkpoint(self.job.state / f"{fit.name}.pt", {**fit.state(), **self.state()})

    def _tell(self, fit: Fit, terms: Mapping[str, Tensor], now: float) -> None:
        losses = {name: float(term) for name, term in terms.items()}
        lost = [name for name, value in losses.items() if not math.isfinite(value)]
        if lost:
            raise UnrenderError(
                f"step {fit.step} of the {fit.name} stage: {', '.join(lost)} became infinite or not a number",
                hint="Lower the learning rates, or report it; --resume goes on from the last checkpoint, which is sound.",
                code="diverged",
            )
        value = losses.pop("psnr", None)
        self._pace = (now - self._began) / max(1, fit.step - self._first_step)
        eta = self._pace * (fit.steps - fit.step + self._later_steps)
        self.curves[fit.name].append((fit.step, losses, value))
        self.emit(Progress(stage=fit.name, step=fit.step, steps=fit.steps, eta=eta, losses=losses, psnr=value))

    def _show_mesh(self, fit: Fit) -> None:
        """The present mesh in the scene's own units."""
        assert isinstance(fit, (ShapeFit, RefineFit))
        mesh = fit.mesh()
        vertices = self.similarity.to_scene(mesh.vertices).cpu().numpy()
        faces = mesh.faces.cpu().numpy()
        name = f"{fit.name}-{fit.step:06d}.npz"
        event = MeshUpdate(path=f"preview/{name}", stage=fit.name, step=fit.step, triangles=len(faces))
        self._write(lambda: np.savez(self.job.preview / name, vertices=vertices, faces=faces), event)

    def _show_picture(self, fit: Fit) -> None:
        """Photo, render and difference of the first view; in files beside it the material's maps as seen there, and the light."""
        assert isinstance(fit, (ShapeFit, RefineFit))
        first = torch.zeros(1, dtype=torch.int64, device=self.views.images.device)
        view = self.views.select(first)
        height, width = view.cameras.sizes[0].tolist()
        with torch.no_grad():
            light = self.light.prefiltered()
            cameras = fit.corrections.cameras(self.views.cameras, first)
            frame = self.renderer.render(fit.surface(), fit.material, light, cameras, view.canvas)
            image = fit.corrections.exposed(frame.image, first)
            photo, ours = encode_over_white(view.images[0].float()), encode_over_white(image[0])
            maps = maps_strip(frame).chunk(4, 1)
            around = self.light.to_latlong(_LIGHT_ROWS, cameras.camera_to_world[0])
            around = encode_srgb(_LIGHT_MEAN * around / around.mean().clamp(min=1e-6)).cpu()
        strip = torch.cat([picture[:height, :width] for picture in (photo, ours, (photo - ours).abs())], 1).cpu()
        maps_seen = torch.cat([picture[:height, :width] for picture in maps], 1).cpu()
        name = f"{fit.name}-{fit.step:06d}"

        def write() -> None:
            write_png(self.job.preview / f"{name}-maps.png", maps_seen)  # first: the event tells of all three
            write_png(self.job.preview / f"{name}-light.png", around)
            write_png(self.job.preview / f"{name}.png", strip)

        self._write(write, Preview(path=f"preview/{name}.png", stage=fit.name, step=fit.step))

    def _write(self, write: Callable[[], None], event: Event) -> None:
        """Write a file beside the fit; `event` is told once it is there."""
        self._written.append((self._writer.submit(write), event))

    def _announce(self, wait: bool = False) -> None:
        while self._written and (wait or self._written[0][0].done()):
            written, event = self._written.popleft()
            written.result()
            self.emit(event)


def _after(began: float, pause: float) -> float:
    """When the next preview may come, after one that was begun at `began`: not before `pause`, and at `_SHARE` of the time."""
    now = time.monotonic()
    return now + max(pause, (now - began) / _SHARE)
