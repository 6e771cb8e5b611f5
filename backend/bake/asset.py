from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.bake.texels import Texels, texel_surface
from backend.bake.textures import bake
from backend.bake.unwrap import Unwrapped, unwrap
from backend.contract import AssetStage
from backend.engines.interface import Engine
from backend.geometry.clean import clean, decimate, drop_floaters
from backend.geometry.mesh import Mesh
from backend.material.channels import MaterialMaps, MaterialSample, flat_normal


@dataclass(frozen=True)
class Asset:
    """A mesh with texture coordinates and the textures it starts the refine stage with.

    Attributes:
        mesh: closed as far as decimation could keep it, with uvs.
        maps: base colour, roughness and metallic as the field had them, flat normals; dilated.
        texels: where the maps' texels lie on the mesh.
        warnings: sentences for the artist.
    """

    mesh: Mesh
    maps: MaterialMaps
    texels: Texels
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Cut:
    """A surface that is tidied up and unwrapped; what it is made of may still be fitted.

    Attributes:
        unwrapped: the mesh with texture coordinates.
        warnings: sentences for the artist.
    """

    unwrapped: Unwrapped
    warnings: tuple[str, ...]


def make_asset(mesh: Mesh, field: Callable[[Tensor], MaterialSample], engine: Engine, settings: AssetStage) -> Asset:
    """Stage 2: floaters dropped, triangles reduced, unwrapped, baked.

    Args:
        mesh: the extracted surface, at least one triangle.
        field: points [N, 3] -> the material there.
        engine: who rasterises.
        settings: budget, texture size, time.

    Returns:
        An Asset on the mesh's device, without gradients.
    """
    return bake_cut(cut(mesh, settings), field, engine, settings)


def cut(mesh: Mesh, settings: AssetStage) -> Cut:
    """The part of `make_asset` that asks for the surface alone: floaters dropped, triangles reduced, unwrapped in a child process."""
    warnings = []
    kept, dropped = drop_floaters(mesh)
    if dropped.area > 0.05:
        share = f"{100 * dropped.area:.0f} % of the surface"
        warnings.append(
            f"{dropped.components} loose pieces with {share} were dropped; masks that cut the object apart cause them"
        )
    tidy, _ = clean(decimate(kept, settings.triangles))
    unwrapped = unwrap(tidy, settings.texture_size, settings.padding, settings.unwrap_seconds)
    if unwrapped.method == "fallback":
        warnings.append(f"the simpler unwrap was used: {unwrapped.reason}")
    return Cut(unwrapped, (*warnings, *_crowded(unwrapped)))


def start_cut(mesh: Mesh, settings: AssetStage) -> Future[Cut]:
    """`cut` beside the caller's own work. Nobody has to wait for it: the thread and its child end with the process."""
    promise: Future[Cut] = Future()

    def work() -> None:
        try:
            promise.set_result(cut(mesh, settings))
        except BaseException as error:  # whoever asks for the result gets it
            promise.set_exception(error)

    threading.Thread(target=work, name="cut", daemon=True).start()
    return promise


def bake_cut(cut: Cut, field: Callable[[Tensor], MaterialSample], engine: Engine, settings: AssetStage) -> Asset:
    """The rest of `make_asset`: the field baked into textures."""
    texels = texel_surface(engine, cut.unwrapped.mesh, settings.texture_size)
    return Asset(cut.unwrapped.mesh, bake_field(field, texels), texels, cut.warnings)


def bake_field(field: Callable[[Tensor], MaterialSample], texels: Texels) -> MaterialMaps:
    """The field at the texels, [size, size, C] each, dilated; normals flat."""

    def stacked(points: Tensor) -> Tensor:
        sample = field(points)
        return torch.cat([sample.base_color, sample.roughness, sample.metallic], -1)

    base_color, roughness, metallic = (part.contiguous() for part in bake(stacked, texels).split([3, 1, 1], -1))
    return MaterialMaps(base_color, roughness, metallic, flat_normal(base_color))


def _crowded(unwrapped: Unwrapped) -> tuple[str, ...]:
    if unwrapped.coverage >= 0.2:
        return ()
    share = f"{100 * unwrapped.coverage:.0f} %"
    return (
        f"only {share} of the texture carries surface ({unwrapped.charts} charts); a larger texture keeps its detail",
    )
