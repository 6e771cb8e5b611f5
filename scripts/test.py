"""All tests: lint, format, types, then pytest with Blender and the glTF validator at hand.

    python3 scripts/test.py                      everything, with the oldest and the newest Blender
    python3 scripts/test.py --blender all        with every Blender that requirements/ has a list for; or 4.5, or 4.2,5.0
    python3 scripts/test.py --lint               only lint, format and types
    python3 scripts/test.py --quick              without Blender
    python3 scripts/test.py tests/backend -k rays    what follows goes to pytest, run once with one Blender

Needs Python 3.11 and nothing else, and 3.13 for Blender 5.2; makes its environments on the first call (see scripts/environments.py).
Three groups run at once: what needs no Blender; the tests in Blender, one version after the other; and, at a low priority, damaged files
for each parser of binary files (see scripts/fuzz.py; --quick leaves it out). Each part's words are printed when it has ended. The exit
status is 0 only when everything passed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import environments
import processes

PYTEST_SECONDS = 1500.0
ENVIRONMENT_SECONDS = 3600.0
OURS = ("UNRENDER_BLENDER_PYTHON", "UNRENDER_NODE_MODULES", "UNRENDER_BACKEND_PYTHON")


@dataclass(frozen=True)
class Part:
    """One command of the run.

    Attributes:
        name: what it is called in the output.
        command: program and arguments, run in the repository.
        variables: its whole environment.
        limit: seconds after which it is ended, which counts as a failure.
        at_once: its words go to the terminal as they come.
    """

    name: str
    command: Sequence[str]
    variables: Mapping[str, str]
    limit: float
    at_once: bool = False


class Lane:
    """Parts that run one after the other in a process each, beside other lanes.

    Attributes:
        seconds: name of a part -> what it took; negative where it failed.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self.waiting = list(parts)
        self.seconds: dict[str, float] = {}
        self._part: Part | None = None
        self._child: subprocess.Popen[str]
        self._said: IO[str]
        self._began = 0.0

    def tend(self) -> bool:
        """Start the next part, or look whether the present one has ended; False when all are done. Call it again and again."""
        if self._part is None:
            if not self.waiting:
                return False
            self._part, self._began = self.waiting.pop(0), time.monotonic()
            print(f"== {self._part.name}: {' '.join(self._part.command[1:])}", flush=True)
            self._said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed in _finish
            self._child = subprocess.Popen(
                list(self._part.command),
                cwd=environments.ROOT,
                env=dict(self._part.variables),
                stdin=subprocess.DEVNULL,
                stdout=None if self._part.at_once else self._said,
                stderr=None if self._part.at_once else subprocess.STDOUT,
                start_new_session=True,
                text=True,
            )
        status = self._child.poll()
        took = time.monotonic() - self._began
        if status is not None or took > self._part.limit:
            self._finish(self._part, status, took)
        return True

    def _finish(self, part: Part, status: int | None, took: float) -> None:
        self.end()
        self._said.seek(0)
        words = "passed" if status == 0 else f"FAILED with exit status {status}"
        if status is None:
            words = f"FAILED: not done after {part.limit:.0f} s"
        print(f"{self._said.read()}== {part.name}: {words} in {took:.0f} s\n", flush=True)
        self._said.close()
        self.seconds[part.name] = took if status == 0 else -took

    def end(self) -> None:
        """End the present part and whatever it started."""
        if self._part is not None:
            processes.end(self._child)
            self._part = None


def run(lanes: Sequence[Lane]) -> dict[str, float]:
    """Run all lanes to their ends; returns seconds by part, negative where it failed. An interrupt leaves no child behind."""
    try:
        while sum(lane.tend() for lane in lanes):  # not any(), which would stop at the first
            time.sleep(0.05)
    finally:
        for lane in lanes:
            lane.end()
    return {name: took for lane in lanes for name, took in lane.seconds.items()}


def make_environments(options: argparse.Namespace, blenders: Sequence[str]) -> None:
    """Make what is missing, the backend's environment beside those of Blender; SetupError where one fails."""
    script = str(Path(__file__).with_name("environments.py"))
    index = ["--torch-index", options.torch_index] if options.torch_index else []
    variables = {**os.environ, "UNRENDER_BPY": " ".join(blenders)}
    wanted = [["backend", *index], *([["blender"]] if blenders else [])]
    lanes = [
        Lane(
            [Part(f"environment {one[0]}", [sys.executable, "-u", script, *one], variables, ENVIRONMENT_SECONDS, True)]
        )
        for one in wanted
    ]
    if failed := [name for name, took in run(lanes).items() if took < 0]:
        raise environments.SetupError(f"{' and '.join(failed)} could not be made; see above")


