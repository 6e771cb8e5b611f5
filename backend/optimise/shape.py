from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from backend.contract import LightSettings, ShapeStage
from backend.dataset.views import Views
from backend.engines.adjacency import edge_adjacency
from backend.engines.hash_layout import hash_layout
from backend.geometry.implicit import SignedDistanceGrid
from backend.geometry.mesh import Mesh
from backend.geometry.normals import vertex_normals
from backend.light.environment import EnvironmentLight
from backend.loss.photometric import photometric
from backend.loss.regularisers import material_smoothness
from backend.material.channels import MaterialSample
from backend.material.field import MaterialField
from backend.optimise.adam import FINAL_RATE, Adam, Group
from backend.optimise.corrections import Corrections
from backend.optimise.delayed_light import DelayedLight
from backend.optimise.fit import weighted
from backend.optimise.phases import phases
from backend.optimise.portions import Told, joined, portion, shares
from backend.optimise.pyramid import halved
from backend.optimise.recorded import Recorded, Tally
from backend.optimise.room import Room
from backend.optimise.sampling import batches, digest, generator
from backend.optimise.schedule import Timetable, exponential, falling, ramp
from backend.optimise.team import Team
from backend.render.renderer import Frame, Pixels, Renderer, Surface

JITTER = 0.01  # how far the smoothness term looks, in the normalised box
SMOOTHNESS_POINTS = 16384  # at how many points of a step it looks: the mean needs no more
DISTANCE_STEP = 0.1  # Adam's step of the signed distance, in cells


