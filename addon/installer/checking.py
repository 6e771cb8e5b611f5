"""Asks a Python whether it can run the backend, and removes an environment: the two shorter tasks. No bpy."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any

from ...backend.contract import EnvironmentFault
from ..job import command
from .children import Children, variables
from .report import last_object, why_not
from .store import Store
from .task import Task

CHECK_SECONDS = 120.0  # a first import of torch from a cold disk may take most of a minute


class Checking(Task):
    """`python -m backend doctor`. `report` is what it said, and empty until then."""

    def __init__(self, interpreter: Path, root: Path, seconds: float = CHECK_SECONDS) -> None:
        """Begin at once; `root` holds `backend/`."""
        super().__init__("Checking the backend", interpreter.parent)
        self.interpreter = interpreter
        self.report: dict[str, Any] = {}
        self._root, self._seconds = root, seconds
        self._late = threading.Event()
        self.begin()

    def work(self) -> None:
        """Run the doctor."""
        self.children = children = Children(io.StringIO(), variables({}))
        self.check_cancelled()

        def give_up() -> None:
            self._late.set()
            children.cancel()

        timer = threading.Timer(self._seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            status, said = children.run(command(self.interpreter, ["doctor", "--json"]), self._root, lambda _line: None)
        except OSError as error:
            raise EnvironmentFault(
                f"{self.interpreter} cannot be started: {error.strerror or error}",
                hint="Choose another interpreter.",
                code="interpreter",
            ) from error
        except BaseException:
            if self._late.is_set():
                raise EnvironmentFault(
                    f"{self.interpreter} did not answer within {self._seconds:.0f} s", code="doctor"
                ) from None
            raise
        finally:
            timer.cancel()
        self.report = last_object(said)
        if status != 0:
            raise EnvironmentFault(why_not(self.report, said, status), code="doctor")


class Removing(Task):
    """Deletes the managed environment."""

    def __init__(self, place: Store) -> None:
        """Begin at once."""
        super().__init__("Removing the environment", place.home)
        self._place = place
        self.begin()

    def work(self) -> None:
        """Delete it."""
        self._place.remove()
