"""What passes between Blender and the backend: the request, the events, the job folder, the result, and what each failure is called.

Both sides import this module, so it needs nothing beyond the standard library of Python 3.10.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import re
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal, TypeVar

STAGES = ("views", "shape", "asset", "refine", "export")  # in the order they run; `Progress.stage` is one of these
PRESETS = ("draft", "standard", "high")
RESULT_FORMAT = 1


class CameraFiles(typing.NamedTuple):
    """One kind of files that posed photographs come with: whose it is, what is looked for in words, and marks that tell it.

    A mark is a pattern of paths in the folder, `*` for any name, and what one of those files has near its beginning (nothing: anything).
    """

    name: str
    files: str
    marks: tuple[tuple[str, bytes], ...]


# the first that is found is read: files that name their images and say most about their lenses come first
CAMERA_FILES = (
    CameraFiles(
        "instant-ngp, nerfstudio, NeRF-synthetic, Unrender",
        "transforms.json or transforms_train.json",
        (("transforms.json", b""), ("transforms_train.json", b"")),
    ),
    CameraFiles("Meshroom", "cameras.sfm or sfm.json", (("cameras.sfm", b""), ("sfm.json", b""), ("sfm.sfm", b""))),
    CameraFiles("Metashape", "an .xml of cameras", (("*.xml", b"<chunk"),)),
    CameraFiles(
        "RealityCapture, RealityScan",
        "a .csv of internal and external camera parameters, or .xmp files beside the images",
        (("*.csv", b"heading"), *((f"{place}*.xmp", b"capturingreality.com") for place in ("images/", "image/", ""))),
    ),
    CameraFiles(
        "NeuS, IDR",
        "cameras_sphere.npz or cameras.npz",
        (("cameras_sphere.npz", b""), ("cameras.npz", b""), ("cameras_large.npz", b"")),
    ),
    CameraFiles(
        "COLMAP",
        "sparse/0/ with cameras, images and points3D (.bin or .txt)",
        tuple(
            (f"{place}images.{kind}", b"")
            for place in ("sparse/*/", "sparse/", "colmap/sparse/*/", "distorted/sparse/*/", "model/", "")
            for kind in ("bin", "txt")
        ),
    ),
    CameraFiles("LLFF, NeRD", "poses_bounds.npy", (("poses_bounds.npy", b""),)),
    CameraFiles("Middlebury", "*_par.txt", (("*_par.txt", b""),)),
)
ALPHA_CUTOFF = 0.5  # opacity from which a clipped surface is there
# what the base colour's alpha is: none, there or not there, as much as it says
Alpha = Literal["opaque", "clip", "blend"]

_Section = TypeVar("_Section")


class UnrenderError(Exception):
    """A failure that is explained to the user: what came, where, what was expected, and what to do about it.

    Attributes:
        code: a short slug that programs may rely on, such as 'image-unreadable'.
        message: what came, where, and what was expected.
        hint: what the user can do; may be empty.
        exit_status: how the process ends when nobody catches this.
    """

    exit_status = 1
    default_code = "failed"

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or self.default_code


class RequestError(UnrenderError):
    """The request or the data is at fault (exit status 2)."""

    exit_status = 2
    default_code = "request-invalid"


class EnvironmentFault(UnrenderError):  # noqa: N818 - EnvironmentError is Python's own, and another thing
    """The machine is at fault: a missing package or device, no permission, a full disk (exit status 3)."""

    exit_status = 3
    default_code = "environment"


class Cancelled(UnrenderError):  # noqa: N818 - a wish of the user, not an error
    """The run was asked to stop and left a checkpoint (exit status 130)."""

    exit_status = 130
    default_code = "cancelled"


# --- The request -----------------------------------------------------------------------------------------------------------


def setting(
    default: Any, meaning: str, low: float | None = None, high: float | None = None, power_of_two: bool = False
) -> Any:
    """A field of a request: its default, its meaning with the unit, and the range (both ends allowed) it must be in.

    The add-on reads the same three from the field's metadata to make its properties.
    """
    bounds = {"meaning": meaning, "low": low, "high": high, "power_of_two": power_of_two}
    return field(default=default, metadata=bounds)


class _Checked:
    """Gives a frozen dataclass the check of each field's type and range when it is made."""

    PATH: ClassVar[str] = ""  # where the section stands in the request: '' for the request itself, 'shape.weights'

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for item in dataclasses.fields(self):  # type: ignore[arg-type]
            name = _join(self.PATH, item.name)
            value = _typed(name, hints[item.name], getattr(self, item.name))
            _in_range(name, value, item.metadata)
            object.__setattr__(self, item.name, value)
        self.check()

    def check(self) -> None:
        """What holds between several fields; raises RequestError."""


