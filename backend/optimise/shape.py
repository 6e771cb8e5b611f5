from __future__ import annotations

from collections.abc import Mapping
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
from backend.loss.regularisers import light_whiteness, material_smoothness
from backend.material.channels import MaterialSample
from backend.material.field import MaterialField
from backend.optimise.delayed_light import DelayedLight
from backend.optimise.fit import weighted
from backend.optimise.phases import phases
from backend.optimise.pyramid import halved
from backend.optimise.sampling import batch, generator
from backend.optimise.schedule import exponential, falling, ramp
from backend.render.renderer import Frame, Pixels, Renderer, Surface

JITTER = 0.01  # how far the smoothness term looks, in the normalised box
SMOOTHNESS_POINTS = 16384  # at how many points of a step it looks: the mean needs no more
DISTANCE_STEP = 0.1  # Adam's step of the signed distance, in cells
FINAL_RATE = 0.1  # what the learning rates have fallen to at the end


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
    ) -> None:
        """Views and hull ([R, R, R] inside-ness in [0, 1] over [-half_extent, half_extent]^3) on the run's device."""
        self.settings, self.views, self.renderer, self.seed = settings, views, renderer, seed
        self.light = light
        self.delayed = DelayedLight(light, light_settings.prefilter_every, light_settings.lock)
        self.steps, self.step = settings.steps, 0
        self.phases = phases(settings, views)
        self.phase = -1
        self.reseeded = 0
        self.grid = SignedDistanceGrid.from_field(hull, self.phases[0].cells, settings.method, half_extent)
        layout = hash_layout(settings.hash_levels, log2_size=settings.hash_log2_size)
        start = generator(seed, "field", 0)
        self.field = MaterialField(renderer.engine, layout, generator=start).to(views.images.device)
        self.material_optimiser = torch.optim.Adam(
            [
                {"params": self.field.parameters(), "rate": settings.learning_rate},
                {"params": list(light.parameters()), "rate": settings.learning_rate * self.delayed.every},
            ],
            lr=settings.learning_rate,
            betas=(0.9, 0.99),
            eps=1e-15,
            fused=True,
        )
        self._enter(0)

    def advance(self) -> Mapping[str, Tensor]:
        """One step; see `Fit`."""
        while self.phase + 1 < len(self.phases) and self.step >= self.phases[self.phase + 1].first:
            self._enter(self.phase + 1)
        device = self.views.images.device
        index = batch(len(self.views), self.settings.views_per_step, self.step, self.seed, self.name).to(device)
        cameras = self.scaled.cameras.select(index)
        surface, regularity = self._extract()
        light = self.delayed.prefiltered()
        frame = self.renderer.render(surface, self.material, light, cameras, self.scaled.canvas)

        random = generator(self.seed, self.name, self.step, device)
        seed = torch.tensor([self.step], dtype=torch.int32, device=device)
        compared = photometric(self.renderer.engine, frame.image, self.scaled, index, seed)
        absolute = self.settings.method == "flexicubes"
        terms = {
            "color": compared.color,
            "mask": compared.mask_absolute if absolute else compared.mask_squared,
            "sdf_sign": self.grid.sign_changes_loss(),
            "material_smoothness": self._smoothness(frame, random),
            "light_whiteness": light_whiteness(self.light.texels())
            if self.delayed.due(self.step)
            else frame.image.new_zeros(()),
            "surface_spread": regularity,
        }
        self._descend(weighted(terms, self._weights()))
        return {name: term.detach() for name, term in terms.items()} | {"psnr": compared.psnr}

    def surface(self) -> Surface:
        """The present surface, as the renderer draws it."""
        return self._extract()[0]

    def _extract(self) -> tuple[Surface, Tensor]:
        """The present surface, and FlexiCubes' spread. A surface that vanished is put back first."""
        extracted = self.grid.surface()
        if extracted.is_empty:
            self.grid.reseed()
            self.reseeded += 1
            self._geometry_optimiser()
            extracted = self.grid.surface()
        faces = extracted.faces
        normals = vertex_normals(extracted.vertices, faces)
        return Surface(extracted.vertices, faces, normals, edge_adjacency(faces)), extracted.regularity

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
            "geometry_optimiser": self.geometry_optimiser.state_dict(),
            "material_optimiser": self.material_optimiser.state_dict(),
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
        self.geometry_optimiser.load_state_dict(state["geometry_optimiser"])
        self.material_optimiser.load_state_dict(state["material_optimiser"])
        self.step, self.reseeded = state["step"], state["reseeded"]

    def _enter(self, number: int) -> None:
        self.phase = number
        phase = self.phases[number]
        if self.grid.cells != phase.cells:
            self.grid = self.grid.refined(phase.cells)
        self.scaled = halved(self.views, phase.halvings)
        self._geometry_optimiser()

    def _geometry_optimiser(self) -> None:
        groups = [{"params": [self.grid.sdf], "rate": DISTANCE_STEP}]
        others = [p for p in self.grid.parameters() if p is not self.grid.sdf]
        groups.append({"params": others, "rate": self.settings.learning_rate})
        self.geometry_optimiser = torch.optim.Adam(groups, lr=DISTANCE_STEP, betas=(0.9, 0.99), fused=True)

    def _descend(self, loss: Tensor) -> None:
        factor = exponential(self.step / self.steps, FINAL_RATE)
        for optimiser in (self.geometry_optimiser, self.material_optimiser):
            for group in optimiser.param_groups:
                group["lr"] = group["rate"] * factor
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.delayed.hand_back(self.step)
        self.geometry_optimiser.step()
        self.material_optimiser.step()

    def _smoothness(self, frame: Frame, random: torch.Generator) -> Tensor:
        points = frame.pixels.position.detach()
        sample = frame.sample
        if points.shape[0] > SMOOTHNESS_POINTS:
            stride = -(-points.shape[0] // SMOOTHNESS_POINTS)
            points = points[::stride]
            sample = MaterialSample(sample.base_color[::stride], sample.roughness[::stride], sample.metallic[::stride])
        near = points + JITTER * torch.randn(points.shape, generator=random, device=points.device)
        if points.shape[0] == 0:
            return points.sum()
        color, rest = material_smoothness(sample, self.field(near))
        return color + rest

    def _weights(self) -> dict[str, float]:
        weights = self.settings.weights
        fraction = self.step / self.steps
        return {
            "color": weights.color,
            "mask": weights.mask,
            "sdf_sign": falling(weights.sdf_sign_start, weights.sdf_sign_end, 4.0 * fraction),
            "material_smoothness": weights.material_smoothness * ramp(self.step, 0, weights.smoothness_ramp),
            "light_whiteness": weights.light_whiteness,
            "surface_spread": weights.surface_spread,
        }
