"""Whole runs in processes of their own: quality over wall time, and memory against the plan."""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from benchmark_base import Row, Tables, installed_engines, request_of
from benchmark_chart import Series, quality_chart
from benchmark_object import object_views, write_photographs

from backend.contract import Request, to_dict
from backend.engines.select import select_engine
from backend.memory import release_memory
from backend.render.renderer import Renderer

ROOT = Path(__file__).resolve().parents[1]
_LIMIT = 4 * 3600.0  # seconds for one run
_POLL = 0.05  # seconds between two looks at the GPU's memory


def time_to_quality(options: argparse.Namespace, device: torch.device) -> Tables:
    """The verb `time-to-quality`; draws `options.picture` too."""
    tables: Tables = {"over_time": [], "stages": [], "complete_runs": []}
    series = []
    names = [name for name, _ in installed_engines(options.engines, device)]
    with _source(options, device, options.resolution) as source:
        for name in names:
            request = _request(options, source, device, name, 1.0, {"views.resolution": options.resolution})
            told = _curve(request, options.marks)
            ends = [run(_request(options, source, device, name, share, {"views.resolution": options.resolution}))
                    for share in options.shares]  # fmt: skip
            tables["over_time"] += [{"engine": name, **row} for row in told["marks"]]
            tables["stages"] += [{"engine": name, "stage": stage, "seconds": at} for stage, at in told["stages"]]
            tables["complete_runs"] += [{"engine": name, **row} for row in ends]
            series.append(
                Series(
                    name,
                    [(row["seconds"], row["psnr_db"]) for row in told["marks"]],
                    told["stages"],
                    [(row["wall_s"], row["psnr_db"]) for row in ends],  # type: ignore[misc]
                )
            )
    options.picture.write_text(quality_chart(series), encoding="utf-8")
    return tables


def memory(options: argparse.Namespace, device: torch.device) -> Tables:
    """The verb `memory`."""
    rows: list[Row] = []
    for pair in options.rows:
        resolution, texture = (int(number) for number in pair.split(":"))
        settings = {"views.resolution": resolution, "asset.texture_size": texture}
        with _source(options, device, resolution) as source:
            for name in options.engines or ["auto"]:
                row = run(_request(options, source, device, name, options.share, settings), device)
                measured = row["gpu_memory_gb"] if device.type == "cuda" else row["memory_gb"]
                planned = row["planned_gb"]
                assert isinstance(measured, float) and isinstance(planned, float)
                rows.append(
                    {"pixels": resolution, "texels": texture, "measured_over_planned": measured / planned, **row}
                )
    return {"memory": rows}


@contextmanager
def _source(options: argparse.Namespace, device: torch.device, resolution: int) -> Iterator[Path]:
    """What is reconstructed: the source, or photographs of the built-in object in a folder that goes again."""
    if not options.synthesise:
        yield options.source.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="unrender-benchmark-") as folder:
        renderer = Renderer(select_engine("builtin", device))
        yield write_photographs(Path(folder), object_views(renderer, device, resolution, options.synthesise))


def _request(
    options: argparse.Namespace, source: Path, device: torch.device, engine: str, share: float, more: dict[str, Any]
) -> Request:
    """A share of the preset's steps."""
    whole = request_of(options, {})
    counts = {"shape.steps": whole.shape.steps, "refine.steps": whole.refine.steps}
    settings = {path: max(2, round(share * count)) for path, count in counts.items()}
    own = argparse.Namespace(**{**vars(options), "source": source, "set": [*options.set, *_words(settings)]})
    return request_of(own, {**more, "device": device, "engine": engine})


def _words(settings: dict[str, Any]) -> list[str]:
    return [f"{path}={value}" for path, value in settings.items()]


