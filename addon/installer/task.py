"""Work on the environment in a thread of its own: begun at once, looked at, cancelled. No bpy."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Literal

from ...backend.contract import Cancelled, EnvironmentFault
from .children import Children
from .store import fault_of


class Task:
    """One piece of work; a subclass says which in `work`, and calls `begin` at the end of its constructor.

    Attributes:
        state: where it stands.
        says: what it does now, in words.
        share: part that is done, 0 to 1; None where that is not known.
        failure: why it failed; None otherwise.
    """

    def __init__(self, says: str, folder: Path, share: float | None = None) -> None:
        """`folder` is named where the system refuses."""
        self.state: Literal["running", "finished", "failed", "cancelled"] = "running"
        self.says = says
        self.share = share
        self.failure: EnvironmentFault | None = None
        self.children: Children | None = None
        self._folder = folder
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="unrender-environment")

    def work(self) -> None:
        """The work itself; raises EnvironmentFault, OSError or Cancelled."""
        raise NotImplementedError

    def begin(self) -> None:
        """Start the thread."""
        self._thread.start()

    def cancel(self) -> None:
        """Stop, with all that was started. Returns at once; `wait` tells when it is done."""
        self._cancelled.set()
        if self.children is not None:
            self.children.cancel()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end; False when it has not come after `seconds`."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def check_cancelled(self) -> None:
        """Raises Cancelled once `cancel` was called."""
        if self._cancelled.is_set():
            raise Cancelled("the work on the environment was cancelled")

    def _run(self) -> None:
        try:
            self.work()
            self.state = "finished"
        except Cancelled:
            self.state = "cancelled"
        except EnvironmentFault as fault:
            self._fail(fault)
        except OSError as error:
            self._fail(fault_of(error, self._folder))
        except Exception as error:  # nobody else would hear of it
            self._fail(EnvironmentFault(f"the work on the environment failed: {type(error).__name__}: {error}"))

    def _fail(self, fault: EnvironmentFault) -> None:
        self.failure, self.state = fault, "failed"