def usable(versions: Sequence[str], insist: bool) -> list[str]:
    """Those versions of Blender whose Python this machine has; with `insist`, PythonMissingError where one is missing."""
    found = []
    for version in versions:
        try:
            environments.find_python(environments.python_of(version))
            found.append(version)
        except environments.PythonMissingError as fault:
            if insist:
                raise
            print(f"WARNING: Blender {version} is left out of this run. {fault}\n", flush=True)
    return found


def checks(python: str, variables: Mapping[str, str]) -> list[Part]:
    """Lint, format and types."""
    return [
        Part("lint", (python, "-m", "ruff", "check", "."), variables, 120.0),
        Part(
            "format", (python, "-m", "ruff", "format", "--check", "--output-format", "concise", "."), variables, 120.0
        ),
        Part("types", (python, "-m", "mypy"), variables, 600.0),
        Part("types of the add-on", (python, "scripts/check_addon_types.py"), variables, 600.0),
    ]


def tests(name: str, python: str, variables: Mapping[str, str], *arguments: str) -> Part:
    """One call of pytest."""
    return Part(name, (python, "-m", "pytest", "--durations=15", *arguments), variables, PYTEST_SECONDS)


def fuzzing(python: str, variables: Mapping[str, str]) -> Part:
    """A minute of damaged files for every parser of binary files, side by side and at a low priority."""
    return Part("fuzzing", (python, "scripts/fuzz.py", "--seconds", "60", "--jobs", "4"), variables, 900.0)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lint", action="store_true", help="only lint, format and types")
    parser.add_argument("--quick", action="store_true", help="leave out the tests that need Blender")
    parser.add_argument("--blender", default="", metavar="VERSIONS", help="all, or versions with commas between them")
    parser.add_argument(
        "--torch-index", default="", metavar="URL", help="package index with the build of torch you want"
    )
    options, rest = parser.parse_known_args()
    processes.leave_when_terminated()
    if options.blender:
        every = options.blender == "all"
        os.environ["UNRENDER_BPY"] = " ".join(environments.all_blender_versions()) if every else options.blender
    insist = bool(os.environ.get("UNRENDER_BPY") or os.environ.get("CI"))
    try:
        blenders = [] if options.lint or options.quick else usable(environments.blender_versions(), insist)
        make_environments(options, blenders)
        python = str(environments.backend_python(options.torch_index))
        modules = None if options.lint else environments.node_modules()
        blender_pythons = {version: str(environments.blender_python(version)) for version in blenders}
    except (environments.SetupError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    variables = {name: value for name, value in environments.clean_environment().items() if name not in OURS}
    variables |= {"OMP_WAIT_POLICY": "passive", "UNRENDER_BACKEND_PYTHON": python}
    if modules:
        variables["UNRENDER_NODE_MODULES"] = str(modules)
    in_blender = {version: {**variables, "UNRENDER_BLENDER_PYTHON": path} for version, path in blender_pythons.items()}
    if options.lint:
        lanes = [Lane(checks(python, variables))]
    elif rest:
        lanes = [Lane([tests("tests", python, next(iter(in_blender.values()), variables), *rest)])]
    else:
        lanes = [
            Lane([*checks(python, variables), tests("tests without Blender", python, variables, "-m", "not blender")]),
            Lane(
                [
                    # our renderer against Cycles takes minutes and says nothing of the add-on: once is enough
                    tests(
                        f"tests in Blender {v}", python, own, "-m", "blender", *(["--ignore=tests/parity"] if n else [])
                    )
                    for n, (v, own) in enumerate(in_blender.items())
                ]
            ),
            *([] if options.quick else [Lane([fuzzing(python, variables)])]),
        ]
    began = time.monotonic()
    seconds = run(lanes)
    print("\n".join(f"{abs(took):6.0f} s  {name}{'' if took >= 0 else ': FAILED'}" for name, took in seconds.items()))
    print(f"{time.monotonic() - began:6.0f} s  in all")
    return 1 if any(took < 0 for took in seconds.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
