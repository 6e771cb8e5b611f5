"""The whole round trip on this machine: an object in Blender is photographed, reconstructed, imported and photographed again.

    python3 scripts/demo.py

Needs Python 3.11 and nothing else; makes its environments on the first call (see scripts/environments.py). Writes into demo/:
demo.blend (the asset, its light and the cameras), comparison.png (captured | asset in Cycles | difference), truth.blend (what was
photographed), job/result/ (the asset's files, report.html), summary.json and the logs. Exit status 0 only when all of it worked.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import environments
import processes

ROOT = environments.ROOT
SCRIPTS = ROOT / "scripts"
LIMITS = {
    "build": 60.0,
    "photograph": 900.0,
    "reconstruct": 3600.0,
    "compare": 900.0,
}  # seconds, many times what a part takes


class PartError(Exception):
    """A part of the demo did not succeed; the message shows the end of its log."""


class Demo:
    """The demo's folder, and the parts that were run so far.

    Attributes:
        parts: name -> what it took.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.job = folder / "job"
        self.parts: dict[str, processes.Outcome] = {}

    def clear(self) -> None:
        """Remove what an earlier demo left in the folder, and nothing else; PartError where the folder holds other things."""
        ours = {
            "job",
            "logs",
            "demo.blend",
            "demo.blend1",
            "truth.blend",
            "truth.blend1",
            "comparison.png",
            "comparison.json",
        }
        ours |= {"summary.json"}
        if self.folder.exists():
            if foreign := sorted(path.name for path in self.folder.iterdir() if path.name not in ours):
                raise PartError(
                    f"{self.folder} holds {foreign[0]}, which is not the demo's; choose another folder with --output"
                )
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True)

    def run(self, name: str, words: str, command: Sequence[str], environment: Mapping[str, str]) -> str:
        """Run one part; returns the last line it said. PartError with its log's end where it failed or took too long."""
        print(f"{words} ...", flush=True)
        told = _Teller()
        log = self.folder / "logs" / f"{name}.txt"
        outcome = processes.run(command, log, LIMITS[name], environment, ROOT, told)
        self.parts[name] = outcome
        if outcome.status != 0:
            how = f"was ended after {LIMITS[name]:.0f} s" if outcome.status is None else f"ended with {outcome.status}"
            raise PartError(f"the part '{name}' {how}; the end of {log}:\n{outcome.tail()}")
        print(f"    done in {outcome.seconds:.0f} s, {outcome.memory / 1e9:.2f} GB at most", flush=True)
        return told.last


class _Teller:
    """Passes a child's own words on, one line in ten seconds."""

    def __init__(self) -> None:
        self.last, self.told = "", 0.0

    def __call__(self, line: str) -> None:
        if line.strip():
            self.last = line.strip()
        if line.startswith("Unrender:") and time.monotonic() - self.told > 10.0:
            self.told = time.monotonic()
            print(f"    {line[len('Unrender:') :].strip()}", flush=True)


def demo(options: argparse.Namespace) -> dict[str, object]:
    """Run every part; returns the figures."""
    folder = options.output.resolve()
    backend, blender = str(environments.backend_python(options.torch_index)), str(environments.blender_python())
    began = time.monotonic()
    run = Demo(folder)
    run.clear()
    variables = {**environments.clean_environment(), "UNRENDER_BACKEND_PYTHON": backend}
    built = run.run("build", "Building the extension", [sys.executable, str(SCRIPTS / "build_extension.py")], variables)
    common = ["--extension", built]

    def blender_part(name: str, words: str, script: str, *arguments: str) -> str:
        return run.run(name, words, [blender, "-u", str(SCRIPTS / script), *common, *arguments], variables)

    views = (
        "--views",
        str(options.views),
        "--held-out",
        str(options.held_out),
        "--resolution",
        str(options.resolution),
    )
    picture = f"{options.views} + {options.held_out} views of {options.resolution} px"
    truth = str(folder / "truth.blend")
    job = str(run.job)
    blender_part(
        "photograph",
        f"Photographing a jar in Cycles, {picture}",
        "demo_scene.py",
        "--output",
        job,
        "--blend",
        truth,
        *views,
    )
    wanted = ("--preset", options.preset, "--device", options.device)
    blender_part(
        "reconstruct", f"Reconstructing it, preset {options.preset}", "demo_reconstruct.py", "--job", job, *wanted
    )
    words = "Importing the asset into a new scene and photographing it"
    blender_part("compare", words, "demo_compare.py", "--job", job, "--output", str(folder))
    return _summary(run, time.monotonic() - began)


def _summary(run: Demo, seconds: float) -> dict[str, object]:
    result = json.loads((run.job / "result" / "result.json").read_text(encoding="utf-8"))
    compared = json.loads((run.folder / "comparison.json").read_text(encoding="utf-8"))
    metrics = result["metrics"]
    return {
        "psnr_render": metrics["psnr"],
        "psnr_blender": compared["psnr_mean"],
        "triangles": metrics["triangles"],
        "seconds": seconds,
        "memory_gb": max(part.memory for part in run.parts.values()) / 1e9,
        "parts": {name: {"seconds": part.seconds, "memory_gb": part.memory / 1e9} for name, part in run.parts.items()},
        "device": result["device"],
        "blender": compared["blender"],
        "cores": os.cpu_count(),
    }


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--output", type=Path, default=ROOT / "demo", help="folder of everything it writes (default: demo/)"
    )
    parser.add_argument("--preset", default="draft", choices=("draft", "standard", "high"), help="default: %(default)s")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="default: %(default)s")
    parser.add_argument("--views", type=int, default=32, help="views that are fitted (default: %(default)s)")
    parser.add_argument("--held-out", type=int, default=8, help="views that only measure (default: %(default)s)")
    parser.add_argument("--resolution", type=int, default=192, help="side of a view in pixels (default: %(default)s)")
    parser.add_argument(
        "--torch-index", default="", metavar="URL", help="package index with the build of torch you want"
    )
    options = parser.parse_args()
    processes.leave_when_terminated()
    try:
        found = demo(options)
    except (PartError, environments.SetupError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    (options.output / "summary.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    figures = {
        "held-out views, our render against the capture": f"{found['psnr_render']:.2f} dB",
        "held-out views, the imported asset in Cycles against the capture": f"{found['psnr_blender']:.2f} dB",
        "triangles": f"{found['triangles']:.0f}",
        "wall time, environments apart": f"{found['seconds']:.0f} s",
        "memory at most, Blender and the backend together": f"{found['memory_gb']:.2f} GB",
    }
    print("\n" + "\n".join(f"  {value:>10}  {words}" for words, value in figures.items()))
    print(
        f"\nOpen {options.output / 'demo.blend'} in Blender, and {options.output / 'comparison.png'} to see them side by side."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
