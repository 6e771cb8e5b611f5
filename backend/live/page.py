"""The live page's files in a job's preview folder, rewritten as events come."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backend.console import clock
from backend.contract import Event, Failed, Finished, Preview, Progress, Started, Warned

PAGE, DATA = "index.html", "live.js"
_EVERY = 0.5  # seconds between two writings
_POINTS = 400  # of a curve: when there are more, every other one goes, and later ones come half as often


class LivePage:
    """What a run said so far, as a page that any browser opens, from the disk or from `server.Server`.

    `index.html` loads `live.js` again each second. A page that cannot be written never stops the run.
    """

    def __init__(self, folder: Path, title: str, seconds: Callable[[], float] = time.monotonic) -> None:
        """Write the page.

        Args:
            folder: the job's preview folder, which holds the pictures.
            title: what is reconstructed.
            seconds: a clock.

        Raises:
            OSError: the page cannot be written at all.
        """
        self._folder, self._seconds = folder, seconds
        self._guard = threading.Lock()
        self._written = -_EVERY
        self._run: dict[str, Any] = {
            "title": title, "now": "Starting", "part": 0.0, "notes": [], "picture": None, "curves": [], "over": False
        }  # fmt: skip
        self._curves: dict[str, list[tuple[int, float]]] = {}
        self._apart: dict[str, int] = {}  # steps between two points of a curve that has many
        page = Path(__file__).with_name(PAGE.replace("index", "page")).read_text(encoding="utf-8")
        (folder / PAGE).write_text(page, encoding="utf-8")
        self._write()

    @property
    def path(self) -> Path:
        """The page's file."""
        return self._folder / PAGE

    def hear(self, event: Event) -> None:
        """Take in an event; safe from any thread."""
        with self._guard:
            before = dict(self._run)
            self._take(event)
            due = self._seconds() - self._written >= _EVERY or not isinstance(event, Progress)
            if due and (self._run != before or isinstance(event, Progress)):
                with contextlib.suppress(OSError):
                    self._write()

    def _take(self, event: Event) -> None:
        run = self._run
        if isinstance(event, Started):
            run["now"] = f"Starting on {event.device}"
        elif isinstance(event, Progress):
            left = "" if event.eta is None else f", {clock(event.eta)} left"
            psnr = "" if event.psnr is None else f", PSNR {event.psnr:.1f} dB"
            run["now"] = f"{event.stage.capitalize()}, step {event.step} of {event.steps}{psnr}{left}"
            run["part"] = event.step / max(1, event.steps)
            for name, value in (("PSNR, dB", event.psnr), *sorted(event.losses.items())):
                if value is not None:
                    self._add(f"{event.stage.capitalize()}: {name}", event.step, value)
        elif isinstance(event, Preview):
            run["picture"] = Path(event.path).stem
        elif isinstance(event, Warned):
            run["notes"] = [*run["notes"], event.message][-20:]
        elif isinstance(event, Failed):
            run.update(now=f"Stopped: {event.message}", over=True)
        elif isinstance(event, Finished):
            run.update(now=f"Done after {clock(event.seconds)}: {event.result}", part=1.0, over=True)

    def _add(self, name: str, step: int, value: float) -> None:
        points = self._curves.setdefault(name, [])
        if points and step <= points[-1][0]:  # a stage that went on from an earlier state
            points[:] = [point for point in points if point[0] < step]
        apart = self._apart.setdefault(name, 1)
        if len(points) > 1 and points[-1][0] - points[-2][0] < apart:
            points.pop()
        points.append((step, value))
        if len(points) > _POINTS:
            del points[1:-1:2]
            self._apart[name] = points[2][0] - points[1][0]

    def _write(self) -> None:
        self._written = self._seconds()
        curves = [
            {"name": name, "points": points, "digits": 1 if name.endswith("dB") else 4}
            for name, points in self._curves.items()
        ]
        partial = self._folder / f".{DATA}.part"
        partial.write_text(f"show({json.dumps({**self._run, 'curves': curves})});\n", encoding="utf-8")
        partial.replace(self._folder / DATA)
