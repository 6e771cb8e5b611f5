"""Measure this machine, in the backend's environment (any Python that has its packages; a GPU is used where there is one).

    PYTHON scripts/benchmark.py steps SOURCE            milliseconds a step of each stage, and of each primitive, by engine
    PYTHON scripts/benchmark.py time-to-quality SOURCE  held-out PSNR over wall time, as a table and a picture
    PYTHON scripts/benchmark.py memory SOURCE           peak memory of runs at growing sizes, against what was planned
    PYTHON scripts/benchmark.py scaling SOURCE          milliseconds a step over views, resolution, triangles; under torchrun, processes
    PYTHON scripts/benchmark.py walk SOURCE             what the silhouette search's walk is worth, in dB

SOURCE is what `python -m backend reconstruct` takes; without one, --synthesise N photographs a built-in object N times. Each verb prints
its tables and writes them, with the machine's description, as one JSON file.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: spinning threads starve the kernels' own

import benchmark_runs
from benchmark_base import installed_engines, machine, show
from benchmark_scaling import scaling
from benchmark_steps import steps
from benchmark_walk import walk

from backend.commands.device import pick_device
from backend.contract import UnrenderError
from backend.optimise.team import started_together, team_of
from backend.render.renderer import Renderer


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    verbs = parser.add_subparsers(dest="verb", required=True)

    def verb(name: str, meaning: str, resolution: int = 512) -> argparse.ArgumentParser:
        child = verbs.add_parser(name, help=meaning, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        child.add_argument("source", type=Path, nargs="?", help="folder of posed images, a transforms.json, or a mesh")
        child.add_argument(
            "--synthesise", type=int, default=0, metavar="N", help="N views of a built-in object instead"
        )
        child.add_argument("--preset", default="standard", choices=("draft", "standard", "high"), help="of the request")
        child.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
        child.add_argument("--engines", nargs="+", help="the engines measured; all that run here where left out")
        child.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any number of the request")
        child.add_argument("--output", type=Path, default=Path(f"benchmark-{name}.json"), help="JSON file")
        if resolution:
            child.add_argument("--resolution", type=int, default=resolution, help="long side of the images in pixels")
        return child

    def fits(child: argparse.ArgumentParser) -> None:
        child.add_argument("--views", type=int, default=8, help="views a step (of each process)")
        child.add_argument("--cells", type=int, default=64, help="grid cells along the longest side")
        child.add_argument("--texture", type=int, default=1024, help="texels along the textures' side")
        child.add_argument("--warm-up", type=int, default=150, help="least steps before the first that is timed")
        child.add_argument("--windows", type=int, default=5, help="windows whose median is taken")
        child.add_argument("--window", type=int, default=20, help="steps in a window")

    child = verb("steps", "milliseconds a step and a primitive")
    fits(child)
    child.add_argument("--profile", action="store_true", help="list the kernels that take the time, too")
    child = verb("time-to-quality", "held-out PSNR over wall time")
    child.add_argument("--marks", type=int, default=10, help="points of the curve in each stage")
    child.add_argument("--shares", type=float, nargs="*", default=[0.25, 0.5, 1.0], help="complete runs, of the steps")
    child.add_argument("--picture", type=Path, default=Path("time-to-quality.svg"), help="SVG file")
    child = verb("memory", "peak memory against the plan", resolution=0)
    child.add_argument("--rows", nargs="+", default=["512:1024", "1024:2048", "1600:4096"], help="pixels:texels")
    child.add_argument("--share", type=float, default=0.05, help="of the preset's steps")
    child = verb("scaling", "milliseconds a step over the size of the work")
    fits(child)
    child.add_argument("--counts", type=int, nargs="*", default=[2, 4, 8, 16], help="views a step")
    child.add_argument("--resolutions", type=int, nargs="+", default=[256, 512, 1024], help="pixels")
    triangles = [5_000, 20_000, 100_000, 500_000]
    child.add_argument("--triangles", type=int, nargs="*", default=triangles, help="of a ball in the refine stage")
    child = verb("walk", "quality at equal steps with walks of different lengths")
    child.add_argument("--walks", type=int, nargs="+", default=[0, 8, 32], help="triangles the search may cross")
    child.add_argument("--shape-steps", type=int, default=500, help="of stage 1")
    child.add_argument("--refine-steps", type=int, default=375, help="of stage 3; 0 leaves it out")
    child.add_argument("--seeds", type=int, default=1, help="runs of each, with seeds from 0")
    return parser


def main(words: list[str] | None = None) -> int:
    """Measure; the exit status."""
    parser = build_parser()
    options = parser.parse_args(words)
    if (options.source is None) == (not options.synthesise):
        parser.error("give a SOURCE, or --synthesise N")
    if started_together() and options.verb != "scaling":
        parser.error(f"torchrun starts several processes, which {options.verb} has no use for; scaling has")
    try:
        device = pick_device(options.device)
        facts = machine(device)  # before the work: the load is others'
        if options.verb == "scaling":
            with team_of(device) as team:
                renderer = Renderer(next(installed_engines(options.engines, device))[1])
                tables = scaling(options, device, team, renderer)
                leads = team.leads
        else:
            verbs = {
                "steps": steps,
                "time-to-quality": benchmark_runs.time_to_quality,
                "memory": benchmark_runs.memory,
                "walk": walk,
            }
            tables, leads = verbs[options.verb](options, device), True
    except UnrenderError as error:
        print(f"{error.message}\n{error.hint}", file=sys.stderr)
        return error.exit_status
    if leads:
        show(options, device, facts, tables)
    return 0


if __name__ == "__main__":
    sys.exit(main())