def run(request: Request, device: torch.device | None = None) -> Row:
    """One reconstruction from the start of its process to its end; with a `device`, that GPU's memory is looked at meanwhile."""
    with tempfile.TemporaryDirectory(prefix="unrender-benchmark-") as folder:
        job = Path(folder, "job")
        job.mkdir()
        (job / "request.json").write_text(json.dumps(to_dict(request)), encoding="utf-8")
        command = [sys.executable, "-m", "backend", "run", str(job / "request.json"), "--json"]
        if device is not None and device.type == "cuda":
            release_memory(device)
        began = time.monotonic()
        events, peak = _follow(command, began, device)
        seconds = time.monotonic() - began
        result = json.loads((job / "result" / "result.json").read_text(encoding="utf-8"))
        parts = json.loads((job / "result" / "metrics.json").read_text(encoding="utf-8"))["seconds"]
    request_, metrics = result["request"], result["metrics"]
    row: Row = {
        "engine": result["engine"],
        "wall_s": seconds,
        "first_mesh_s": next((at for at, event in events if event["event"] == "mesh"), None),
        "psnr_db": metrics["psnr"],
        "shape_steps": request_["shape"]["steps"],
        "refine_steps": request_["refine"]["steps"],
        **{f"{part}_s": taken for part, taken in parts.items()},
        "planned_gb": max(event["needed_gb"] for _, event in events if event["event"] == "plan"),
        "memory_gb": peak.host or metrics.get("memory_gb"),
    }
    if "gpu_memory_gb" in metrics:
        row["gpu_memory_gb"] = metrics["gpu_memory_gb"]
        row["gpu_driver_gb"] = peak.gpu or None
    return row


def _follow(
    command: list[str], began: float, device: torch.device | None
) -> tuple[list[tuple[float, dict[str, Any]]], Peak]:
    """Run to the end; each event with the seconds at which it came, and the memory it took."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        killer = threading.Timer(_LIMIT, process.kill)
        killer.start()
        try:
            assert process.stdout is not None
            with _watched(process, device) as peak:
                told = [(time.monotonic() - began, line) for line in process.stdout]
                status = process.wait()
        finally:
            killer.cancel()
            process.kill()
        if status != 0:
            errors.seek(0)
            last = "".join(line for _, line in told[-3:])
            raise SystemExit(f"{' '.join(command)}\nended with {status}:\n{last}{errors.read()[-2000:]}")
    return [(at, json.loads(line)) for at, line in told if line.startswith("{")], peak


@dataclass
class Peak:
    """The most memory a process was seen to take, in gigabytes; 0 where that cannot be seen.

    Attributes:
        host: of the machine, by the kernel's own count. What the process says of itself (`memory_gb`) begins, on Linux, with its parent's.
        gpu: what the driver has given away since the start: the process's context and its pools included.
    """

    host: float = 0.0
    gpu: float = 0.0


@contextmanager
def _watched(process: subprocess.Popen[str], device: torch.device | None) -> Iterator[Peak]:
    """Look at a process's memory until the block ends, and at that of its GPU."""
    peak, over = Peak(), threading.Event()
    on_gpu = device is not None and device.type == "cuda"
    start = torch.cuda.mem_get_info(device)[0] if on_gpu else 0

    def look() -> None:
        while not over.wait(_POLL):
            peak.host = max(peak.host, _most_resident(process.pid))
            if on_gpu:
                peak.gpu = max(peak.gpu, (start - torch.cuda.mem_get_info(device)[0]) / 1e9)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def _most_resident(pid: int) -> float:
    """The most memory a living process has had, in gigabytes."""
    try:
        words = Path(f"/proc/{pid}/status").read_text(encoding="ascii").split()
        return 1024 * int(words[words.index("VmHWM:") + 1]) / 1e9
    except (OSError, ValueError):  # it has ended, or this is no Linux
        return 0.0


def _curve(request: Request, marks: int) -> dict[str, Any]:
    """One run whose state is kept at `marks` steps of each stage, and judged when it is over; see benchmark_curve.py."""
    with tempfile.TemporaryDirectory(prefix="unrender-benchmark-") as folder:
        asked, told = Path(folder, "asked.json"), Path(folder, "told.json")
        asked.write_text(json.dumps(to_dict(request)), encoding="utf-8")
        script = str(Path(__file__).with_name("benchmark_curve.py"))
        began = time.time()
        done = subprocess.run(
            [sys.executable, script, str(asked), str(told), str(began), str(marks)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT,
        )
        if done.returncode != 0:
            raise SystemExit(f"{script} ended with {done.returncode}:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
        found: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
    assert all(math.isfinite(row["psnr_db"]) for row in found["marks"])
    return found
