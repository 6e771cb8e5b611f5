"""Measure this machine, in the backend's environment (any Python that has its packages; a GPU is used where there is one).

    PYTHON scripts/benchmark.py steps SOURCE         milliseconds of each primitive, and of a step of each stage
    PYTHON scripts/benchmark.py quality SOURCE       held-out PSNR over wall time: a quarter, a half and all of the preset's steps
    PYTHON scripts/benchmark.py memory SOURCE        peak memory at growing image and texture sizes

SOURCE is what `python -m backend reconstruct` takes. Prints a table and writes it, with the machine's description, as one JSON file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch  # noqa: E402

from backend.contract import parse, version  # noqa: E402
from backend.engines.adjacency import edge_adjacency  # noqa: E402
from backend.engines.hash_layout import hash_layout  # noqa: E402
from backend.engines.interface import Engine  # noqa: E402
from backend.engines.select import KNOWN, select_engine  # noqa: E402

Row = dict[str, str | float]
REPEATS = 7
LIMIT = 4 * 3600.0


def machine(device: torch.device) -> dict[str, object]:
    """What the figures were measured on."""
    import warp

    names = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory[0] * 1024 / 1e9, 1) if memory else None,
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "system": platform.platform(),
        "load": os.getloadavg()[0],  # of other processes too: above 0, figures of a CPU are too slow
        "python": platform.python_version(),
        "torch": torch.__version__,
        "warp": warp.__version__,
        "unrender": version(),
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines() if Path(path).exists() else []


def milliseconds(work: Callable[[], object], device: torch.device) -> float:
    """Median wall time of some calls, after one that warms up."""
    times = []
    for _ in range(REPEATS + 1):
        _wait(device)
        began = time.perf_counter()
        work()
        _wait(device)
        times.append(1e3 * (time.perf_counter() - began))
    return statistics.median(times[1:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def sphere(rings: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """A closed ball of 4 rings^2 triangles: vertices [V, 3] on the unit sphere, faces [T, 3] int32."""
    sides = 2 * rings
    theta = torch.linspace(0.01, torch.pi - 0.01, rings + 1)[:, None]
    phi = torch.arange(sides)[None] * (2 * torch.pi / sides)
    vertices = torch.stack(
        [theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos().expand(-1, sides)], -1
    ).reshape(-1, 3)
    row, side = torch.meshgrid(torch.arange(rings), torch.arange(sides), indexing="ij")
    a, b = row * sides + side, row * sides + (side + 1) % sides
    faces = torch.stack([torch.stack([a, a + sides, b], -1), torch.stack([b, a + sides, b + sides], -1)], -2)
    return vertices.to(device), faces.reshape(-1, 3).int().to(device)


def primitives(engine: Engine, device: torch.device, size: int) -> list[Row]:
    """Forward, and forward with backward, of each primitive: one image of size^2 pixels, a ball of 10,000 triangles."""
    vertices, faces = sphere(50, device)
    scaled = torch.stack([vertices[:, 0], vertices[:, 1], vertices[:, 2], torch.full_like(vertices[:, 0], 1.1)], -1)
    clip = scaled[None].clone().requires_grad_()
    adjacency = edge_adjacency(faces)
    raster = engine.rasterize(clip.detach(), faces, (size, size))
    covered = raster.triangle >= 0
    pixels = int(covered.sum())
    attributes = torch.rand(len(vertices), 8, device=device, requires_grad=True)
    color = torch.rand(1, size, size, 4, device=device, requires_grad=True)
    texture = torch.rand(512, 512, 8, device=device, requires_grad=True)
    cube = tuple(torch.rand(6, side, side, 3, device=device, requires_grad=True) for side in (32, 16, 8, 4))
    layout = hash_layout(8, log2_size=15)
    table = torch.rand(layout.entries, 2, device=device, requires_grad=True)
    uv, level = torch.rand(pixels, 2, device=device), torch.rand(pixels, device=device)
    points, directions = torch.rand(pixels, 3, device=device), torch.randn(pixels, 3, device=device)
    calls: dict[str, Callable[[], torch.Tensor]] = {
        "rasterise": lambda: engine.rasterize(clip, faces, (size, size), derivatives=True).barycentric,
        "interpolate": lambda: engine.interpolate(
            attributes, faces, raster.barycentric[covered], raster.triangle[covered]
        ),
        "antialias": lambda: engine.antialias(color, raster, clip, faces, adjacency),
        "texture 2D": lambda: engine.texture_2d(texture, uv, level),
        "texture cube": lambda: engine.texture_cube(cube, directions, 3.0 * level),
        "hash grid": lambda: engine.hash_encode(points, table, layout),
    }
    rows: list[Row] = []
    for name, call in calls.items():
        forward = milliseconds(call, device)
        both = milliseconds(lambda call=call: call().square().sum().backward(), device)
        rows.append(
            {"what": name, "engine": engine.name, "pixels": size, "forward_ms": forward, "with_backward_ms": both}
        )
    mesh = engine.ray_mesh(vertices, faces)
    rays = milliseconds(lambda: mesh.occluded(2.0 * directions, -directions, 0.0, 9.0), device)
    rows.append({"what": "rays", "engine": engine.name, "pixels": size, "forward_ms": rays, "with_backward_ms": rays})
    return rows


def run(source: Path, options: argparse.Namespace, settings: dict[str, object]) -> Row:
    """One reconstruction in a process of its own, and what it took."""
    with tempfile.TemporaryDirectory(prefix="unrender-benchmark-") as folder:
        command = [
            sys.executable,
            "-m",
            "backend",
            "reconstruct",
            str(source.resolve()),
            "-o",
            f"{folder}/job",
            "--json",
        ]
        command += ["--preset", options.preset, "--device", options.device]
        command += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
        began = time.monotonic()
        done = subprocess.run(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT
        )
        seconds = time.monotonic() - began
        if done.returncode != 0:
            raise SystemExit(
                f"{' '.join(command)}\nended with {done.returncode}:\n{done.stdout[-1000:]}{done.stderr[-2000:]}"
            )
        result = json.loads(Path(folder, "job", "result", "result.json").read_text(encoding="utf-8"))
        parts = json.loads(Path(folder, "job", "result", "metrics.json").read_text(encoding="utf-8"))["seconds"]
    request, metrics = result["request"], result["metrics"]
    row: Row = {
        "wall_s": seconds,
        "psnr_db": metrics["psnr"],
        "ssim": metrics["ssim"],
        "shape_steps": request["shape"]["steps"],
        "shape_ms": 1e3 * parts["shape"] / request["shape"]["steps"],
        "refine_steps": request["refine"]["steps"],
        "refine_ms": 1e3 * parts["refine"] / max(1, request["refine"]["steps"]),
        "memory_gb": metrics["memory_gb"],
    }
    if "gpu_memory_gb" in metrics:
        row["gpu_memory_gb"] = metrics["gpu_memory_gb"]
    return row


def steps(options: argparse.Namespace, device: torch.device) -> dict[str, list[Row]]:
    """The verb `steps`."""
    tables: dict[str, list[Row]] = {"primitives": []}
    for name in (name for name in KNOWN if name != "auto"):
        for size in (128, 512):
            tables["primitives"] += primitives(select_engine(name, device), device, size)
    tables["stages"] = [run(options.source, options, _scaled(options, 0.1))]
    return tables


def quality(options: argparse.Namespace, _: torch.device) -> dict[str, list[Row]]:
    """The verb `quality`."""
    return {"quality": [run(options.source, options, _scaled(options, share)) for share in options.shares]}


def memory(options: argparse.Namespace, _: torch.device) -> dict[str, list[Row]]:
    """The verb `memory`."""
    rows: list[Row] = []
    for resolution, texture in ((128, 512), (256, 1024), (512, 2048)):
        settings = {**_scaled(options, 0.05), "views.resolution": resolution, "asset.texture_size": texture}
        rows.append({"pixels": resolution, "texels": texture, **run(options.source, options, settings)})
    return {"memory": rows}


def _scaled(options: argparse.Namespace, share: float) -> dict[str, object]:
    """Settings for a share of the preset's steps."""
    request = parse({"preset": options.preset, "source": "."})
    counts = {"shape": request.shape.steps, "refine": request.refine.steps}
    return {f"{name}.steps": max(10, round(share * count)) for name, count in counts.items()}


