"""The disk: whether there is room, and its refusals in words. Standard library only."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from datasets_progress import megabytes

from backend.contract import EnvironmentFault

SPARE = 64 << 20  # bytes left free


def room_for(size: int, folder: Path, what: str) -> None:
    """Raise EnvironmentFault where the disk that holds `folder` has no `size` bytes free, and some to spare."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < size + SPARE:
        raise EnvironmentFault(
            f"{what} needs {megabytes(size + SPARE)}; {megabytes(free)} are free in {folder}",
            hint="make room there, or choose another folder with --data",
            code="disk-full",
        )


@contextlib.contextmanager
def writing(part: Path, mode: str) -> Iterator[Callable[[bytes], None]]:
    """What appends to the file; a disk that refuses is told apart from a mirror that does."""

    def write(data: bytes) -> None:
        try:
            stream.write(data)
            stream.flush()
        except OSError as error:
            raise _refusal(part, error) from None

    try:
        stream = part.open(mode)
    except OSError as error:
        raise _refusal(part, error) from None
    with stream:
        yield write


def _refusal(part: Path, error: OSError) -> EnvironmentFault:
    return EnvironmentFault(
        f"{part} cannot be written ({error.strerror})",
        hint="make room or choose another folder with --data; what has come is kept",
        code="disk",
    )