@dataclass(frozen=True, kw_only=True)
class ViewSettings(_Checked):
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
class ShapeWeights(_Checked):
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
class ShapeStage(_Checked):
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
class AssetStage(_Checked):
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
class RefineWeights(_Checked):
    """Weights of the refine stage's loss terms; 0 leaves a term out."""

    PATH: ClassVar[str] = "refine.weights"
    color: float = setting(1.0, "L1 of the sRGB-encoded log(1 + x) of colour", 0, 1e3)
    mask: float = setting(1.0, "squared difference of coverage", 0, 1e3)
    material_smoothness: float = setting(0.03, "difference of base colour between a texel and a jittered one", 0, 1e3)
    roughness_metallic_smoothness: float = setting(0.01, "the same of roughness and metallic", 0, 1e3)
    normal_smoothness: float = setting(0.005, "how far the tangent-space normal leans", 0, 1e3)
    smoothness_ramp: int = setting(500, "steps over which the smoothness terms rise from 0", 0, 1_000_000)
    light_whiteness: float = setting(0.005, "difference of the light from its own grey", 0, 1e3)
    laplacian: float = setting(
        0.0,
        "uniform Laplacian relative to the stage's first mesh, falling to 0; preconditioning makes it needless",
        0,
        1e6,
    )


@dataclass(frozen=True, kw_only=True)
class RefineStage(_Checked):
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
class LightSettings(_Checked):
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


@dataclass(frozen=True, kw_only=True)
class Request(_Checked):
    """A whole run. `parse` makes one from a dictionary, its preset's values under the keys that are given."""

    source: str = setting(
        dataclasses.MISSING, "folder of posed images, a transforms.json, or a reference mesh (.obj, .glb, .gltf)"
    )
    preset: Literal["draft", "standard", "high"] = setting("standard", "the set of values this request started from")
    device: str = setting("auto", "'auto', 'cpu', 'cuda' or 'cuda:N'")
    engine: str = setting("auto", "maker of the rendering primitives: 'auto' or a name that `doctor` lists")
    seed: int = setting(0, "start of every random choice", 0, 2**31 - 1)
    threads: int = setting(0, "processor threads used; 0 takes all", 0, 1024)
    views: ViewSettings = field(default_factory=ViewSettings)
    shape: ShapeStage = field(default_factory=ShapeStage)
    asset: AssetStage = field(default_factory=AssetStage)
    refine: RefineStage = field(default_factory=RefineStage)
    light: LightSettings = field(default_factory=LightSettings)
    keep_mesh: str | None = setting(
        None, "mesh with texture coordinates to keep: the shape and asset stages are left out"
    )
    lock_positions: bool = setting(False, "leave the vertices where they are in the refine stage")

    def check(self) -> None:
        """Names that are no choice of a fixed list."""
        if not self.source:
            raise RequestError("source is empty; expected a folder of posed images, a transforms.json or a mesh file")
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise RequestError(f"device is {self.device!r}; expected 'auto', 'cpu', 'cuda' or 'cuda:N'")
        if not self.engine:
            raise RequestError("engine is empty; expected 'auto' or a name that `python -m backend doctor` lists")


