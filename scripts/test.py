"""All tests: lint, format, types, then pytest with Blender and the glTF validator at hand.

    python3 scripts/test.py                      everything
    python3 scripts/test.py --lint               only lint, format and types
    python3 scripts/test.py --quick              without Blender
    python3 scripts/test.py tests/backend -k rays    what follows goes to pytest

Needs Python 3.11 and nothing else; makes its environments on the first call (see scripts/environments.py). The exit status is 0 only
when everything passed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

import environments
import processes

CHECKS = {  # name -> arguments after `python -m`, seconds
    "lint": (("ruff", "check", "."), 120.0),
    "format": (("ruff", "format", "--check", "--output-format", "concise", "."), 120.0),
    "types": (("mypy",), 600.0),
}
PYTEST_SECONDS = 1500.0


def check(python: str, variables: Mapping[str, str]) -> dict[str, bool]:
    """Lint, format and types: name -> whether it passed."""
    passed = {}
    for name, (arguments, limit) in CHECKS.items():
        passed[name] = _run(name, [python, "-m", *arguments], variables, limit)
    return passed


def _run(name: str, command: Sequence[str], variables: Mapping[str, str], limit: float) -> bool:
    """Run one check with its words on the terminal; True when it passed."""
    print(f"== {name}: {' '.join(command[1:])}", flush=True)
    began = time.monotonic()
    child = subprocess.Popen(
        list(command), cwd=environments.ROOT, env=dict(variables), stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        status = child.wait(limit)
        said = "passed" if status == 0 else f"FAILED with exit status {status}"
    except subprocess.TimeoutExpired:
        status, said = None, f"FAILED: not done after {limit:.0f} s"
    finally:
        processes.end(child)
    print(f"== {name}: {said} in {time.monotonic() - began:.0f} s\n", flush=True)
    return status == 0


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lint", action="store_true", help="only lint, format and types")
    parser.add_argument("--quick", action="store_true", help="leave out the tests that need Blender")
    parser.add_argument(
        "--torch-index", default="", metavar="URL", help="package index with the build of torch you want"
    )
    options, rest = parser.parse_known_args()
    processes.leave_when_terminated()
    try:
        python = str(environments.backend_python(options.torch_index))
        variables = {**environments.clean_environment(), "OMP_WAIT_POLICY": "passive"}
        for name in ("UNRENDER_BLENDER_PYTHON", "UNRENDER_NODE_MODULES", "UNRENDER_BACKEND_PYTHON"):
            variables.pop(name, None)
        variables["UNRENDER_BACKEND_PYTHON"] = python
        if not (options.lint or options.quick):
            variables["UNRENDER_BLENDER_PYTHON"] = str(environments.blender_python())
        if not options.lint and (modules := environments.node_modules()):
            variables["UNRENDER_NODE_MODULES"] = str(modules)
    except (environments.SetupError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    passed = {} if rest else check(python, variables)
    if not options.lint:
        command = [python, "-m", "pytest", "--durations=15", *rest]
        passed["tests"] = _run("tests", command, variables, PYTEST_SECONDS)
    failed = [name for name, well in passed.items() if not well]
    if failed:
        print(f"FAILED: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
