"""What the person who waits is told: sentences, and one line that moves on a terminal or comes now and then into a log."""

from __future__ import annotations

import sys
import time

_ON_TERMINAL = 0.2  # seconds between two lines
_IN_LOG = 10.0


def say(text: str) -> None:
    """A sentence for the person who waits."""
    print(text, flush=True)


def megabytes(size: float) -> str:
    """A number of bytes in words."""
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


class Meter:
    """How far something is, how fast it goes and when it ends.

    Attributes:
        done: units so far.
    """

    def __init__(self, label: str, done: int, total: int | None, unit: str = "bytes") -> None:
        self.done = self._first = done
        self._label, self._total, self._unit = label, total, unit
        self._terminal = sys.stdout.isatty()
        self._began = time.monotonic()
        self._told = self._began if not self._terminal else 0.0
        self._width = 0

    def add(self, count: int) -> None:
        """So many more are done."""
        self.done += count
        now = time.monotonic()
        if now - self._told >= (_ON_TERMINAL if self._terminal else _IN_LOG):
            self._told = now
            self._write(self._line(now - self._began))

    def end(self) -> None:
        """No more will come; the last line stays."""
        line = self._line(max(time.monotonic() - self._began, 1e-3))
        self._write(line)
        if self._terminal:
            print(flush=True)

    def _line(self, seconds: float) -> str:
        speed = (self.done - self._first) / seconds
        words = megabytes if self._unit == "bytes" else lambda count: f"{count:.0f}"
        line = f"{self._label}{words(self.done)}"
        if self._total:
            line += f" of {words(self._total)} ({100 * self.done / self._total:.0f} %)"
        if self._unit == "bytes":
            line += f", {megabytes(speed)}/s"
        if self._total and speed > 0 and self.done < self._total:
            left = (self._total - self.done) / speed
            line += f", {left / 60:.0f} min left" if left >= 90 else f", {left:.0f} s left"
        return line if self._unit == "bytes" else f"{line} {self._unit}"

    def _write(self, line: str) -> None:
        if self._terminal:
            print("\r" + line.ljust(self._width), end="", flush=True)
            self._width = len(line)
        else:
            print(line, flush=True)
