"""The sections of a request: each setting with its default, its meaning and its range."""

from __future__ import annotations

import typing
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from .checked import Checked, setting
from .errors import RequestError


@dataclass(frozen=True, kw_only=True)
class ViewSettings(Checked):
    """How the source is read: images of the photographed thing, or views rendered of a reference mesh."""

    PATH: ClassVar[str] = "views"
    resolution: int = setting(
        512,
        "long side of the images the fit uses, in pixels; 0 takes as many as they have, textures show and memory holds",
        0,
        8192,
    )
    holdout: int = setting(
        8, "every how manieth view is held out when the source has no test split; 0 holds none out", 0, 1000
    )
    only: str | None = setting(
        None,
        "the photographs that take part: names, patterns (IMG_96*) or spans (IMG_9669..IMG_9709), with commas between them; null takes all",
    )
    box: Literal["auto"] | tuple[float, ...] = setting(
        "auto", "bounds of the object in scene units: 'auto' or min x, min y, min z, max x, max y, max z"
    )
    environment: str | None = setting(None, "HDRI file under which a reference mesh is rendered")
    count: int = setting(48, "views rendered of a reference mesh", 2, 2000)
    preflight: bool = setting(True, "look for photographs that would hurt the result before the run, and say which")
    drop_bad: bool = setting(False, "leave the photographs that this names out of the fit")

    def check(self) -> None:
        """A box has six numbers, each side longer than zero; nothing can be dropped unchecked."""
        if self.drop_bad and not self.preflight:
            raise RequestError(
                "views.drop_bad is true but views.preflight is false; expected both: it names what is dropped"
            )
        if 0 < self.resolution < 32:
            raise RequestError(f"views.resolution is {self.resolution}; expected 0 or 32 to 8192 pixels")
        if self.box == "auto":
            return
        box = typing.cast("tuple[float, ...]", self.box)
        if len(box) != 6 or any(low >= high for low, high in zip(box[:3], box[3:])):
            raise RequestError(f"views.box is {list(box)}; expected 'auto' or min x, min y, min z, max x, max y, max z")


@dataclass(frozen=True, kw_only=True)
class ShapeWeights(Checked):
    """Weights of the shape stage's loss terms; 0 leaves a term out."""

    PATH: ClassVar[str] = "shape.weights"
    color: float = setting(1.0, "L1 of the sRGB-encoded log(1 + x) of colour", 0, 1e3)
    mask: float = setting(5.0, "coverage: L1 with FlexiCubes, squared with tetrahedra", 0, 1e3)
    sdf_sign_start: float = setting(0.2, "sign changes of the distance over grid edges, at the start", 0, 1e3)
    sdf_sign_end: float = setting(0.01, "the same from the first quarter of the steps on", 0, 1e3)
    material_smoothness: float = setting(0.03, "difference of base colour between a point and a jittered one", 0, 1e3)
    smoothness_ramp: int = setting(500, "steps over which material_smoothness rises from 0", 0, 1_000_000)
    light_whiteness: float = setting(0.005, "difference of the light from its own grey", 0, 1e3)
    surface_spread: float = setting(0.25, "FlexiCubes: spread of dual-vertex-to-crossing distances", 0, 1e3)


@dataclass(frozen=True, kw_only=True)
class ShapeStage(Checked):
    """Stage 1: topology is free; a signed distance grid, a material field and the light are fitted together."""

    PATH: ClassVar[str] = "shape"
    method: Literal["flexicubes", "tetrahedra"] = setting("flexicubes", "how the grid becomes a mesh")
    steps: int = setting(2000, "optimiser steps", 1, 1_000_000)
    views_per_step: int = setting(4, "views rendered in each step", 1, 256)
    cells: int = setting(96, "grid cells along the longest side at the end", 16, 256)
    start_cells: int = setting(32, "grid cells along the longest side at the start", 8, 256)
    hash_levels: int = setting(16, "resolutions of the material field's hash grid", 1, 24)
    hash_log2_size: int = setting(19, "entries of one resolution, as a power of two", 10, 24)
    learning_rate: float = setting(0.01, "Adam's step at the start", 1e-6, 1.0)
    learning_rate_poses: float = setting(
        0.001, "Adam's step of the cameras where refine.poses fits them; 0: not before the shape is there", 0, 1.0
    )
    weights: ShapeWeights = field(default_factory=ShapeWeights)

    def check(self) -> None:
        """Coarse to fine."""
        if self.start_cells > self.cells:
            raise RequestError(f"shape.start_cells is {self.start_cells}; expected at most shape.cells, {self.cells}")


