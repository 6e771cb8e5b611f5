"""What a run starts from: the views, the light, and a mesh where one is given."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from backend.contract import Request, RequestError
from backend.dataset.load import read_source
from backend.dataset.mesh_file import TexturedMesh
from backend.dataset.reference import read_environment, read_mesh
from backend.dataset.source import Reading, Source, survey
from backend.dataset.unit_square import into_unit_square
from backend.dataset.views import Dataset, Similarity
from backend.geometry.mesh import Mesh
from backend.light.environment import EnvironmentLight
from backend.material.channels import MaterialMaps
from backend.plan import Images
from backend.preflight.dropping import without_bad
from backend.preflight.findings import Preflight
from backend.render.renderer import Renderer
from backend.render.synthetic import held_out_of, reference_dataset, same_size

RENDERED_SIDE = 512  # pixels of the views rendered of a mesh where the request leaves it open


@dataclass(frozen=True)
class Scene:
    """The start of a run.

    Attributes:
        dataset: views and the way back to the scene's units, on the CPU.
        light: what is fitted, or the known light, on the run's device.
        kept: mesh and textures of `keep_mesh`, on the run's device, or None.
    """

    dataset: Dataset
    light: EnvironmentLight
    kept: tuple[Mesh, MaterialMaps] | None

    def without_bad(self, found: Preflight) -> tuple[Scene, Preflight]:
        """The scene without the photographs that a check found to hurt, and the check with their names."""
        dataset, found = without_bad(self.dataset, found)
        return replace(self, dataset=dataset), found


def images_of(request: Request, source: Source | None) -> Images:
    """How many images of what size a run will have."""
    if source is None:
        side = request.views.resolution or RENDERED_SIDE
        return Images(request.views.count, held_out_of(request.views.count), side, side)
    return Images(len(source.train), len(source.test), source.height, source.width)


def read_scene(
    request: Request,
    renderer: Renderer,
    device: torch.device,
    reading: Reading | None = None,
    ready: Callable[[], None] = lambda: None,
) -> Scene:
    """Read everything a request names; RequestError says what is wrong with which file.

    Args:
        request, renderer, device: of the run.
        reading: of the photographs, where it was begun before.
        ready: waits until the renderer may be used.
    """
    given, told = (  # first: views may take minutes to render
        _unwrapped(Path(request.keep_mesh)) if request.keep_mesh else (None, ())
    )
    source = (
        survey(Path(request.source), request.views.holdout, request.views.only) if reading is None else reading.source
    )
    if source is None:
        ready()
        dataset = _reference(request, read_mesh(Path(request.source)), renderer, device)
    else:
        dataset = read_source(reading or Reading(source, request.views.resolution, 4), request.views, device)
        ready()
    if request.light.file is None:
        light = _fixed(EnvironmentLight(request.light.resolution), request)
    else:
        light = _known_light(request.light.file, request, request.light.resolution, torch.device("cpu"))
    kept = None if given is None else _keep(given, dataset.similarity, request, device)
    return Scene(replace(dataset, warnings=(*dataset.warnings, *told)), light.to(device), kept)


def _reference(request: Request, asset: TexturedMesh, renderer: Renderer, device: torch.device) -> Dataset:
    if request.views.environment is None:
        raise RequestError(
            f"{request.source} is a mesh, but views.environment is null",
            hint="Name the HDRI it shall stand in: --set views.environment=FILE.hdr",
            code="environment-missing",
        )
    light = _known_light(request.views.environment, request, max(128, request.light.resolution), device)
    return reference_dataset(renderer, asset, light, request.views.resolution or RENDERED_SIDE, request.views.count)


def _known_light(file: str, request: Request, resolution: int, device: torch.device) -> EnvironmentLight:
    """An HDRI as strong and as turned as the request has it: views of a mesh stand in the light that light.file then names."""
    picture = read_environment(Path(file)).to(device) * request.light.strength
    light = EnvironmentLight.from_latlong(picture, resolution, math.radians(request.light.rotation)).to(device)
    return _fixed(light, request)


def _fixed(light: EnvironmentLight, request: Request) -> EnvironmentLight:
    """Fixed to the world or to the cameras, as the request has it."""
    return light.turning_with_cameras() if request.light.space == "camera" else light


def _unwrapped(path: Path) -> tuple[TexturedMesh, tuple[str, ...]]:
    """A mesh with texture coordinates in the unit square, and what had to be done for it."""
    asset = read_mesh(path)
    if not ((asset.uvs < -1e-4).any() or (asset.uvs > 1.0 + 1e-4).any()):
        return asset, ()
    told = f"{path.name}: its texture coordinates reach outside 0 to 1 and were shrunk into it, so the result's differ from the file's"
    return into_unit_square(asset), (told,)


def _keep(
    asset: TexturedMesh, similarity: Similarity, request: Request, device: torch.device
) -> tuple[Mesh, MaterialMaps]:
    vertices = similarity.to_normalised(asset.vertices).to(device)
    if float(vertices.abs().max()) > 4.0:
        raise RequestError(
            f"{request.keep_mesh}: the mesh lies far outside the box the views show ({float(vertices.abs().max()):.1f} half boxes away)",
            hint="export it in the scene's own coordinates (glTF or OBJ with Y up), or give views.box",
            code="mesh-misplaced",
        )
    maps = same_size(asset.maps, request.asset.texture_size)
    on_device = maps.each(lambda values: values.to(device))
    mesh = Mesh(vertices, asset.faces.to(device), asset.uvs.to(device), asset.uv_faces.to(device))
    return mesh, on_device
