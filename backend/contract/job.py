"""The job folder, which is all that passes between Blender and the backend."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


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