@dataclass(frozen=True, kw_only=True)
class AssetStage(Checked):
    """Stage 2: floaters dropped, triangles reduced to a budget, texture coordinates unwrapped, textures baked."""

    PATH: ClassVar[str] = "asset"
    triangles: int = setting(40_000, "most triangles the asset may have", 100, 10_000_000)
    texture_size: int = setting(1024, "side of the textures in texels", 64, 8192, power_of_two=True)
    unwrap_seconds: float = setting(120.0, "seconds after which a simpler unwrap takes over", 1, 7200)
    padding: int = setting(4, "texels between charts, filled by dilation", 0, 64)
    alpha: Literal["blend", "clip"] = setting(
        "blend", "how the opacity is exported where refine.layers is above 1: as it is, or as there or not there"
    )


@dataclass(frozen=True, kw_only=True)
class RefineWeights(Checked):
    """Weights of the refine stage's loss terms; 0 leaves a term out."""

    PATH: ClassVar[str] = "refine.weights"
    color: float = setting(1.0, "L1 of the sRGB-encoded log(1 + x) of colour", 0, 1e3)
    mask: float = setting(1.0, "squared difference of coverage", 0, 1e3)
    material_smoothness: float = setting(0.03, "difference of base colour between a texel and a jittered one", 0, 1e3)
    roughness_metallic_smoothness: float = setting(0.01, "the same of roughness and metallic", 0, 1e3)
    normal_smoothness: float = setting(0.005, "how far the tangent-space normal leans", 0, 1e3)
    smoothness_ramp: int = setting(500, "steps over which the smoothness terms rise from 0", 0, 1_000_000)
    metallic: float = setting(
        0.003,
        "metallic over the photographs' pixels, falling to 0 by half the steps: what they leave undecided is taken for no metal",
        0,
        1e3,
    )
    light_whiteness: float = setting(0.005, "difference of the light from its own grey", 0, 1e3)
    laplacian: float = setting(
        0.0,
        "uniform Laplacian relative to the stage's first mesh, falling to 0; preconditioning makes it needless",
        0,
        1e6,
    )


@dataclass(frozen=True, kw_only=True)
class RefineStage(Checked):
    """Stage 3: topology and texture coordinates are fixed; positions, textures and light are fitted on."""

    PATH: ClassVar[str] = "refine"
    steps: int = setting(1500, "optimiser steps; 0 leaves the stage out", 0, 1_000_000)
    views_per_step: int = setting(4, "views rendered in each step", 1, 256)
    learning_rate_positions: float = setting(0.003, "step of the vertex positions, in the normalised box", 0, 1.0)
    learning_rate_textures: float = setting(0.01, "Adam's step of the textures", 0, 1.0)
    learning_rate_light: float = setting(0.01, "Adam's step of the light", 0, 1.0)
    preconditioning: float = setting(16.0, "lambda of the positions' preconditioner (I + lambda L)^-1", 0, 1e4)
    exposure: bool = setting(
        False, "fit three gains an image (exposure and white balance), mean held at one; in the shape stage too"
    )
    poses: bool = setting(False, "fit each camera's place, direction and focal length, mean held")
    learning_rate_poses: float = setting(0.001, "Adam's step of the cameras: radians, and half box sides", 0, 1.0)
    layers: int = setting(
        1, "surfaces behind one another that a pixel shows; 1: the nearest, opaque; more fit an opacity too", 1, 16
    )
    weights: RefineWeights = field(default_factory=RefineWeights)


@dataclass(frozen=True, kw_only=True)
class LightSettings(Checked):
    """The environment light: unknown and fitted, or known."""

    PATH: ClassVar[str] = "light"
    file: str | None = setting(None, "known HDRI the light starts from (equirectangular, image centre +X, top +Z)")
    rotation: float = setting(
        0.0,
        "degrees about Z by which the HDRI (and views.environment) is looked up further round, as Blender's Mapping node has it",
        -360,
        360,
    )
    strength: float = setting(
        1.0, "what the HDRI (and views.environment) is multiplied by, as Blender's Background node does", 0, 1e6
    )
    lock: bool = setting(False, "keep the known HDRI as it is")
    space: Literal["world", "camera"] = setting(
        "world",
        "what the light stands fast in: the world, or the camera (an object on a turntable); an HDRI then shows at its centre"
        " what lies behind the object",
    )
    resolution: int = setting(64, "side of a face of the light's cube in texels", 16, 512, power_of_two=True)
    prefilter_every: int = setting(4, "steps between two computations of the prefiltered light", 1, 1000)

    def check(self) -> None:
        """Only a known light can be locked."""
        if self.lock and self.file is None:
            raise RequestError("light.lock is true but light.file is null; expected the HDRI file to keep")
