"""Makes one environment in a thread of its own: start, look, cancel. No bpy.

An environment is made under another name, proved, and only then moved to its place: what an interruption leaves is never taken for ready,
and is swept away by the next making, which finds the downloads where they were.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import IO, Any

from ...backend.contract import EnvironmentFault
from . import plan, pythons, store, uv
from .children import Children, variables
from .machine import Machine, this_machine
from .report import last_object, why_not
from .task import Task
from .telling import Teller


class Making(Task):
    """An environment in the making."""

    def __init__(self, wish: plan.Wish, place: store.Store, lock: Path, root: Path) -> None:
        """Begin at once.

        Args:
            wish: what was chosen.
            place: where the environment belongs.
            lock: pip's requirements file.
            root: the folder that holds `backend/`.
        """
        super().__init__("Looking at this computer", place.home, share=0.0)
        self.share: float = 0.0
        self._wish, self._place, self._lock, self._root = wish, place, lock, root
        self.begin()

    def work(self) -> None:
        """Make it, alone with the folder."""
        plan.refuse_offline(self._wish)
        self._place.home.mkdir(parents=True, exist_ok=True)
        with self._place.locked():
            self._place.sweep()
            with self._place.log.open("w", encoding="utf-8") as log:
                self._make(log)

    def _make(self, log: IO[str]) -> None:
        cache = self._place.cache
        environment = variables({"UV_CACHE_DIR": str(cache), "PIP_CACHE_DIR": str(cache)})
        machine = this_machine()
        need = plan.room(self._wish, machine)
        if shutil.disk_usage(self._place.home).free < need:
            raise store.full_disk(self._place.home)
        self.children = Children(log, environment)
        program = self._uv(machine, log)
        base: Path | None = None
        if program is None or self._wish.base:
            base = pythons.find(self._wish.base, environment)
        folder = self._place.partial()
        steps = plan.steps(self._wish, machine, self._lock, folder, uv=program, base=base)
        try:
            said = self._follow(steps, folder)
            report = last_object(said)
            facts: dict[str, Any] = {
                "report": report,
                "tool": str(program or base),
                "driver": machine.driver,
                "bytes": store.size(folder),
                "made": time.time(),
            }
            self.check_cancelled()
            self._place.finish(folder, facts)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(cache, ignore_errors=True)  # only an interrupted making has use for it
        self.says, self.share = "Ready", 1.0

    def _uv(self, machine: Machine, log: IO[str]) -> Path | None:
        """The program uv; fetched only by one who agreed, may go online and named no folder of wheels."""
        found = uv.find(self._place.tools)
        wheel = uv.wheel_for(machine)
        allowed = self._wish.fetch_uv and self._wish.online and self._wish.wheels is None
        if found is not None or not allowed or wheel is None:
            return found

        def tell(share: float) -> None:
            self.check_cancelled()
            self.says = f"Fetching uv {uv.VERSION}, {share:.0%}"

        log.write(f"Fetching {wheel.address}\n")
        try:
            return uv.fetch(wheel, self._place.tools, tell)
        except EnvironmentFault as fault:
            log.write(f"{fault}\n")
            raise

    def _follow(self, steps: tuple[plan.Step, ...], folder: Path) -> str:
        """Run all steps; the last one's words."""
        assert self.children is not None
        lines = self._lock.read_text(encoding="utf-8").splitlines()
        packages = sum(bool(line.strip()) and not line.startswith("#") for line in lines)
        said = ""
        for step in steps:
            self.check_cancelled()
            teller = Teller(step, self.share, packages)
            self.says = teller.says

            def hear(line: str, teller: Teller = teller) -> None:
                teller.hear(line)
                self.says, self.share = teller.says, teller.share

            status, said = self.children.run(step.command, self._root, hear)
            if status != 0:
                if step.stage == "check" and (report := last_object(said)):
                    raise EnvironmentFault(why_not(report, said, status), code="doctor")
                raise plan.fault_of(step, status, said, self._place.home)
            self.share = step.until
        return said
