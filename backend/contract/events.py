"""What a run says while it lasts, a line of JSON each."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import ClassVar

from .whole_file import finite

STAGES = ("views", "shape", "asset", "refine", "export")  # in the order they run; `Progress.stage` is one of these


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of the process's standard output, and of what the add-on follows."""

    EVENT: ClassVar[str] = ""

    def to_json(self) -> str:
        """The event as one line of JSON (no line break inside; numbers that are not finite become null)."""
        return json.dumps(
            {"event": self.EVENT, **finite(dataclasses.asdict(self))}, ensure_ascii=False, allow_nan=False
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
