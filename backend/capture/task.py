"""What the solver is to do: the settings, and the task that its process is handed as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backend.capture.photographs import Photograph
from backend.capture.prepare import picture_name, shrunk_size
from backend.contract import RequestError
from backend.dataset.posed import listed

MOST_EXHAUSTIVE = 200  # photographs; of more, each is matched with its neighbours by name
_FORMAT = 1  # of the state folder; another is begun anew


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the cameras are solved.

    Attributes:
        resolution: pixels of the long side of what is looked at, at the most.
        features: of a photograph, at the most.
        careful: features of several scales at each place, and a second round of matching: slower, for surfaces with little on them.
        matching: 'exhaustive' (every pair), 'sequential' (neighbours by name), or 'auto' by the number of photographs.
        lens: COLMAP's camera model.
        each: every photograph has a lens of its own; else those of one size and one EXIF focal length share theirs.
        focal_35: focal length as of 35 mm film in mm for all photographs, or None for what EXIF says.
        hold_focal: the focal lengths given or said by EXIF are kept as they are, not fitted.
        masks: features are taken where the masks are white; photographs without a mask give all of theirs.
        device: where features are found and matched: 'auto', 'cpu' or the GPU's name, which needs a build of pycolmap for it.
        threads: of the processor.
    """

    resolution: int = 1600
    features: int = 8192
    careful: bool = False
    matching: str = "auto"
    lens: str = "SIMPLE_RADIAL"
    each: bool = False
    focal_35: float | None = None
    hold_focal: bool = False
    masks: bool = True
    device: str = "auto"
    threads: int = 1


def task_of(photographs: Sequence[Photograph], settings: Settings, state: Path) -> dict[str, Any]:
    """What the worker is told: photographs and settings, and where everything is."""
    matching = settings.matching
    if matching == "auto":
        matching = "exhaustive" if len(photographs) <= MOST_EXHAUSTIVE else "sequential"
    unknown = [p.name for p in photographs if p.focal is None]
    if settings.hold_focal and settings.focal_35 is None and unknown:
        raise RequestError(
            f"--hold-focal, but nothing says the focal length of {listed(unknown)}",
            hint="give it: --focal-35 MM, as of 35 mm film; or leave --hold-focal out, and it is found",
            code="poses-focal",
        )
    groups: dict[str, list[Photograph]] = {}
    for photograph in photographs:
        groups.setdefault(photograph.lens, []).append(photograph)
    masked = settings.masks and any(photograph.mask for photograph in photographs)
    return {
        "format": _FORMAT,
        "settings": {key: value for key, value in asdict(settings).items() if key not in ("threads", "device")},
        "files": [_stamp(file) for p in photographs for file in (p.file, *((p.mask,) if masked and p.mask else ()))],
        "database": str(state / "database.db"),
        "pictures": str(state / "pictures"),
        "masks": str(state / "pictures-masks") if masked else None,
        "models": str(state / "models"),
        "model": str(state / "model"),
        "verdict": str(state / "verdict.json"),
        "groups": [
            {"names": [picture_name(p) for p in members], "parameters": _parameters(members[0], settings)}
            for members in groups.values()
        ],
        "photographs": {picture_name(p): {"name": p.name, "width": p.width, "height": p.height} for p in photographs},
        "lens": settings.lens,
        "each": settings.each,
        "hold_focal": settings.hold_focal,
        "features": settings.features,
        "peak": 0.004,  # of the solver's 0.0067: smooth things have weak features only
        "careful": settings.careful,
        "matching": matching,
        "device": settings.device,
        "threads": settings.threads,
    }


def _parameters(photograph: Photograph, settings: Settings) -> list[float]:
    """What a lens starts from, in COLMAP's order; empty where nothing is known of it."""
    focal = photograph.focal
    if settings.focal_35 is not None:
        focal = settings.focal_35 / 43.267 * (photograph.width**2 + photograph.height**2) ** 0.5
    if focal is None:
        return []
    height, width = shrunk_size(photograph, settings.resolution)
    focal *= width / photograph.width
    single = settings.lens in ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "SIMPLE_RADIAL_FISHEYE")
    bends = {"SIMPLE_RADIAL": 1, "RADIAL": 2, "OPENCV": 4, "OPENCV_FISHEYE": 4, "SIMPLE_RADIAL_FISHEYE": 1}
    return [*([focal] if single else [focal, focal]), width / 2, height / 2, *[0.0] * bends.get(settings.lens, 0)]


def _stamp(file: Path) -> list[Any]:
    about = file.stat()
    return [str(file), about.st_size, about.st_mtime_ns]


def stored(path: Path) -> Any:
    """The task in a file; None where there is none that can be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def kept(task: Any) -> Any:
    """What of a task decides whether its results can be used: another machine or number of threads may go on."""
    return (
        {key: value for key, value in task.items() if key not in ("device", "threads")}
        if isinstance(task, dict)
        else None
    )
