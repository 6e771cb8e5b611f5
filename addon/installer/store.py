"""The folder of managed environments: one a lock file, made elsewhere and moved to its name only when it is proved. No bpy."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...backend.contract import EnvironmentFault

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_MARKER = "unrender.json"
_PARTIAL = ".part-"


def key_of(lock: str) -> str:
    """A name for the environments that hold what `lock`, the text of a pip requirements file, asks for."""
    lines = sorted(line.strip() for line in lock.splitlines() if line.strip() and not line.strip().startswith("#"))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Store:
    """Paths of the environment that belongs to one lock file.

    Attributes:
        home: the folder of all environments; need not exist.
        key: from `key_of`.
    """

    home: Path
    key: str

    @property
    def environment(self) -> Path:
        """The finished environment."""
        return self.home / self.key

    @property
    def interpreter(self) -> Path:
        """Its Python."""
        return python_in(self.environment)

    @property
    def log(self) -> Path:
        """What the last making said."""
        return self.home / f"{self.key}.log"

    @property
    def cache(self) -> Path:
        """Downloads, kept for a making that was interrupted."""
        return self.home / "downloads"

    @property
    def tools(self) -> Path:
        """Where a uv that we fetched lies."""
        return self.home / "tools"

    def facts(self) -> dict[str, Any] | None:
        """What was proved of the finished environment; None where there is none."""
        try:
            data = json.loads((self.environment / _MARKER).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return data if isinstance(data, dict) else None

    def partial(self) -> Path:
        """A fresh name for an environment in the making."""
        return self.home / f"{self.key}{_PARTIAL}{uuid.uuid4().hex[:8]}"

    def finish(self, partial: Path, facts: dict[str, Any]) -> None:
        """Give a proved environment its name; what stood there is replaced. Call with the lock held."""
        (partial / _MARKER).write_text(json.dumps(facts, ensure_ascii=False, indent=1), encoding="utf-8")
        if self.environment.exists():
            discard(self.environment)
        for attempt in range(20):  # Windows refuses while a virus scanner looks at the new files
            try:
                partial.rename(self.environment)
                return
            except PermissionError:
                if attempt == 19:
                    raise
                time.sleep(0.25)

    def sweep(self) -> None:
        """Delete what interrupted makings left. Call with the lock held."""
        for left in self.home.glob(f"*{_PARTIAL}*"):
            shutil.rmtree(left, ignore_errors=True)

    def remove(self) -> None:
        """Delete the environment, downloads, tools and log of this lock file. Raises EnvironmentFault while another Blender makes it."""
        if not self.home.exists():
            return
        with self.locked():
            self.sweep()
            for folder in (self.environment, self.cache, self.tools):
                if folder.exists():
                    discard(folder)
            self.log.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            (self.home / f"{self.key}.lock").unlink()
            self.home.rmdir()  # only where no other version keeps an environment there

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Alone with this environment. The system frees the lock when its holder dies, however it dies.

        Raises EnvironmentFault where another process holds it.
        """
        with (self.home / f"{self.key}.lock").open("a+") as stream:
            try:
                if sys.platform == "win32":
                    stream.seek(0)
                    msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
                else:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise EnvironmentFault(
                    "another Blender is working on the backend's environment",
                    hint="Wait until it has finished, or cancel it there.",
                    code="environment-busy",
                ) from error
            yield


def python_in(folder: Path) -> Path:
    """The interpreter of a virtual environment."""
    return folder / "Scripts" / "python.exe" if sys.platform == "win32" else folder / "bin" / "python"


def discard(folder: Path) -> None:
    """Delete a folder as a whole: it loses its name first, so that no half of it is ever taken for it."""
    doomed = folder.with_name(f"{folder.name}{_PARTIAL}{uuid.uuid4().hex[:8]}")
    try:
        folder.rename(doomed)
    except OSError as error:
        raise EnvironmentFault(
            f"{folder} cannot be removed: {error.strerror or error}",
            hint="Stop what runs in it, and look at the folder's permissions.",
            code="environment-locked",
        ) from error
    shutil.rmtree(doomed, ignore_errors=True)


def size(folder: Path) -> int:
    """Bytes on disk below `folder`; a file with several names counts once. Slow for a large folder: not for the window's thread."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for root, _folders, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                stat = os.lstat(os.path.join(root, name))  # noqa: PTH118 - 30,000 files: Path objects would triple the time
                if stat.st_nlink == 1 or (stat.st_dev, stat.st_ino) not in seen:
                    seen.add((stat.st_dev, stat.st_ino))
                    total += stat.st_size
    return total


def fault_of(error: OSError, folder: Path) -> EnvironmentFault:
    """What the system's refusal means for a person who wants an environment in `folder`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return full_disk(folder)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return EnvironmentFault(
            f"{folder} cannot be written to",
            hint="Choose another folder for the environment, or allow writing there.",
            code="folder-read-only",
        )
    return EnvironmentFault(f"{folder} cannot be used: {error.strerror or error}", code="folder")


def full_disk(folder: Path) -> EnvironmentFault:
    """The disk is full."""
    return EnvironmentFault(
        f"the disk that holds {folder} is full",
        hint="Free space (2 GB for the CPU, 8 GB for a GPU), or choose a folder on another disk. What was downloaded is kept.",
        code="disk-full",
    )
