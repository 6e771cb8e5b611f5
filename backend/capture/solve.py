"""Cameras of photographs, by COLMAP (Schoenberger and Frahm 2016) in a child process that can be watched, stopped and gone on from."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import queue
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backend.capture.photographs import Album, Photograph
from backend.capture.prepare import picture_name, prepare, shrunk_size
from backend.contract import Cancelled, EnvironmentFault, Event, Progress, RequestError, UnrenderError, write_json

ROOT = Path(__file__).resolve().parents[2]  # the folder that holds `backend`
PACKAGE = "pycolmap"
MOST_EXHAUSTIVE = 200  # photographs; of more, each is matched with its neighbours by name
GO_ON = "Run the same command to go on from there."
_FORMAT = 1  # of the state folder; another is begun anew
_OVERLAP = 10  # neighbours on one side, and as many again at doubling distances (COLMAP's sequential matching)


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
    masks: bool = True
    device: str = "auto"
    threads: int = 1


def require_solver() -> None:
    """Raise EnvironmentFault (package-missing) where the solver is not installed."""
    if importlib.util.find_spec(PACKAGE) is None:
        raise EnvironmentFault(
            f"the Python package {PACKAGE}, which solves cameras, is missing",
            hint=f"`{Path(sys.executable).name} -m pip install {PACKAGE}` installs it (about 40 MB); or solve the cameras with COLMAP, "
            "Meshroom, Metashape or RealityCapture, whose files are read",
            code="package-missing",
        )


def solve(
    album: Album, settings: Settings, state: Path, emit: Callable[[Event], None], cancelled: Callable[[], bool]
) -> tuple[Path, dict[str, Any]]:
    """Solve the cameras of an album.

    Args:
        album: the photographs.
        settings: how.
        state: folder of what is half done; where it holds the same photographs and settings, that is gone on from, else it is emptied.
        emit: told of the progress.
        cancelled: asked several times a second.

    Returns:
        The folder of the model (cameras.bin, images.bin, points3D.bin: upright, under the photographs' names, in their pixels), and the
        worker's figures: see `measure.measure`; further `models` (photographs of each model), `pairs`, `neighbours`, `still`, `features`.

    Raises:
        RequestError: poses-none where no cameras could be solved, or a photograph that cannot be read.
        EnvironmentFault: the solver is not installed, or was killed.
        Cancelled: what is done so far is in `state`.
    """
    require_solver()
    photographs = list(album.photographs)
    task = _task(photographs, settings, state)
    if _kept(_stored(state / "task.json")) != _kept(task):
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir(parents=True)
    write_json(state / "task.json", task)
    for leftover in ("models", "model", "verdict.json"):
        _remove(state / leftover)
    count = len(photographs)
    prepare(
        photographs,
        state / "pictures",
        Path(task["masks"]) if task["masks"] else None,
        settings.resolution,
        settings.threads,
        lambda done: emit(Progress(stage="read", step=done, steps=count)),
        cancelled,
    )
    _run(state, count, _pairs(count, task["matching"]), emit, cancelled)
    verdict = json.loads((state / "verdict.json").read_text(encoding="utf-8"))
    if "registered" not in verdict:
        raise _none(verdict, count, settings)
    return state / "model", verdict


def _task(photographs: Sequence[Photograph], settings: Settings, state: Path) -> dict[str, Any]:
    matching = settings.matching
    if matching == "auto":
        matching = "exhaustive" if len(photographs) <= MOST_EXHAUSTIVE else "sequential"
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


def _pairs(count: int, matching: str) -> int:
    if matching == "exhaustive":
        return count * (count - 1) // 2
    steps = {*range(1, _OVERLAP + 1), *(2**power for power in range(_OVERLAP))}
    return sum(max(0, count - step) for step in steps)


def _run(state: Path, count: int, pairs: int, emit: Callable[[Event], None], cancelled: Callable[[], bool]) -> None:
    """The worker to its end."""
    with (state / "solver.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "backend.capture.worker", str(state / "task.json")],
            cwd=ROOT,
            stdin=subprocess.PIPE,  # closes when this process dies, which ends the child
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=os.name == "posix",  # an interrupt at the keyboard is this process's to handle
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=_follow, args=(child.stdout, lines), daemon=True).start()
        stage, told = "", ("", -1)
        tables = {"features": ("keypoints", count), "matches": ("two_view_geometries", pairs)}
        try:
            while True:
                if cancelled():
                    raise Cancelled(f"The solver was stopped; what is done is kept in {state}.", hint=GO_ON)
                try:
                    line = lines.get(timeout=0.4)
                except queue.Empty:
                    if stage in tables:
                        table, whole = tables[stage]
                        done = min(whole, _rows(state / "database.db", table))
                        if (stage, done) != told:
                            told = (stage, done)
                            emit(Progress(stage=stage, step=done, steps=whole))
                    continue
                if line is None:
                    break
                with contextlib.suppress(ValueError):  # a library's own print
                    said = json.loads(line)
                    if "stage" in said:
                        if stage in tables:
                            emit(Progress(stage=stage, step=tables[stage][1], steps=tables[stage][1]))
                        stage = said["stage"]
                    else:
                        emit(Progress(stage="cameras", step=min(count, said["solved"]), steps=count))
            status = child.wait()
        finally:
            _kill(child)
    if status != 0 or not (state / "verdict.json").is_file():
        raise _broken(status, (state / "solver.log").read_text(encoding="utf-8", errors="replace"), state)


def _follow(stream: Any, lines: queue.SimpleQueue[str | None]) -> None:
    for line in stream:
        lines.put(line.decode("utf-8", errors="replace"))
    lines.put(None)


def _rows(database: Path, table: str) -> int:
    """How far the worker is, by what it has stored; 0 while the database cannot be read."""
    try:
        with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=0.1)) as base:
            return int(base.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])
    except sqlite3.Error:
        return 0


def _kill(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    child.wait()
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            stream.close()


def _stored(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _kept(task: Any) -> Any:
    """What of a task decides whether its results can be used: another machine or number of threads may go on."""
    return (
        {key: value for key, value in task.items() if key not in ("device", "threads")}
        if isinstance(task, dict)
        else None
    )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _none(verdict: dict[str, Any], count: int, settings: Settings) -> RequestError:
    features = sorted(verdict["features"].values())
    middle = features[len(features) // 2] if features else 0
    largest = max(verdict["models"], default=0)
    found = f"only {largest} of them hang together" if largest else "no two of them could be placed"
    few = middle < 300
    if few:
        hint = "the photographs show too little to recognise: give the object or its surroundings texture (newspaper under it), "
        hint += "take sharper pictures" + ("" if settings.careful else ", or try --quality high")
    else:
        hint = "take more photographs, 10 to 15 degrees apart, so that each shows much of what its neighbours show"
    if settings.masks and few:
        hint += "; --ignore-masks uses the background too, where it did not move"
    return RequestError(
        f"no cameras could be solved for the {count} photographs: {found} ({middle} features a photograph, "
        f"{verdict['pairs']} pairs that match)",
        hint=hint,
        code="poses-none",
    )


def _broken(status: int, log: str, state: Path) -> UnrenderError:
    lines = [line for line in log.strip().splitlines() if line.strip()]
    errors = [
        line for line in lines if "Error: " in line or "Check failed" in line
    ] or lines  # not the stack that follows
    last = errors[-1].strip() if errors else "it said nothing"
    if status == -getattr(signal, "SIGKILL", 9):
        return EnvironmentFault(
            "the solver was killed, most likely for want of memory",
            hint="Close other programs, or use --quality draft or fewer --threads; " + GO_ON.lower(),
            code="out-of-memory",
        )
    if "ImportError" in log or "ModuleNotFoundError" in log:
        return EnvironmentFault(
            f"the Python package {PACKAGE} cannot be used: {last}",
            hint=f"Install {PACKAGE} anew.",
            code="package-missing",
        )
    return UnrenderError(
        f"the solver ended with status {status}: {last}",
        hint=f"{state / 'solver.log'} has the whole.",
        code="solver-failed",
    )
