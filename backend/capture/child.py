"""The solver's child process: followed, stopped, and what it says when it breaks."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.contract import Cancelled, EnvironmentFault, Event, Progress, UnrenderError

PACKAGE = "pycolmap"
_ROOT = Path(__file__).resolve().parents[2]  # the folder that holds `backend`
_GO_ON = "Run the same command to go on from there."


def run_worker(
    state: Path, count: int, pairs: int, emit: Callable[[Event], None], cancelled: Callable[[], bool]
) -> None:
    """The worker to its end."""
    with (state / "solver.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "backend.capture.worker", str(state / "task.json")],
            cwd=_ROOT,
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
                    raise Cancelled(f"The solver was stopped; what is done is kept in {state}.", hint=_GO_ON)
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


def _broken(status: int, log: str, state: Path) -> UnrenderError:
    lines = [line for line in log.strip().splitlines() if line.strip()]
    errors = [
        line for line in lines if "Error: " in line or "Check failed" in line
    ] or lines  # not the stack that follows
    last = errors[-1].strip() if errors else "it said nothing"
    if status == -getattr(signal, "SIGKILL", 9):
        return EnvironmentFault(
            "the solver was killed, most likely for want of memory",
            hint="Close other programs, or use --quality draft or fewer --threads; " + _GO_ON.lower(),
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
