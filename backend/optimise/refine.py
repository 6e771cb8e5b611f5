from __future__ import annotations

import math
from collections.abc import Mapping
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
from backend.geometry.tangents import tangents
from backend.light.environment import EnvironmentLight
from backend.loss.photometric import photometric
from backend.loss.regularisers import gain_mean, light_whiteness, material_smoothness, normal_uprightness
from backend.material.channels import MaterialSample
from backend.material.textures import MaterialTextures
from backend.optimise.delayed_light import DelayedLight
from backend.optimise.fit import weighted
from backend.optimise.sampling import batch, generator
from backend.optimise.schedule import exponential, ramp
from backend.render.renderer import Frame, Pixels, Renderer, Surface

FINAL_RATE = 0.1  # what the learning rates have fallen to at the end
TANGENTS_EVERY = 25  # steps between two computations of the tangent frames, which move far less than the positions do
JITTER_TEXELS = 1.5  # how far the smoothness terms look
SHARPNESS = 1.0  # mip levels finer than a pixel's footprint wants: the fit fixes every texel, not only blocks of them
TEXTURE_STARTS = (
    0.0,
    0.2,
    0.45,
)  # part of the steps after which the textures have a quarter, half and all of their side
SMALLEST_TEXTURE = 64


class RefineFit:
    """Stage 3: topology and texture coordinates stay; positions, textures, light and per-image gains are fitted on."""

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
    ) -> None:
        """All on the run's device; the mesh has texture coordinates.

        With `coarse_to_fine` the textures start at a quarter of their side: what is seen seldom then follows what is seen often.
        Leave it out where `textures` already hold detail that is to be kept.
        """
        self.settings, self.views, self.renderer, self.seed = settings, views, renderer, seed
        self.light, self.size = light, max(textures.size)
        self.coarse_to_fine = coarse_to_fine
        self.lock_positions = lock_positions
        self.delayed = DelayedLight(light, light_settings.prefilter_every, light_settings.lock)
        self.steps, self.step = settings.steps, 0
        self.start = mesh
        self.adjacency = edge_adjacency(mesh.faces)
        preconditioner = Preconditioner(
            mesh.vertices.shape[0], mesh.faces, settings.preconditioning, renderer.engine
        )
        self.positions = torch.nn.Parameter(mesh.vertices.clone(), requires_grad=not lock_positions)
        self.position_optimiser = PreconditionedAdam(self.positions, preconditioner, settings.learning_rate_positions)
        self.neighbours = Neighbours.of(mesh.faces, mesh.vertices.shape[0])
        self.log_gains = torch.nn.Parameter(torch.zeros(len(views), 3, device=mesh.vertices.device))
        self.frames = tangents(mesh, vertex_normals(mesh.vertices, mesh.faces))
        self._take_textures(textures.resized(self._texture_size()) if coarse_to_fine else textures)

    def advance(self) -> Mapping[str, Tensor]:
        """One step; see `Fit`."""
        device = self.views.images.device
        if max(self.textures.size) != self._texture_size():
            self._take_textures(self.textures.resized(self._texture_size()))
        index = batch(len(self.views), self.settings.views_per_step, self.step, self.seed, self.name).to(device)
        cameras = self.views.cameras.select(index)
        surface = self.surface()
        light = self.delayed.prefiltered()
        frame = self.renderer.render(surface, self.material, light, cameras, self.views.canvas)
        image = frame.image
        if self.settings.exposure:
            gains = torch.cat([self.log_gains[index].exp(), torch.ones_like(self.log_gains[index, :1])], -1)
            image = image * gains[:, None, None, :]

        random = generator(self.seed, self.name, self.step, device)
        seed = torch.tensor([self.step], dtype=torch.int32, device=device)
        compared = photometric(self.renderer.engine, image, self.views, index, seed)
        color_near, rest_near = self._smoothness(frame, random)
        terms = {
            "color": compared.color,
            "mask": compared.mask_squared,
            "material_smoothness": color_near,
            "roughness_metallic_smoothness": rest_near,
            "light_whiteness": light_whiteness(self.light.texels())
            if self.delayed.due(self.step)
            else image.new_zeros(()),
        }
        if self.settings.weights.normal_smoothness and frame.sample.normal is not None:
            terms["normal_smoothness"] = normal_uprightness(frame.sample.normal)
        if self.settings.weights.laplacian:
            terms["laplacian"] = laplacian_loss(surface.vertices, self.start.vertices, self.neighbours)
        if self.settings.exposure:
            terms["gain_mean"] = gain_mean(self.log_gains)
        self._descend(weighted(terms, self._weights()))
        return {name: term.detach() for name, term in terms.items()} | {"psnr": compared.psnr}

    def surface(self) -> Surface:
        """The mesh as the renderer draws it; gradients reach the positions unless they are locked."""
        vertices = self.positions
        normals = vertex_normals(vertices, self.start.faces)
        if not self.lock_positions and self.step % TANGENTS_EVERY == 0:
            detached = Mesh(vertices.detach(), self.start.faces, self.start.uvs, self.start.uv_faces)
            self.frames = tangents(detached, normals.detach())
        return Surface(
            vertices,
            self.start.faces,
            normals,
            self.adjacency,
            self.start.uvs,
            self.start.uv_faces,
            self.frames[0],
            self.frames[1],
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
            "log_gains": self.log_gains.detach().clone(),
            "frames": self.frames,
            "optimiser": self.optimiser.state_dict(),
            "position_optimiser": self.position_optimiser.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """See `Fit`."""
        self.step = state["step"]
        size = state["textures"]["base_color"].shape[0]
        if max(self.textures.size) != size:
            self._take_textures(self.textures.resized(size))
        self.textures.load_state_dict(state["textures"])
        self.light.load_state_dict(state["light"])
        self.delayed.restore(state["delayed"])
        with torch.no_grad():
            self.positions.copy_(state["positions"])
            self.log_gains.copy_(state["log_gains"])
        self.frames = state["frames"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.position_optimiser.load_state_dict(state["position_optimiser"])

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
        groups = [{"params": list(textures.parameters()), "rate": settings.learning_rate_textures}]
        if not self.delayed.locked:
            groups.append(
                {"params": list(self.light.parameters()), "rate": settings.learning_rate_light * self.delayed.every}
            )
        if settings.exposure:
            groups.append({"params": [self.log_gains], "rate": settings.learning_rate_light})
        self.optimiser = torch.optim.Adam(
            groups, lr=settings.learning_rate_textures, betas=(0.9, 0.99), eps=1e-15, fused=True
        )

    def _descend(self, loss: Tensor) -> None:
        factor = exponential(self.step / self.steps, FINAL_RATE)
        for group in self.optimiser.param_groups:
            group["lr"] = group["rate"] * factor
        self.optimiser.zero_grad(set_to_none=True)
        self.position_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.delayed.hand_back(self.step)
        self.optimiser.step()
        self.textures.project_()
        if not self.lock_positions:
            self.position_optimiser.param_groups[0]["lr"] = self.settings.learning_rate_positions * factor
            self.position_optimiser.step()

    def _smoothness(self, frame: Frame, random: torch.Generator) -> tuple[Tensor, Tensor]:
        uv, zero = frame.pixels.uv, frame.image.sum() * 0.0
        weights = self.settings.weights
        wanted = weights.material_smoothness or weights.roughness_metallic_smoothness
        if uv is None or uv.shape[0] == 0 or not wanted:
            return zero, zero
        jitter = JITTER_TEXELS / max(self.textures.size) * torch.randn(uv.shape, generator=random, device=uv.device)
        near = self.textures.sample(self.renderer.engine, uv.detach() + jitter, None)
        return material_smoothness(frame.sample, near)

    def _weights(self) -> dict[str, float]:
        weights = self.settings.weights
        rising = ramp(self.step, 0, weights.smoothness_ramp)
        return {
            "color": weights.color,
            "mask": weights.mask,
            "material_smoothness": weights.material_smoothness * rising,
            "roughness_metallic_smoothness": weights.roughness_metallic_smoothness * rising,
            "normal_smoothness": weights.normal_smoothness * rising,
            "light_whiteness": weights.light_whiteness,
            "laplacian": weights.laplacian * (1.0 - self.step / self.steps),
            "gain_mean": 1.0,
        }


def sample_textures(engine: Engine, textures: MaterialTextures, pixels: Pixels) -> MaterialSample:
    """The textures at pixels that have texture coordinates, at the mip level each footprint wants."""
    assert pixels.uv is not None
    level = None
    if pixels.footprint is not None:
        level = (pixels.footprint + math.log2(max(textures.size)) - SHARPNESS).clamp(min=0.0)
    return textures.sample(engine, pixels.uv, level)
