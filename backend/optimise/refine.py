from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from backend.contract import LightSettings, RefineStage
from backend.dataset.views import Views
from backend.engines.adjacency import edge_adjacency
from backend.engines.interface import Engine
from backend.geometry.laplacian import Neighbours, Preconditioner, laplacian_loss
from backend.geometry.mesh import Mesh
from backend.geometry.normals import vertex_normals
from backend.geometry.preconditioned import PreconditionedAdam
from backend.geometry.tangents import TangentFrames
from backend.light.environment import EnvironmentLight
from backend.loss.photometric import photometric
from backend.loss.regularisers import material_smoothness, metalness, normal_uprightness
from backend.material.channels import MaterialSample
from backend.material.textures import MaterialTextures
from backend.optimise.adam import FINAL_RATE, Adam, Group
from backend.optimise.corrections import Corrections
from backend.optimise.delayed_light import DelayedLight
from backend.optimise.fit import weighted
from backend.optimise.portions import Told, joined, portion, shares
from backend.optimise.recorded import Recorded, Tally
from backend.optimise.room import Room
from backend.optimise.sampling import batches, digest
from backend.optimise.schedule import Timetable, exponential, falling, ramp
from backend.optimise.team import Team
from backend.render.renderer import Frame, Pixels, Renderer, Surface

TANGENTS_EVERY = 25  # steps between two computations of the tangent frames, which move far less than the positions do
JITTER_TEXELS = 1.5  # how far the smoothness terms look
SMOOTHNESS_POINTS = 65536  # at how many points of a step they look: the mean needs no more
SHARPNESS = 1.0  # mip levels finer than a pixel's footprint wants: the fit fixes every texel, not only blocks of them
# part of the steps after which the textures have a quarter, half and all of their side
TEXTURE_STARTS = (0.0, 0.2, 0.45)
SMALLEST_TEXTURE = 64