class ShapeFit:
    """Stage 1: a signed distance grid, a material field and the light, fitted together, coarse to fine.

    The grid starts from the visual hull with `start_cells` and images of half size, and is refined to `cells` on the way; an
    empty surface is answered by a new seed, never by a stop.
    """

    name = "shape"

    def __init__(
        self,
        settings: ShapeStage,
        views: Views,
        hull: Tensor,
        half_extent: float,
        light: EnvironmentLight,
        light_settings: LightSettings,
        renderer: Renderer,
        seed: int,
        team: Team | None = None,
        at_once: int | None = None,
        corrections: Corrections | None = None,
    ) -> None:
        """Views and hull ([R, R, R] inside-ness in [0, 1] over [-half_extent, half_extent]^3) on the run's device.

        A step renders at most `at_once` of its views at a time, None for all: the gradient is the same, the memory less.
        """
        self.settings, self.views, self.renderer, self.seed = settings, views, renderer, seed
        self.team = team or Team()
        self.light, device = light, views.images.device
        self.delayed = DelayedLight(
            light,
            light_settings.prefilter_every,
            light_settings.lock,
            settings.learning_rate,
            settings.weights.light_whiteness,
            self.team,
        )
        self.steps, self.step = settings.steps, 0
        self.phases = phases(settings, views)
        self.phase = -1
        self.reseeded = 0
        self.grid = SignedDistanceGrid.from_field(
            hull, self.phases[0].cells, settings.method, half_extent, renderer.engine
        )
        layout = hash_layout(settings.hash_levels, log2_size=settings.hash_log2_size)
        start = generator(seed, "field", 0)
        self.field = MaterialField(renderer.engine, layout, generator=start).to(device)
        self.material_optimiser = Adam([Group.of(self.field.parameters(), settings.learning_rate)], eps=1e-15)
        self.corrections = corrections or Corrections(views.cameras)
        rates = settings.learning_rate, settings.learning_rate_poses
        self.correction_optimiser = Adam(self.corrections.groups(*rates), eps=1e-15)
        self.timetable = Timetable(self._columns(), settings.steps, device)
        order = batches(len(views), settings.views_per_step, settings.steps, seed, self.name)
        self.order = self.team.share(order).to(device)
        self.portion = portion(self.order.shape[1], at_once)
        self.clock = torch.zeros(1, dtype=torch.int64, device=device)
        self.jitter = torch.zeros(SMOOTHNESS_POINTS, 3, device=device)
        self.random = torch.Generator(device)
        self.room, self.tally = Room(device, settings.method == "flexicubes"), Tally()
        recordable = settings.method == "flexicubes" and renderer.engine.recordable
        self.recorded = Recorded(self._step, device, recordable)
        self._enter(0)

    def advance(self) -> Mapping[str, Tensor]:
        """One step; see `Fit`."""
        while self.phase + 1 < len(self.phases) and self.step >= self.phases[self.phase + 1].first:
            self._enter(self.phase + 1)
        self._look_back()
        self.clock.fill_(self.step)
        self.jitter.normal_(generator=self.random.manual_seed(digest(self.seed, self.name, self.step)))
        terms = self.recorded(self.room.known)
        self.tally.post(self.counts)
        self.delayed.after_step(self.step, self.factor)
        return terms

    def _step(self) -> dict[str, Tensor]:
        """The step in `clock`; recordable once the room is known."""
        index, now = self.order.index_select(0, self.clock)[0], self.timetable.at(self.clock)
        rate = now["rate"]
        assert rate is not None
        extracted = self.grid.surface(capacity=self.room.surface)
        vertices = extracted.vertices.detach().requires_grad_()
        vertices.grad = torch.zeros_like(vertices)  # gathers what the portions say of the surface
        adjacency = edge_adjacency(extracted.faces)
        self.geometry_optimiser.zero_grad()
        self.material_optimiser.zero_grad()
        self.correction_optimiser.zero_grad()
        told = [
            self._compare(_surface(vertices, extracted.faces, adjacency), part, share, now)
            for part, share in shares(index, self.portion, self.scaled.cameras.sizes)
        ]
        own = {"sdf_sign": extracted.sign_changes, "surface_spread": extracted.regularity}
        # a product, since a gradient handed to backward() makes torch import its symbolic algebra, for seconds
        (weighted(own, now) + (extracted.vertices * vertices.grad).sum()).backward()
        self._average_gradients()
        self.geometry_optimiser.step(rate)
        self.material_optimiser.step(rate)
        self.correction_optimiser.step(rate)
        terms, covered = joined(told)
        self.counts, self.factor = torch.cat((extracted.counts, covered)), rate
        whole = {name: term.detach() for name, term in own.items()}
        return {**terms, **whole, "light_whiteness": self.delayed.whiteness}

    def _compare(
        self, surface: Surface, index: Tensor, share: Tensor | float, now: Mapping[str, Tensor | None]
    ) -> Told:
        """Render some of the step's views and send back the gradient of their share of the loss."""
        cameras, canvas = self.corrections.cameras(self.scaled.cameras, index), self.scaled.canvas
        frame = self.renderer.render(surface, self.material, self.delayed.shown, cameras, canvas, self.room.pixels)
        image = self.corrections.exposed(frame.image, index)
        compared = photometric(self.renderer.engine, image, self.scaled, index, self.clock.int())
        absolute = self.settings.method == "flexicubes"
        terms = {
            "color": compared.color,
            "mask": compared.mask_absolute if absolute else compared.mask_squared,
            "material_smoothness": self._smoothness(frame),
        }
        (share * weighted(terms, now)).backward()
        told = {name: term.detach() for name, term in terms.items()}
        return Told(share, {**told, "psnr": compared.psnr}, frame.pixels.covered)

    def release(self) -> None:
        """See `Fit`."""
        self.recorded.forget()
        self.delayed.release()

    def surface(self) -> Surface:
        """The present surface, as the renderer draws it."""
        with torch.no_grad():
            extracted = self.grid.surface()
            return _surface(extracted.vertices, extracted.faces, edge_adjacency(extracted.faces))

    def _look_back(self) -> None:
        """What earlier steps counted: a surface that vanished is put back, and one that outgrows its room gets more."""
        counts = self.tally.latest(wait=not self.room.known)
        if counts is None:
            return
        if counts[1] == 0:
            self.grid.reseed()
            self.reseeded += 1
            self._geometry_optimiser()
        elif self.room.take(counts):
            self.recorded.forget()

    def mesh(self) -> Mesh:
        """The present surface as a mesh, detached, without the extra vertices that fitting wants."""
        with torch.no_grad():
            return self.grid.surface(centres=False).mesh()

    def material(self, pixels: Pixels) -> MaterialSample:
        """The material field at the pixels' positions. No gradient from the material to the shape: it only makes noise."""
        return self.field(pixels.position.detach())

    def state(self) -> dict[str, Any]:
        """See `Fit`."""
        return {
            "step": self.step,
            "phase": self.phase,
            "reseeded": self.reseeded,
            "cells": self.grid.cells,
            "grid": self.grid.state_dict(),
            "field": self.field.state_dict(),
            "light": self.light.state_dict(),
            "delayed": self.delayed.state(),
            "geometry_optimiser": self.geometry_optimiser.state(),
            "material_optimiser": self.material_optimiser.state(),
            "corrections": self.corrections.state_dict(),
            "correction_optimiser": self.correction_optimiser.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """See `Fit`."""
        if self.grid.cells != state["cells"]:
            self.grid = self.grid.refined(state["cells"])
        self._enter(state["phase"])
        self.grid.load_state_dict(state["grid"])
        self.field.load_state_dict(state["field"])
        self.light.load_state_dict(state["light"])
        self.delayed.restore(state["delayed"])
        self.geometry_optimiser.restore(state["geometry_optimiser"])
        self.material_optimiser.restore(state["material_optimiser"])
        self.corrections.load_state_dict(state["corrections"])
        self.correction_optimiser.restore(state["correction_optimiser"])
        self.step, self.reseeded = state["step"], state["reseeded"]

    def _enter(self, number: int) -> None:
        self.phase = number
        phase = self.phases[number]
        if self.grid.cells != phase.cells:
            self.grid = self.grid.refined(phase.cells)
        self.scaled = halved(self.views, phase.halvings)
        self._geometry_optimiser()

    def _geometry_optimiser(self) -> None:
        """Begin anew: the grid, or its values, were replaced."""
        others = [parameter for parameter in self.grid.parameters() if parameter is not self.grid.sdf]
        groups = [Group.of([self.grid.sdf], DISTANCE_STEP), Group.of(others, self.settings.learning_rate)]
        self.geometry_optimiser = Adam(groups, eps=1e-8)
        self.room.clear()
        self.tally.clear()
        self.recorded.forget()

    def _average_gradients(self) -> None:
        modules = (self.grid, self.field, self.corrections)
        self.team.average_([parameter.grad for module in modules for parameter in module.parameters()])

    def _smoothness(self, frame: Frame) -> Tensor:
        pixels, sample = frame.pixels, frame.sample
        stride = max(1, -(-pixels.position.shape[0] // SMOOTHNESS_POINTS))
        points = pixels.position[::stride].detach()
        some = sample.rows(slice(None, None, stride))
        near = self.field(points + JITTER * self.jitter[: points.shape[0]])
        color, rest = material_smoothness(some, near, None if pixels.real is None else pixels.real[::stride])
        return color + rest

    def _columns(self) -> dict[str, Callable[[int], float]]:
        """The weights of the terms, by step, and what the learning rates have fallen to."""
        weights, steps = self.settings.weights, max(1, self.steps)
        return {
            "color": lambda _: weights.color,
            "mask": lambda _: weights.mask,
            "sdf_sign": lambda step: falling(weights.sdf_sign_start, weights.sdf_sign_end, 4.0 * step / steps),
            "material_smoothness": lambda step: weights.material_smoothness * ramp(step, 0, weights.smoothness_ramp),
            "surface_spread": lambda _: weights.surface_spread,
            "rate": lambda step: exponential(step / steps, FINAL_RATE),
        }


def _surface(vertices: Tensor, faces: Tensor, adjacency: Tensor) -> Surface:
    return Surface(vertices, faces, vertex_normals(vertices, faces), adjacency)