def parse(data: Mapping[str, Any]) -> Request:
    """A dictionary, as read from JSON, to a Request: the preset's values, overlaid by the keys that `data` has.

    Raises RequestError for an unknown key, a wrong type or a value out of range, each with its path.
    """
    return _build(Request, apply_preset(_mapping("request", data)), "")


def to_dict(request: Request) -> dict[str, Any]:
    """All of a request as JSON can hold it; `parse` of it gives the same request."""
    return json.loads(json.dumps(dataclasses.asdict(request)))


def apply_preset(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` laid over the values of the preset it names ('standard' when it names none)."""
    name = data.get("preset", "standard")
    if name not in PRESETS:
        raise RequestError(f"preset is {name!r}; expected one of {', '.join(PRESETS)}", code="preset-unknown")
    values = json.loads((Path(__file__).parent / "configs" / f"{name}.json").read_text(encoding="utf-8"))
    return _overlay(values, data)


def assign(data: Mapping[str, Any], assignment: str) -> dict[str, Any]:
    """`data` with one more key, given as text: 'shape.cells=64', 'light.file=null', 'views.box=-1,-1,0,1,1,2'."""
    path, equals, text = assignment.partition("=")
    path = path.strip()
    if not equals or not path:
        raise RequestError(f"--set {assignment!r}: expected key=value, such as shape.cells=64")
    section, names = Request, path.split(".")
    for depth, name in enumerate(names):
        hints = _hints(section)
        here = ".".join(names[:depth])
        if name not in hints:
            raise _unknown_key(here, name, section)
        section = hints[name]
        if dataclasses.is_dataclass(section) == (depth == len(names) - 1):
            keys = f"; its keys: {', '.join(_hints(section))}" if dataclasses.is_dataclass(section) else ""
            raise RequestError(
                f"--set {assignment!r}: {_join(here, name)} {'is a section' if keys else 'has no keys'}{keys}"
            )
    value: Any = _typed(path, section, _from_text(section, text.strip()))
    for name in reversed(names):
        value = {name: value}
    return _overlay(data, value)


# --- Events ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of the process's standard output, and of what the add-on follows."""

    EVENT: ClassVar[str] = ""

    def to_json(self) -> str:
        """The event as one line of JSON (no line break inside; numbers that are not finite become null)."""
        return json.dumps(
            {"event": self.EVENT, **_finite(dataclasses.asdict(self))}, ensure_ascii=False, allow_nan=False
        )


@dataclass(frozen=True, kw_only=True)
class Started(Event):
    """The request is accepted and the views are about to be read."""

    EVENT: ClassVar[str] = "started"
    folder: str  # the job folder
    pid: int
    version: str
    device: str
    engine: str
    preset: str
    stages: tuple[str, ...] = STAGES
    resumed: bool = False


@dataclass(frozen=True, kw_only=True)
class Progress(Event):
    """A step is done. Losses are unweighted and named; eta is the seconds left of the whole run, None while unknown."""

    EVENT: ClassVar[str] = "progress"
    stage: str
    step: int  # steps done in this stage
    steps: int  # steps this stage has
    eta: float | None = None
    losses: dict[str, float] = field(default_factory=dict)
    psnr: float | None = None  # dB, of the views of this step


@dataclass(frozen=True, kw_only=True)
class Planned(Event):
    """How the run fits into memory: at its start, and anew where a step ran out of it."""

    EVENT: ClassVar[str] = "plan"
    summary: str  # one sentence
    resolution: int  # long side of the images, in pixels
    views_per_step: int  # the larger of the two stages'
    texture_size: int
    cells: int
    images: str  # 'device' or 'host': where they are kept
    needed_gb: float  # what the device is expected to hold at the most, in 10^9 bytes
    free_gb: float  # what it had free


@dataclass(frozen=True, kw_only=True)
class Preview(Event):
    """A picture to look at: photo, render and difference side by side. `path` is relative to the job folder."""

    EVENT: ClassVar[str] = "preview"
    path: str
    stage: str
    step: int


@dataclass(frozen=True, kw_only=True)
class MeshUpdate(Event):
    """A coarse mesh for the viewport, in the scene's own units. `path` is relative to the job folder.

    The first may be the outline of the silhouettes, of stage 'views', and come before `Started`.
    """

    EVENT: ClassVar[str] = "mesh"
    path: str
    stage: str
    step: int
    triangles: int


@dataclass(frozen=True, kw_only=True)
class Warned(Event):
    """Something the artist should know; the run goes on."""

    EVENT: ClassVar[str] = "warning"
    message: str
    code: str = ""
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class Watching(Event):
    """A page shows the run while it lasts: at `url` ("" where it is not served), in the file `page`; `window` where one was opened."""

    EVENT: ClassVar[str] = "watching"
    url: str
    page: str
    window: bool


@dataclass(frozen=True, kw_only=True)
class Failed(Event):
    """The run ends here. `exit_status` is how the process ends."""

    EVENT: ClassVar[str] = "error"
    code: str
    message: str
    hint: str = ""
    exit_status: int = 1


@dataclass(frozen=True, kw_only=True)
class Finished(Event):
    """The result is complete. `result` is the folder that holds result.json."""

    EVENT: ClassVar[str] = "finished"
    result: str
    seconds: float
    metrics: dict[str, float | None] = field(default_factory=dict)


_EVENTS: dict[str, type[Event]] = {
    kind.EVENT: kind for kind in (Started, Planned, Progress, Preview, MeshUpdate, Watching, Warned, Failed, Finished)
}


def parse_event(line: str) -> Event | None:
    """A line of the process's output to its event; None for anything else (a newer event, a stray print, an empty line)."""
    try:
        data = json.loads(line)
        kind = _EVENTS[data.pop("event")]
        known = {item.name for item in dataclasses.fields(kind)}
        return kind(**{key: tuple(value) if key == "stages" else value for key, value in data.items() if key in known})
    except (ValueError, KeyError, AttributeError, TypeError):
        return None


# --- The job folder and the result -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class JobFolder:
    """The names inside a job folder, which is all that passes between the two sides."""

    path: Path

    @property
    def request(self) -> Path:
        """The request, whole."""
        return self.path / "request.json"

    @property
    def transforms(self) -> Path:
        """Cameras, in the NeRF and nerfstudio convention."""
        return self.path / "transforms.json"

    @property
    def images(self) -> Path:
        """The views the exporter wrote."""
        return self.path / "images"

    @property
    def masks(self) -> Path:
        """Masks of views that have no alpha."""
        return self.path / "masks"

    @property
    def log(self) -> Path:
        """Everything the process said, events and libraries' prints."""
        return self.path / "log.txt"

    @property
    def state(self) -> Path:
        """Checkpoints."""
        return self.path / "state"

    @property
    def preview(self) -> Path:
        """Pictures and meshes of the running job."""
        return self.path / "preview"

    @property
    def result(self) -> Path:
        """The asset; complete as soon as it exists."""
        return self.path / "result"

    @property
    def preflight(self) -> Path:
        """What the check of the photographs found before the run: directions nobody looked from, and each photograph's figures."""
        return self.path / "preflight.json"

    @property
    def status(self) -> Path:
        """Where the job stands, for whoever comes back to it: see `Status`."""
        return self.path / "status.json"

    @property
    def stop(self) -> Path:
        """Make this file to cancel the job."""
        return self.path / "stop"


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where a job stands: its process, its state and the last event."""

    pid: int
    state: Literal["running", "finished", "failed", "cancelled"]
    updated: float  # seconds since 1970
    event: dict[str, Any] = field(default_factory=dict)


def read_status(folder: Path | str) -> Status | None:
    """The status of the job in `folder`; None when no job has run there."""
    try:
        data = json.loads(JobFolder(Path(folder)).status.read_text(encoding="utf-8"))
        return Status(**{item.name: data[item.name] for item in dataclasses.fields(Status)})
    except (OSError, ValueError, KeyError, TypeError):
        return None


@dataclass(frozen=True, kw_only=True)
class Result:
    """A finished asset.

    Attributes:
        files: what each file is -> its path relative to the result folder, with '/': 'mesh' -> 'mesh.glb'.
        metrics: named figures (PSNR in dB, counts, seconds); None where one could not be measured.
        request: the request, as `to_dict` gives it.
        version, device, engine: what made it.
        seconds: time the run took, resumed parts included.
        warnings: sentences for the artist.
        alpha: what the base colour's alpha means.
        folder: where it lies; not written, set by `read_result` and `write_result`.
    """

    files: dict[str, str]
    metrics: dict[str, float | None] = field(default_factory=dict)
    request: dict[str, Any] = field(default_factory=dict)
    version: str = ""
    device: str = ""
    engine: str = ""
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()
    alpha: Alpha = "opaque"
    folder: Path | None = field(default=None, compare=False)

    def path(self, name: str) -> Path:
        """Where the file called `name` lies; RequestError when the result has none."""
        if name not in self.files:
            raise RequestError(
                f"{self.folder}: the result has no {name!r}; it has {', '.join(self.files)}", code="result-incomplete"
            )
        return (self.folder or Path()) / self.files[name]


def read_result(folder: Path | str) -> Result:
    """The result in `folder` (a result folder, or the job folder around it): complete, or RequestError says what is missing."""
    folder = Path(folder)
    nested = JobFolder(folder).result
    if not (folder / "result.json").is_file() and (nested / "result.json").is_file():
        folder = nested
    try:
        data = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RequestError(
            f"{folder} has no result.json; expected the result folder of a finished run",
            hint="Let the run finish first; an unfinished one goes on with --resume.",
            code="result-missing",
        ) from None
    except (OSError, ValueError) as error:
        raise RequestError(f"{folder / 'result.json'} cannot be read: {error}", code="result-unreadable") from error
    if not isinstance(data, dict) or data.get("format") != RESULT_FORMAT:
        came = data.get("format") if isinstance(data, dict) else type(data).__name__
        raise RequestError(
            f"{folder / 'result.json'} has format {came!r}; expected {RESULT_FORMAT}",
            hint="The result was made by another version of Unrender.",
            code="result-unreadable",
        )
    names = {item.name for item in dataclasses.fields(Result)} - {"folder"}
    values: dict[str, Any] = {
        key: tuple(value) if key == "warnings" else value for key, value in data.items() if key in names
    }
    if not isinstance(values.get("files"), dict):
        raise RequestError(f"{folder / 'result.json'} lists no files", code="result-unreadable")
    result = Result(**values, folder=folder)
    missing = _missing_files(folder, result)
    if missing:
        raise RequestError(
            f"{folder} has no {', '.join(missing)}, which its result.json lists", code="result-incomplete"
        )
    return result


def write_result(folder: Path | str, result: Result) -> Result:
    """Write `folder`/result.json, in one piece, when all files it lists are there (ValueError otherwise)."""
    folder = Path(folder)
    missing = _missing_files(folder, result)
    if missing:
        raise ValueError(f"{folder} has no {', '.join(missing)}, which the result lists")
    data = dataclasses.asdict(dataclasses.replace(result, folder=None))
    del data["folder"]
    write_json(folder / "result.json", {"format": RESULT_FORMAT, **_finite(data)})
    return dataclasses.replace(result, folder=folder)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON file so that a reader sees the old one or the new one, never a part."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("w", encoding="utf-8") as stream:
            json.dump(data, stream, indent=2, ensure_ascii=False)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def version() -> str:
    """The version of this Unrender, as its manifest has it; 'unknown' where the manifest was taken away."""
    try:
        manifest = Path(__file__).parent.with_name("blender_manifest.toml").read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    found = re.search(r'^version\s*=\s*"([^"]+)"', manifest, re.MULTILINE)
    return found.group(1) if found else "unknown"


# --- Types and ranges ------------------------------------------------------------------------------------------------------


def _build(kind: type[_Section], data: Mapping[str, Any], path: str) -> _Section:
    hints = _hints(kind)
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key not in hints:
            raise _unknown_key(path, key, kind)
        here = _join(path, key)
        nested = dataclasses.is_dataclass(hints[key])
        values[key] = _build(hints[key], _mapping(here, value), here) if nested else _typed(here, hints[key], value)
    for item in dataclasses.fields(kind):  # type: ignore[arg-type]
        absent = item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        if absent and item.name not in values:
            raise RequestError(f"{path or 'request'}: {item.name} is missing; expected the {item.metadata['meaning']}")
    return kind(**values)


def _typed(path: str, kind: Any, value: Any) -> Any:
    """`value` as `kind` wants it (a list becomes a tuple, an int a float), or RequestError."""
    origin, choices = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for choice in choices:
            with contextlib.suppress(RequestError):
                return _typed(path, choice, value)
    elif origin is Literal:
        if value in choices:
            return value
    elif origin is tuple:
        if isinstance(value, (list, tuple)):
            return tuple(_typed(f"{path}[{index}]", choices[0], item) for index, item in enumerate(value))
    elif kind is float:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300:  # nan fails this too
            return float(value)
    elif isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise RequestError(f"{path} is {_shown(value)}; expected {_wanted(kind)}")


def _in_range(path: str, value: Any, bounds: Mapping[str, Any]) -> None:
    low, high = bounds.get("low"), bounds.get("high")
    if low is None or high is None:
        return
    power = bounds["power_of_two"]
    if not low <= value <= high or (power and value & (value - 1)):
        kind = "a power of two from " if power else ""
        raise RequestError(f"{path} is {value}; expected {kind}{low:g} to {high:g} ({bounds['meaning']})")


def _from_text(kind: Any, text: str) -> Any:
    """What somebody typed, as near to `kind` as it can be read; `_typed` judges it afterwards."""
    choices = typing.get_args(kind)
    if type(None) in choices and text.lower() in ("null", "none", ""):
        return None
    if kind is str or str in choices or text in choices:
        return text
    if kind is bool and text.lower() in ("true", "yes", "on", "1", "false", "no", "off", "0"):
        return text.lower() in ("true", "yes", "on", "1")
    listed = any(typing.get_origin(choice) is tuple for choice in (kind, *choices))
    try:
        return json.loads(f"[{text}]" if listed and not text.startswith("[") else text)
    except ValueError:
        return text


def _wanted(kind: Any) -> str:
    origin, choices = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_wanted(choice) for choice in choices)
    if origin is Literal:
        return ", ".join(repr(choice) for choice in choices)
    if origin is tuple:
        return "a list of numbers"
    words = {str: "text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}
    return words.get(kind, f"a {getattr(kind, '__name__', kind)}")


def _shown(value: Any) -> str:
    if value is None or isinstance(value, (bool, int, float, str)):
        return "null" if value is None else json.dumps(value, ensure_ascii=False)
    return f"a {'list' if isinstance(value, (list, tuple)) else type(value).__name__}"


def _hints(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {item.name: hints[item.name] for item in dataclasses.fields(kind)}


def _mapping(path: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise RequestError(f"{path} is {_shown(value)}; expected an object with keys")
    return value


def _unknown_key(path: str, key: str, kind: Any) -> RequestError:
    where = "request" + (f".{path}" if path else "")
    return RequestError(f"{where}: unknown key {key!r}; known keys: {', '.join(_hints(kind))}", code="key-unknown")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _overlay(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _overlay(merged[key], value) if both else value
    return merged


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _missing_files(folder: Path, result: Result) -> list[str]:
    """The files a result lists that are not inside its folder."""
    missing = []
    for name in result.files.values():
        inside = not PurePosixPath(name).is_absolute() and ".." not in PurePosixPath(name).parts
        if not inside or not (folder / name).is_file():
            missing.append(name)
    return missing
