"""`doctor`: what this machine has, what is missing, and how to get it. Works in an environment that lacks everything."""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from backend.commands.failures import explain
from backend.console import Console
from backend.contract import EnvironmentFault, version
from backend.engines.facts import engine_facts
from backend.engines.names import CHOICES, research_permitted, why_not

_LEAST_PYTHON = (3, 10)
_LEAST_DISK = 2 << 30  # bytes; a job with its checkpoints, and the compiled kernels
_REQUIRED = {  # module -> the package that brings it
    "torch": "torch",
    "numpy": "numpy",
    "scipy": "scipy",
    "warp": "warp-lang",
    "cv2": "opencv-python-headless",
    "imageio": "imageio",
    "PIL": "pillow",
    "OpenEXR": "OpenEXR",
    "xatlas": "xatlas",
    "fast_simplification": "fast-simplification",
}
_MARK = {"ok": "ok     ", "missing": "MISSING", "absent": "-      "}


@dataclass(frozen=True)
class Check:
    """One fact. `state` is 'ok', 'missing' (nothing runs without it) or 'absent' (it would only be nice to have).

    `hint` says how to get what is not there; it is empty where all is well.
    """

    name: str
    state: str
    value: str
    hint: str = ""


def doctor(arguments: argparse.Namespace, console: Console) -> int:
    """The verb `doctor`: 0 when a reconstruction can run here, 3 otherwise."""
    checks = [_python(), *_packages()]
    if all(check.state == "ok" for check in checks):
        checks += [*_devices(), *_engines(), _engine(arguments.device), _perceptual()]
    checks += _disks()
    well = all(check.state != "missing" for check in checks)
    if arguments.json:
        facts = {"event": "doctor", "ok": well, "version": version(), "checks": [asdict(check) for check in checks]}
        console.text(json.dumps(facts, ensure_ascii=False))
    else:
        console.text(f"Unrender {version()} on {platform.platform()}\n" + "\n".join(map(_line, checks)))
        console.text("All is there." if well else "Something is missing: see above.")
    return 0 if well else EnvironmentFault.exit_status


def _line(check: Check) -> str:
    line = f"  {_MARK[check.state]}  {check.name:<24}{check.value}"
    return line + (f"\n{'':<35}-> {check.hint}" if check.hint else "")


def _python() -> Check:
    fine = sys.version_info[:2] >= _LEAST_PYTHON
    value = f"{platform.python_version()} ({sys.executable})"
    hint = "" if fine else f"Use Python {'.'.join(map(str, _LEAST_PYTHON))} or newer."
    return Check("Python", "ok" if fine else "missing", value, hint)


def _packages() -> list[Check]:
    checks = []
    for module, package in _REQUIRED.items():
        if importlib.util.find_spec(module) is not None:
            checks.append(Check(package, "ok", _version(package)))
        else:
            checks.append(Check(package, "missing", "not installed", f"{sys.executable} -m pip install {package}"))
    return checks


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"


def _devices() -> list[Check]:
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    checks = [Check("cpu", "ok", f"{_processor()}, {threads} threads, {_memory()}")]
    driver = _nvidia_driver()
    try:
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        for index in range(count):
            free, total = torch.cuda.mem_get_info(index)
            value = f"{torch.cuda.get_device_name(index)}, {total / 2**30:.0f} GiB ({free / 2**30:.0f} free), driver {driver}"
            checks.append(Check(f"cuda:{index}", "ok", f"{value}, CUDA {torch.version.cuda}"))
    except Exception as error:  # a broken torch is what this command is there to show
        return [*checks, Check("devices", "missing", explain(error).message, "Install PyTorch again.")]
    if count == 0:
        hint = "It runs on the CPU, slower."
        if driver:
            hint = f"Driver {driver} is there, but PyTorch {torch.__version__} does not see the GPU: install its CUDA build."
        checks.append(Check("cuda", "absent", "no GPU that PyTorch can use", hint))
    return checks


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB memory"
    except (AttributeError, ValueError, OSError):
        return "memory unknown"


def _nvidia_driver() -> str:
    """The driver's version as nvidia-smi tells it; '' where there is none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    command = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip().splitlines()[0] if answer.returncode == 0 and answer.stdout.strip() else ""


def _engines() -> list[Check]:
    """What each engine is, and whether `auto` would take it."""
    permitted = research_permitted()
    reasons = {choice.name: why_not(choice, permitted) for choice in CHOICES}
    checks = []
    for fact in engine_facts():
        needed = fact.name == "builtin"
        name = f"engine {fact.name}" if needed else f"{fact.name} (optional)"
        state = "ok" if fact.available else "missing" if needed else "absent"
        told = [fact.version, fact.reason, f"licence: {fact.licence}"]
        if not needed and fact.available:
            told.append(f"auto leaves it: {reasons[fact.name]}" if reasons[fact.name] else "auto takes it")
        value = ", ".join(part for part in told if part)
        checks.append(Check(name, state, value, "Install warp-lang again." if state == "missing" else ""))
    return checks


def _engine(name: str) -> Check:
    began = time.monotonic()
    try:
        engine, device = prove_engine(name)
    except Exception as error:
        failure = explain(error)
        return Check("proof", "missing", failure.message, failure.hint or "Install warp-lang again.")
    why = "it is measured faster" if engine != "builtin" else "no other that may run here is measured faster"
    seconds = time.monotonic() - began
    return Check("proof", "ok", f"auto runs {engine} ({why}): it drew a triangle on {device} in {seconds:.1f} s")


def prove_engine(device_name: str, engine_name: str = "auto") -> tuple[str, str]:
    """Draw one triangle and compare it with what it must be: the engine's and the device's names.

    Raises EnvironmentFault when the picture is wrong, and whatever an engine that does not run raises.
    """
    import torch

    from backend.commands.device import pick_device
    from backend.engines.select import select_engine

    device = pick_device(device_name)
    engine = select_engine(engine_name, device)
    corners = torch.tensor([[[-1.0, -1.0, 0.0, 1.0], [-1.0, 3.0, 0.0, 1.0], [3.0, -1.0, 0.0, 1.0]]], device=device)
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32, device=device)
    raster = engine.rasterize(corners, faces, (8, 8))  # covers the whole image
    rows = engine.interpolate(corners[0, :, 1:2].contiguous(), faces, raster.barycentric, raster.triangle)
    wanted = (torch.arange(8, device=device) + 0.5) / 4.0 - 1.0  # y of the pixel centres, from the top down
    if not torch.allclose(rows[0, :, :, 0], wanted[:, None].expand(8, 8), atol=1e-5):
        raise EnvironmentFault(f"engine {engine.name} draws a triangle wrongly on {device}", code="engine-wrong")
    return engine.name, str(device)


def _perceptual() -> Check:
    """LPIPS is the one measure that needs a package and weights of its own."""
    try:
        from backend.loss.metrics import lpips_meter

        meter, why = lpips_meter("cpu")
    except Exception as error:
        meter, why = None, explain(error).message
    return Check("lpips (optional)", "ok" if meter else "absent", _version("lpips") if meter else why)


def _disks() -> list[Check]:
    checks = []
    for name, folder in (("disk, here", Path.cwd()), ("disk, temporary", Path(tempfile.gettempdir()))):
        free = shutil.disk_usage(folder).free
        value = f"{free / 2**30:.1f} GiB free in {folder}"
        enough = free >= _LEAST_DISK
        checks.append(Check(name, "ok" if enough else "absent", value, "" if enough else "A job may need 2 GiB."))
    return checks
