"""The virtual environments that the demo and the tests run in: made once, outside the repository, and used again. Standard library only.

    python3 scripts/environments.py              make what is missing of both, and say where they are
    python3 scripts/environments.py backend      only the one with torch, the tests' tools included
    python3 scripts/environments.py blender      only those with Blender as a Python module: the versions that UNRENDER_BPY names

Variables: UNRENDER_ENVIRONMENTS, their folder (default ~/.cache/unrender/environments); UNRENDER_BPY, versions of Blender, such as
"4.2 5.0" or 4.5.14 (default: the oldest and the newest that requirements/ has); UNRENDER_TORCH_INDEX, the address of a package index
that has the build of torch you want.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import processes

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "requirements"
INSTALL_SECONDS = 3600.0
PROOF_SECONDS = 600.0
_MARKER = "complete"
_LIBRARIES = "libx11-6 libxrender1 libxxf86vm1 libxfixes3 libxi6 libxkbcommon0 libsm6 libgl1 libgomp1"


class SetupError(Exception):
    """An environment cannot be made; the message says why and what to do."""


class PythonMissingError(SetupError):
    """No Python of the version that is needed was found."""


@dataclass(frozen=True)
class Recipe:
    """What one environment holds.

    Attributes:
        name: its folder's name begins with it.
        requirements: pip's lines, includes resolved.
        says: what it is and how large, for the person who waits.
        proof: command line of its interpreter, run in the repository, that fails when something is missing.
        extra: further options of pip.
        python: the version of Python it needs.
    """

    name: str
    requirements: str
    says: str
    proof: tuple[str, ...]
    extra: tuple[str, ...] = ()
    python: str = "3.11"


def backend_python(torch_index: str = "") -> Path:
    """The interpreter that has the backend's packages and the tests' tools; made when it is not there."""
    index = torch_index or os.environ.get("UNRENDER_TORCH_INDEX", "")
    text = (REQUIREMENTS / "test.txt").read_text(encoding="utf-8")
    text = text.replace("-r backend.txt", (REQUIREMENTS / "backend.txt").read_text(encoding="utf-8").strip())
    says = "torch, warp-lang, scipy, OpenCV and the tests' tools (1.9 GB with the CPU build of torch)"
    extra = ("--extra-index-url", index) if index else ()
    return _python(Recipe("backend", text, says, ("-m", "backend", "warm-up", "--device", "cpu"), extra))


def blender_versions() -> tuple[str, ...]:
    """The versions of Blender to work with: UNRENDER_BPY's, else the oldest and the newest; the first is the demo's."""
    chosen = os.environ.get("UNRENDER_BPY", "").replace(",", " ").split()
    known = all_blender_versions()
    return tuple(chosen) or (known[0], known[-1])


def all_blender_versions() -> tuple[str, ...]:
    """What requirements/ has lists for, oldest first."""
    return tuple(path.stem.partition("-")[2] for path in sorted(REQUIREMENTS.glob("blender-*.txt")))


def blender_python(version: str = "") -> Path:
    """The interpreter that has Blender as a module; made when it is not there.

    Args:
        version: such as 4.2, or 4.2.20 for another release of it; empty takes the first of `blender_versions`.

    Raises:
        SetupError: there is no list of packages for it, no Python of the version it needs, or it could not be installed.
    """
    version = version or blender_versions()[0]
    series = _series(version)
    text = _list_of(version)
    if version != series:
        text = re.sub(r"(?m)^bpy==.*$", f"bpy=={version}", text)
    proof = ("-c", "import bpy; print(bpy.app.version_string)")
    says = f"Blender {version} as a Python module, bpy (1.0 GB)"
    return _python(Recipe(f"blender-{series}", text, says, proof, python=python_of(version)))


def python_of(version: str) -> str:
    """The version of Python that a version of Blender needs, such as 3.11; SetupError where there is no list of packages for it."""
    needs = re.search(r"Needs Python (3\.\d+)", _list_of(version))
    assert needs is not None, f"the list of Blender {version} does not say which Python it needs"
    return needs[1]


def _series(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _list_of(version: str) -> str:
    path = REQUIREMENTS / f"blender-{_series(version)}.txt"
    if not path.is_file():
        raise SetupError(f"Blender {version} is not known; there are {', '.join(all_blender_versions())}")
    return path.read_text(encoding="utf-8")


def node_modules() -> Path | None:
    """The folder with Khronos's glTF validator; None where npm is not installed or cannot get it."""
    npm = shutil.which("npm")
    if npm is None:
        return None
    package = (REQUIREMENTS / "package.json").read_text(encoding="utf-8")
    folder = home() / f"node-{_digest(package)}"

    def install() -> None:
        (folder / "package.json").write_text(package, encoding="utf-8")
        command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder)]
        _run(command, folder.with_suffix(".log"), 300.0, "npm could not install the glTF validator")

    try:
        _make(folder, "the Khronos glTF validator (2 MB, with npm)", install)
    except SetupError as fault:
        print(f"{fault}\nThe glTF validator is left out.", flush=True)
        return None
    return folder / "node_modules"


