"""Progress out of what uv, pip and the backend print. No bpy."""

from __future__ import annotations

import re

from ...backend.contract import Progress, parse_event
from .plan import Step

_DOWNLOAD = re.compile(r"^\s*Downloading (?:\S*/)?(\S+?)(?:-\d\S*)?(?: \(([^)]+)\))?$")
_PACKAGE = re.compile(r"^\s*(?:Collecting|Downloaded|Building|Built|Processing) (?:\S*/)?([\w.-]+)")


class Teller:
    """Follows one step's lines.

    Attributes:
        says: what it does now, in words.
        share: part of the whole that is done, 0 to 1; never falls.
    """

    def __init__(self, step: Step, since: float, packages: int) -> None:
        """`since` is the share that earlier steps did; `packages` how many the lock file names."""
        self.says = step.says
        self.share = since
        self._step, self._since, self._packages = step, since, max(1, packages)
        self._seen: set[str] = set()

    def hear(self, line: str) -> None:
        """Take in one line."""
        event = parse_event(line)
        if isinstance(event, Progress):
            self.says = f"{self._step.says}, {event.step} of {event.steps}"
            self._reach(event.step / max(1, event.steps))
        elif self._step.stage == "packages":
            self._hear_packages(line)

    def _hear_packages(self, line: str) -> None:
        if download := _DOWNLOAD.match(line):
            self.says = f"Downloading {download[1]}" + (f", {download[2]}" if download[2] else "")
        if match := _PACKAGE.match(line):
            self._seen.add(match[1].lower())
            self._reach(0.75 * min(1.0, len(self._seen) / self._packages))
        elif line.startswith("Resolved "):
            self.says = "Downloading packages"
            self._reach(0.05)
        elif line.startswith(("Prepared ", "Installing collected packages")):
            self.says = "Unpacking packages"
            self._reach(0.8)
        elif line.startswith(("Installed ", "Successfully installed")):
            self._reach(1.0)

    def _reach(self, part: float) -> None:
        self.share = max(self.share, self._since + part * (self._step.until - self._since))
