"""What the process says: events for a program that follows it, a progress bar for a person, and everything into the log.

Libraries print what they like to standard output. Once `Console.take_over` is called their prints go to standard error
and the log, so that a reader of standard output meets events and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import IO, TextIO

from backend.contract import Event, Failed, Finished, MeshUpdate, Planned, Preview, Progress, Started, Warned, Watching

_BAR = 24  # characters


class Console:
    """The screen or pipe a person or a program reads, and the log. Calling it with an event is safe from any thread."""

    def __init__(self, json_lines: bool | None = None) -> None:
        """`json_lines`: True for events as JSON, False for a bar and sentences, None: a bar when a terminal is there."""
        sys.stdout.flush()
        self._screen = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace", newline="\n")
        self.json_lines = not self._screen.isatty() if json_lines is None else json_lines
        self.reader_left = False  # nobody reads what is written any more
        self._bar = ProgressBar(self._screen)
        self._guard = threading.Lock()
        self._log: IO[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._tee: threading.Thread | None = None

    def take_over(self) -> None:
        """From here on, whatever is printed to standard output by anything but this class goes to standard error."""
        sys.stdout.flush()
        os.dup2(2, 1)

    def log_to(self, path: Path) -> None:
        """Append everything to `path` from here on: events, and what libraries print (on a terminal, only there)."""
        self._log = path.open("ab", buffering=0)
        self._errors = os.fdopen(os.dup(2), "wb", buffering=0)
        sys.stdout.flush()
        sys.stderr.flush()
        reading, writing = os.pipe()
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.close(writing)
        self._tee = threading.Thread(target=self._copy_prints, args=(reading,), name="log", daemon=True)
        self._tee.start()

    def __call__(self, event: Event) -> None:
        """Say an event."""
        line = event.to_json()
        with self._guard:
            self._write_log(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n".encode())
            self._say(lambda: self._bar.show(event) if not self.json_lines else self._print(line))

    def text(self, text: str) -> None:
        """Print lines for a person: what a command was asked to show."""
        with self._guard:
            self._say(lambda: self._print(text))

    def note(self, text: str) -> None:
        """Write into the log alone (a traceback); to standard error where there is no log yet."""
        if self._log is None:
            os.write(2, f"{text}\n".encode())
        else:
            self._write_log(f"{text}\n".encode())

    def close(self) -> None:
        """Let the last prints through and give standard output and error back."""
        if self._tee is not None and self._errors is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(self._errors.fileno(), 1)
            os.dup2(self._errors.fileno(), 2)
            self._tee.join(timeout=1.0)  # a child process that lives on keeps the pipe open: it is not waited for
        with contextlib.suppress(OSError, ValueError):
            self._screen.close()

    def _print(self, line: str) -> None:
        self._screen.write(line + "\n")
        self._screen.flush()

    def _say(self, action: object) -> None:
        if self.reader_left:
            return
        try:
            action()  # type: ignore[operator]
        except (BrokenPipeError, OSError, ValueError):  # Windows calls a closed pipe EINVAL
            self.reader_left = True

    def _write_log(self, data: bytes) -> None:
        if self._log is not None:
            with contextlib.suppress(OSError):  # a full disk must not hide the error that says so
                self._log.write(data)

    def _copy_prints(self, reading: int) -> None:
        while data := os.read(reading, 65536):
            self._write_log(data)
            if self.json_lines and self._errors is not None:
                with contextlib.suppress(OSError):
                    self._errors.write(data)
        os.close(reading)


class ProgressBar:
    """Events as a person wants them: one line that is drawn over, and sentences above it."""

    def __init__(self, screen: TextIO) -> None:
        self._screen = screen
        self._drawn = 0.0
        self._stage = ""
        self._open = False  # a bar stands on the current line

    def show(self, event: Event) -> None:
        """Draw or print an event; progress at most ten times a second."""
        if isinstance(event, Progress):
            ended = event.step >= event.steps
            if event.stage == self._stage and not ended and time.monotonic() - self._drawn < 0.1:
                return
            if event.stage != self._stage and self._open:
                self._screen.write("\n")
            self._stage, self._drawn, self._open = event.stage, time.monotonic(), True
            columns = shutil.get_terminal_size().columns
            self._screen.write("\r\x1b[K" + progress_line(event)[: columns - 1])
        elif not isinstance(event, (Preview, MeshUpdate)):
            self._screen.write(("\n" if self._open else "") + sentence(event) + "\n")
            self._open = False
        self._screen.flush()


def progress_line(event: Progress) -> str:
    """'shape  [########----]  412/2000  3:05 left  27.31 dB'."""
    done = event.step / event.steps if event.steps else 1.0
    filled = round(_BAR * min(max(done, 0.0), 1.0))
    parts = [f"{event.stage:<7}[{'#' * filled}{'-' * (_BAR - filled)}]", f"{event.step}/{event.steps}"]
    if event.eta is not None:
        parts.append(f"{clock(event.eta)} left")
    if event.psnr is not None:
        parts.append(f"{event.psnr:.2f} dB")
    return "  ".join(parts)


def sentence(event: Event) -> str:
    """An event as a sentence for a person."""
    if isinstance(event, Started):
        begun = "Going on with" if event.resumed else "Working in"
        return f"Unrender {event.version} on {event.device}, preset {event.preset}. {begun} {event.folder}"
    if isinstance(event, Planned):
        return f"Plan: {event.summary}"
    if isinstance(event, Watching):
        return f"The run can be watched at {event.url or event.page}"
    if isinstance(event, Warned):
        return f"Warning: {event.message}" + (f"\n  {event.hint}" if event.hint else "")
    if isinstance(event, Failed):
        name = "Cancelled" if event.code == "cancelled" else f"Error ({event.code})"
        return f"{name}: {event.message}" + (f"\n  {event.hint}" if event.hint else "")
    if isinstance(event, Finished):
        psnr = event.metrics.get("psnr")
        where = "held-out" if event.metrics.get("held_out_views") else "training"
        quality = f", {psnr:.2f} dB on {where} views" if psnr is not None else ""
        return f"Done in {clock(event.seconds)}: {event.result}{quality}"
    return event.to_json()


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds, with hours from one hour on: '3:05', '1:02:09'."""
    whole = max(0, round(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