def home() -> Path:
    """The folder of all environments."""
    chosen = os.environ.get("UNRENDER_ENVIRONMENTS")
    return Path(chosen).expanduser().resolve() if chosen else Path.home() / ".cache" / "unrender" / "environments"


def clean_environment() -> dict[str, str]:
    """The variables without those that would lead a Python to packages of another one."""
    foreign = ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "VIRTUAL_ENV", "CONDA")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, "PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1"}


def find_python(version: str = "3.11") -> Path:
    """A Python of this version that can make virtual environments: this one, the PATH's, or pyenv's; or PythonMissingError."""
    candidates = [sys.executable, shutil.which(f"python{version}") or "", shutil.which("python3") or ""]
    found = Path.home().glob(f".pyenv/versions/{version}*/bin/python{version}")
    candidates += [str(path) for path in sorted(found, reverse=True)]
    without_venv = ""
    for candidate in filter(None, candidates):
        if _ask(candidate, "import sys; print(*sys.version_info[:2], sep='.')") == version:
            if _ask(candidate, "import venv, ensurepip; print(1)") == "1":
                return Path(_ask(candidate, "import os, sys; print(os.path.realpath(sys._base_executable))"))
            without_venv = candidate
    if without_venv:
        raise PythonMissingError(
            f"{without_venv} cannot make virtual environments.\nOn Debian or Ubuntu: apt-get install python{version}-venv"
        )
    raise PythonMissingError(
        f"No Python {version} was found; this is {sys.version.split()[0]}.\nDebian 12 has 3.11, Debian 13 has 3.13: "
        f"apt-get install python3 python3-venv. Elsewhere: pyenv install {version}, or your system's package python{version}."
    )


def _ask(python: str, code: str) -> str:
    try:
        done = subprocess.run(
            [python, "-c", code], capture_output=True, text=True, timeout=30, env=clean_environment(), check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _python(recipe: Recipe) -> Path:
    base = find_python(recipe.python)
    key = recipe.requirements + " ".join(recipe.extra) + _ask(str(base), "import sys; print(sys.version, sys.prefix)")
    folder = home() / f"{recipe.name}-{_digest(key)}"
    python = folder / "bin" / "python"

    def install() -> None:
        lock = folder / "requirements.txt"
        log = folder.with_suffix(".log")
        _run([str(base), "-m", "venv", str(folder)], log, 300.0, "the virtual environment could not be made")
        lock.write_text(recipe.requirements, encoding="utf-8")
        pip = [
            str(python),
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--progress-bar",
            "off",
            "-r",
            str(lock),
        ]
        _run([*pip, *recipe.extra], log, INSTALL_SECONDS, "pip could not install the packages")
        said = "the packages are installed but do not work"
        _run([str(python), *recipe.proof], log, PROOF_SECONDS, said)

    _make(folder, recipe.says, install)
    return python


def _make(folder: Path, says: str, install: Callable[[], None]) -> None:
    """Let `install` fill `folder`, unless it is complete already; what an interrupted one left is removed first."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    marker = folder / _MARKER
    with _lock(folder.with_suffix(".lock")):
        if marker.is_file():
            return
        shutil.rmtree(folder, ignore_errors=True)
        print(f"Installing {says} into {folder}", flush=True)
        began = time.monotonic()
        folder.mkdir()
        try:
            install()
            size = sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
            marker.write_text(f"{size} bytes\n", encoding="utf-8")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        print(f"Installed: {size / 1e9:.2f} GB in {time.monotonic() - began:.0f} s", flush=True)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """One maker at a time; the lock goes with the process that holds it."""
    with path.open("w", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Another process is making {path.with_suffix('').name}; waiting for it", flush=True)
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _run(command: list[str], log: Path, limit: float, fault: str) -> None:
    told = time.monotonic()

    def tell(line: str) -> None:
        nonlocal told
        if time.monotonic() - told > 10.0:
            told = time.monotonic()
            print(f"    {line.strip()[:110]}", flush=True)

    outcome = processes.run(command, log, limit, clean_environment(), ROOT, tell)
    if outcome.status != 0:
        how = f"after {limit:.0f} s" if outcome.status is None else f"exit status {outcome.status}"
        tail = outcome.tail(15)
        hint = ""
        if library := re.search(r"(lib\w+[\w.+-]*\.so[\w.]*): cannot open shared object", tail):
            hint = f"\n{library[1]} is missing. On Debian or Ubuntu: apt-get install {_LIBRARIES}"
        raise SetupError(f"{fault} ({how}; all of it in {log}):\n{tail}{hint}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="backend, blender or node (default: all)")
    parser.add_argument(
        "--torch-index", default="", metavar="URL", help="package index with the build of torch you want"
    )
    options = parser.parse_args()
    makers = {
        "backend": lambda: backend_python(options.torch_index),
        "blender": lambda: ", ".join(str(blender_python(version)) for version in blender_versions()),
        "node": node_modules,
    }
    names = options.names or list(makers)
    if unknown := [name for name in names if name not in makers]:
        parser.error(f"no environment is called {unknown[0]!r}; there are {', '.join(makers)}")
    processes.leave_when_terminated()
    try:
        for name in names:
            print(f"{name}: {makers[name]()}", flush=True)
    except (SetupError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
