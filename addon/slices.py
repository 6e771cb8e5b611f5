"""Long work in slices, each short enough for a window: a generator that somebody goes on with, slice by slice or to its end. No bpy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
_PAUSE = 0.005  # seconds between two looks at what is waited for


@dataclass(frozen=True)
class Slice:
    """Where the work stands after a slice of it.

    Attributes:
        says: what is done now, in words.
        share: part of the work that is done, 0 to 1; None where that is not known.
        waits: a thread or another process works meanwhile. The generator then holds no reference into Blender's data, so that whoever
            uses the window may go on, undo and all; without it nothing may be changed until the next slice.
    """

    says: str
    share: float | None = None
    waits: bool = False


Slices = Generator[Slice, None, T]


def finish(work: Slices[T]) -> T:
    """Do all of it here and now."""
    while True:
        try:
            if next(work).waits:
                time.sleep(_PAUSE)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # what the generator returns, which StopIteration has forgotten


def beside(function: Callable[[], T], says: str, share: Callable[[], float | None] = lambda: None) -> Slices[T]:
    """Run `function`, which must not touch bpy, in a thread; gives what it returns, and raises what it raises.

    Given up in between, the function runs on to its end, which nobody hears of.
    """
    returned: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            returned.append(function())
        except BaseException as error:  # the thread that waits raises it
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True, name="unrender-beside")
    thread.start()
    while thread.is_alive():
        yield Slice(says, share(), waits=True)
    if raised:
        raise raised[0]
    return returned[0]