class RefineFit:
    """Stage 3: topology and texture coordinates stay; positions, textures, light and the images' corrections are fitted on."""

    name = "refine"

    def __init__(
        self,
        settings: RefineStage,
        views: Views,
        mesh: Mesh,
        textures: MaterialTextures,
        light: EnvironmentLight,
        light_settings: LightSettings,
        lock_positions: bool,
        renderer: Renderer,
        seed: int,
        coarse_to_fine: bool = True,
        team: Team | None = None,
        at_once: int | None = None,
        corrections: Corrections | None = None,
    ) -> None:
        """All on the run's device; the mesh has texture coordinates, the textures an opacity where there are layers to see through.

        A step renders at most `at_once` of its views at a time, None for all: the gradient is the same, the memory less.

        With `coarse_to_fine` the textures start at a quarter of their side: what is seen seldom then follows what is seen often.
        Leave it out where `textures` already hold detail that is to be kept.
        """
        self.settings, self.views, self.renderer, self.seed = settings, views, renderer, seed
        self.team = team or Team()
        self.light, self.size, device = light, max(textures.size), mesh.vertices.device
        self.coarse_to_fine = coarse_to_fine
        self.lock_positions = lock_positions
        self.delayed = DelayedLight(
            light,
            light_settings.prefilter_every,
            light_settings.lock,
            settings.learning_rate_light,
            settings.weights.light_whiteness,
            self.team,
        )
        self.steps, self.step = settings.steps, 0
        self.start = mesh
        self.adjacency = edge_adjacency(mesh.faces)
        preconditioner = Preconditioner(mesh.vertices.shape[0], mesh.faces, settings.preconditioning, renderer.engine)
        self.positions = torch.nn.Parameter(mesh.vertices.clone(), requires_grad=not lock_positions)
        self.position_optimiser = PreconditionedAdam(self.positions, preconditioner)
        self.neighbours = Neighbours.of(mesh.faces, mesh.vertices.shape[0])
        self.corrections = corrections or Corrections(views.cameras)
        rates = settings.learning_rate_light, settings.learning_rate_poses
        self.correction_optimiser = Adam(self.corrections.groups(*rates), eps=1e-15)
        self.tangents = TangentFrames.of(mesh)
        self.frames = self.tangents.at(mesh.vertices, vertex_normals(mesh.vertices, mesh.faces))
        self.timetable = Timetable(self._columns(), settings.steps, device)
        order = batches(len(views), settings.views_per_step, settings.steps, seed, self.name)
        self.order = self.team.share(order).to(device)
        self.portion = portion(self.order.shape[1], at_once)
        self.clock = torch.zeros(1, dtype=torch.int64, device=device)
        self.jitter = torch.zeros(SMOOTHNESS_POINTS, 2, device=device)
        self.random = torch.Generator(device)
        self.room, self.tally = Room(device, surface=False), Tally()
        self.recorded = Recorded(self._step, device, renderer.engine.recordable)
        self._take_textures(textures.resized(self._texture_size()) if coarse_to_fine else textures)

    def advance(self) -> Mapping[str, Tensor]:
        """One step; see `Fit`."""
        if max(self.textures.size) != self._texture_size():
            self._take_textures(self.textures.resized(self._texture_size()))
        counts = self.tally.latest(wait=not self.room.known)
        if counts is not None and self.room.take((0, 0, *counts)):
            self.recorded.forget()
        if not self.lock_positions and self.step % TANGENTS_EVERY == 0:
            vertices = self.positions.detach()
            self.frames.copy_(self.tangents.at(vertices, vertex_normals(vertices, self.start.faces)))
        self.clock.fill_(self.step)
        self.jitter.normal_(generator=self.random.manual_seed(digest(self.seed, self.name, self.step)))
        terms = self.recorded(self.room.known)
        self.tally.post(self.covered)
        self.delayed.after_step(self.step, self.factor)
        return terms

    def _step(self) -> dict[str, Tensor]:
        """The step in `clock`; recordable once the room is known."""
        index, now = self.order.index_select(0, self.clock)[0], self.timetable.at(self.clock)
        rate = now["rate"]
        assert rate is not None
        self.optimiser.zero_grad()
        self.correction_optimiser.zero_grad()
        self.positions.grad = None
        told = [
            self._compare(part, share, now) for part, share in shares(index, self.portion, self.views.cameras.sizes)
        ]
        own = self._own_terms()
        if own:
            weighted(own, now).backward()
        self._average_gradients()
        self.optimiser.step(rate)
        self.textures.project_()
        self.correction_optimiser.step(rate)
        if not self.lock_positions:
            self.position_optimiser.step(self.settings.learning_rate_positions * rate)
        terms, self.covered = joined(told)
        self.factor = rate
        whole = {name: term.detach() for name, term in own.items()}
        return {**terms, **whole, "light_whiteness": self.delayed.whiteness}

    def _compare(self, index: Tensor, share: Tensor | float, now: Mapping[str, Tensor | None]) -> Told:
        """Render some of the step's views and send back the gradient of their share of the loss."""
        cameras, canvas = self.corrections.cameras(self.views.cameras, index), self.views.canvas
        surface = self.surface()
        smooth = self.settings.weights.material_smoothness or self.settings.weights.roughness_metallic_smoothness
        beside: list[MaterialSample] = []

        def material(pixels: Pixels) -> MaterialSample:
            if not smooth:
                return self.material(pixels)
            here, near = self._sampled(pixels)
            beside.append(near)
            return here

        frame = self.renderer.render(surface, material, self.delayed.shown, cameras, canvas, self.room.pixels)
        image, real = self.corrections.exposed(frame.image, index), frame.pixels.real
        compared = photometric(self.renderer.engine, image, self.views, index, self.clock.int())
        terms = {"color": compared.color, "mask": compared.mask_squared}
        for near in beside:
            terms |= self._smoothness(frame, near)
        if self.settings.weights.metallic:
            terms["metallic"] = metalness(frame.sample.metallic, compared.pixels, real)
        if self.settings.weights.normal_smoothness and frame.sample.normal is not None:
            terms["normal_smoothness"] = normal_uprightness(frame.sample.normal, real)
        (share * weighted(terms, now)).backward()
        told = {name: term.detach() for name, term in terms.items()}
        return Told(share, {**told, "psnr": compared.psnr}, frame.pixels.covered)

    def _own_terms(self) -> dict[str, Tensor]:
        """The terms that look at no view."""
        terms = {}
        if self.settings.weights.laplacian and not self.lock_positions:
            terms["laplacian"] = laplacian_loss(self.positions, self.start.vertices, self.neighbours)
        return terms

    def release(self) -> None:
        """See `Fit`."""
        self.recorded.forget()
        self.delayed.release()

    def finish(self) -> None:
        """Give back the memory of everything but the result: no step may follow."""
        del self.optimiser, self.position_optimiser, self.views
        for parameter in (*self.textures.parameters(), self.positions):
            parameter.grad = None

    def surface(self) -> Surface:
        """The mesh as the renderer draws it; gradients reach the positions unless they are locked."""
        return Surface(
            self.positions,
            self.start.faces,
            vertex_normals(self.positions, self.start.faces),
            self.adjacency,
            self.start.uvs,
            self.start.uv_faces,
            self.frames,
            self.tangents.index,
            layers=self.settings.layers,
        )

    def mesh(self) -> Mesh:
        """The present mesh, detached."""
        return Mesh(self.positions.detach().clone(), self.start.faces, self.start.uvs, self.start.uv_faces)

    def final_textures(self) -> MaterialTextures:
        """The textures at their full size, whatever size the present step has them in."""
        return self.textures if max(self.textures.size) == self.size else self.textures.resized(self.size)

    def material(self, pixels: Pixels) -> MaterialSample:
        """The textures at the pixels, at the mip level their footprint wants."""
        return sample_textures(self.renderer.engine, self.textures, pixels)

    def state(self) -> dict[str, Any]:
        """See `Fit`."""
        return {
            "step": self.step,
            "textures": self.textures.state_dict(),
            "light": self.light.state_dict(),
            "delayed": self.delayed.state(),
            "positions": self.positions.detach().clone(),
            "frames": self.frames.clone(),
            "optimiser": self.optimiser.state(),
            "corrections": self.corrections.state_dict(),
            "correction_optimiser": self.correction_optimiser.state(),
            "position_optimiser": self.position_optimiser.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """See `Fit`."""
        self.step = state["step"]
        size = state["textures"]["values"].shape[0]
        if max(self.textures.size) != size:
            self._take_textures(self.textures.resized(size))
        self.textures.load_state_dict(state["textures"])
        self.light.load_state_dict(state["light"])
        self.delayed.restore(state["delayed"])
        with torch.no_grad():
            self.positions.copy_(state["positions"])
            self.frames.copy_(state["frames"])
        self.corrections.load_state_dict(state["corrections"])
        self.optimiser.restore(state["optimiser"])
        self.correction_optimiser.restore(state["correction_optimiser"])
        self.position_optimiser.restore(state["position_optimiser"])
        if size > self.size:  # the plan has become smaller since
            self._take_textures(self.textures.resized(self._texture_size()))
        self.recorded.forget()

    def _texture_size(self) -> int:
        """Side of the textures at the present step."""
        if not self.coarse_to_fine:
            return self.size
        begun = sum(self.step >= start * self.steps for start in TEXTURE_STARTS)
        return max(min(SMALLEST_TEXTURE, self.size), self.size >> (len(TEXTURE_STARTS) - begun))

    def _take_textures(self, textures: MaterialTextures) -> None:
        """Fit these textures from now on."""
        self.textures = textures
        settings = self.settings
        self.optimiser = Adam([Group.of(textures.parameters(), settings.learning_rate_textures)], eps=1e-15)
        self.recorded.forget()

    def _average_gradients(self) -> None:
        parameters = (*self.textures.parameters(), self.positions, *self.corrections.parameters())
        self.team.average_([parameter.grad for parameter in parameters])

    def _sampled(self, pixels: Pixels) -> tuple[MaterialSample, MaterialSample]:
        """The material at the pixels, and at a point near every so-manieth of them (`_stride`) at the finest level."""
        assert pixels.uv is not None
        places = pixels.uv[:: _stride(pixels)].detach()
        near = places + JITTER_TEXELS / max(self.textures.size) * self.jitter[: places.shape[0]]
        level = texture_level(self.textures, pixels)
        if level is not None:
            level = torch.cat((level, level.new_zeros(near.shape[0])))
        both = self.textures.sample(self.renderer.engine, torch.cat((pixels.uv, near)), level)
        count = pixels.uv.shape[0]
        return both.rows(slice(count)), both.rows(slice(count, None))

    def _smoothness(self, frame: Frame, near: MaterialSample) -> dict[str, Tensor]:
        stride, real = _stride(frame.pixels), frame.pixels.real
        here = frame.sample.rows(slice(None, None, stride))
        color, rest = material_smoothness(here, near, None if real is None else real[::stride])
        return {"material_smoothness": color, "roughness_metallic_smoothness": rest}

    def _columns(self) -> dict[str, Callable[[int], float]]:
        """The weights of the terms, by step, and what the learning rates have fallen to."""
        weights, steps = self.settings.weights, max(1, self.steps)

        def rising(weight: float) -> Callable[[int], float]:
            return lambda step: weight * ramp(step, 0, weights.smoothness_ramp)

        return {
            "color": lambda _: weights.color,
            "mask": lambda _: weights.mask,
            "material_smoothness": rising(weights.material_smoothness),
            "roughness_metallic_smoothness": rising(weights.roughness_metallic_smoothness),
            "normal_smoothness": rising(weights.normal_smoothness),
            "metallic": lambda step: falling(weights.metallic, 0.0, 2.0 * step / steps),
            "laplacian": lambda step: weights.laplacian * (1.0 - step / steps),
            "rate": lambda step: exponential(step / steps, FINAL_RATE),
        }


def sample_textures(engine: Engine, textures: MaterialTextures, pixels: Pixels) -> MaterialSample:
    """The textures at pixels that have texture coordinates, at the mip level each footprint wants."""
    assert pixels.uv is not None
    return textures.sample(engine, pixels.uv, texture_level(textures, pixels))


def texture_level(textures: MaterialTextures, pixels: Pixels) -> Tensor | None:
    """[M] the mip level that each pixel's footprint wants, None where the footprints are not known."""
    if pixels.footprint is None:
        return None
    return (pixels.footprint + math.log2(max(textures.size)) - SHARPNESS).clamp(min=0.0)


def _stride(pixels: Pixels) -> int:
    return max(1, -(-pixels.index.shape[0] // SMOOTHNESS_POINTS))