def table(title: str, rows: list[Row]) -> str:
    """The rows as text in columns."""
    heads = list(rows[0])
    cells = [[f"{row[head]:.4g}" if isinstance(row[head], float) else str(row[head]) for head in heads] for row in rows]
    widths = [max(len(head), *(len(line[index]) for line in cells)) for index, head in enumerate(heads)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths)) for line in [heads, *cells]]
    return "\n".join([title, *lines])


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("steps", "quality", "memory"))
    parser.add_argument("source", type=Path, help="folder of posed images, a transforms.json, or a mesh")
    parser.add_argument("--preset", default="draft", choices=("draft", "standard", "high"), help="default: %(default)s")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.25, 0.5, 1.0], help="of the steps, for quality")
    parser.add_argument("--output", type=Path, default=Path("benchmark.json"), help="JSON file (default: %(default)s)")
    options = parser.parse_args()
    chosen = options.device if options.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(chosen)
    facts = machine(device)
    tables = {"steps": steps, "quality": quality, "memory": memory}[options.verb](options, device)
    print(json.dumps(facts, indent=2))
    for title, rows in tables.items():
        print(f"\n{table(title, rows)}")
    found = {"machine": facts, "preset": options.preset, "device": chosen, "source": options.source.name, **tables}
    options.output.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
