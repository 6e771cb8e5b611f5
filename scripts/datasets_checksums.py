"""Which checksum a file should have: the one its host states, else the one it had when it first came. Standard library only."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets_archive import open_container
from datasets_list import Archive
from datasets_progress import say

from backend.contract import RequestError, write_json

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Checksums:
    """The checksums of files that were fetched before, kept in a file beside them.

    Attributes:
        path: the file.
        accept_changed: take a file that differs from what its address gave before, and write that down instead.
    """

    path: Path
    accept_changed: bool = False

    def of(self, address: str) -> dict[str, Any]:
        """What is known of an address: sha256, bytes, since, and the trust they have; empty where nothing is."""
        known = self._read().get(address, {})
        return known if isinstance(known, dict) else {}

    def named(self, name: str) -> set[str]:
        """The checksums of all that was kept under a file name."""
        return {entry["sha256"] for entry in self._read().values() if entry.get("name") == name}

    def note(self, address: str, name: str, sha256: str, size: int, trust: str) -> None:
        """Write down what an address gave."""
        before = self.of(address)
        since = before["since"] if before.get("sha256") == sha256 else time.strftime("%Y-%m-%d")
        entry = {"name": name, "sha256": sha256, "bytes": size, "trust": trust, "since": since}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.path, {**self._read(), address: entry})

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self.path.read_text(encoding="utf-8"))
            if all({"name", "sha256", "since"} <= set(entry) for entry in known.values()):
                return dict(known)
            fault: object = "an entry lacks name, sha256 or since"
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            fault = error
        raise RequestError(
            f"{self.path}: the checksums of earlier downloads cannot be read ({fault})",
            hint="put the file right, or delete it to trust the next download anew",
            code="checksums-unreadable",
        )


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def stated(archive: Archive) -> set[str]:
    """The checksums that hosts state for an archive."""
    return {mirror.sha256 for mirror in archive.mirrors if mirror.sha256}


def hold(archive: Archive, address: str, path: Path, checksums: Checksums) -> None:
    """Compare a whole file with what is known of its address, and write down what it is.

    One whose checksum nobody states is read through before it is trusted: the checksums inside an archive show damage.

    Raises:
        RequestError: it differs from what the address gave before, or is damaged.
    """
    sha256, size, before = sha256_of(path), path.stat().st_size, checksums.of(address)
    if sha256 in stated(archive):
        checksums.note(address, archive.name, sha256, size, "stated by a mirror's host")
        say(f"  its SHA-256 is the one stated for {archive.name}")
        return
    known = before.get("sha256", sha256)
    if known != sha256 and not checksums.accept_changed:
        raise RequestError(
            f"its SHA-256 is {sha256}; what came from there on {before['since']} had {known}",
            hint="if that is meant to be, say --accept-changed",
            code="checksum-changed",
        )
    if before.get("sha256") != sha256:
        with open_container(path) as container:
            container.check()
        checksums.note(address, archive.name, sha256, size, "first use")
        say(f"  nobody states a checksum for this file; SHA-256 {sha256} is held to from now on ({checksums.path})")
