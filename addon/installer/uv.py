"""Where `uv`, the program that makes environments, is found; and how it is fetched, its checksum verified. No bpy."""

from __future__ import annotations

import hashlib
import http.client
import io
import os
import queue
import shutil
import sys
import threading
import urllib.request
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...backend.contract import EnvironmentFault
from .machine import Machine

VERSION = "0.13.9"
LICENSE = "MIT or Apache-2.0"
_HOST = "https://files.pythonhosted.org/packages/"
_NAME = "uv.exe" if sys.platform == "win32" else "uv"
_BLOCK = 1 << 18
_LOOK = 0.1  # seconds between two looks at what has come
_PATIENCE = 30.0  # seconds that a server may be silent


@dataclass(frozen=True)
class Wheel:
    """A file to fetch: its address, the SHA-256 of its bytes, and how many there are."""

    address: str
    sha256: str
    bytes: int


WHEELS: Mapping[tuple[str, str], Wheel] = {
    ("linux", "x86_64"): Wheel(
        f"{_HOST}3d/aa/26d64642d808de4a652579ef950d7cd2d37f080a8babf9c67c6b75fc4c3f/"
        "uv-0.13.9-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",
        17606939,
    ),
    ("linux", "arm64"): Wheel(
        f"{_HOST}57/15/94b6cd62ac3ff6550288328e8035288875197cbc183f51554b266a69877b/"
        "uv-0.13.9-py3-none-manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64.whl",
        "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe",
        18026789,
    ),
    ("windows", "x86_64"): Wheel(
        f"{_HOST}dd/ef/ceeabf3631117f7354787d9fb1ffe943899e59ed4b887a696ed547e47e76/uv-0.13.9-py3-none-win_amd64.whl",
        "6a44b2ed8111d2f60d2b92627c5dccda3f7ed7570b18ce115e569cd68c28246b",
        15662317,
    ),
    ("windows", "arm64"): Wheel(
        f"{_HOST}da/d1/d97a5db1f27e077e4d6329223f6b3f719c02c97e4092043f13e628558d05/uv-0.13.9-py3-none-win_arm64.whl",
        "eeb92051c2123b9730c46b04cc843cfa4bc7d7b0aec56df431a2215ef4cb0273",
        15841844,
    ),
    ("macos", "x86_64"): Wheel(
        f"{_HOST}1e/db/08e9ef4879bd667e6d7b4705e594e5bd3e4585f10fc63cb16b9fa2fac63e/uv-0.13.9-py3-none-macosx_10_12_x86_64.whl",
        "c16ed11e013557536b3e60065f1b912f6407bd6518e041b961e23ef9e6b4fbf5",
        17529974,
    ),
    ("macos", "arm64"): Wheel(
        f"{_HOST}f3/a7/a8d7b074798c7fb3b26b37584b8fe2e29df2ccdc24ce7902caab2a53edbf/uv-0.13.9-py3-none-macosx_11_0_arm64.whl",
        "66c512266d633bef48384a1f53003f41f2a8e7b36fe6e7fbfd3e0fd52d96fa63",
        14660755,
    ),
}


def find(tools: Path) -> Path | None:
    """uv: the one in `tools`, on the PATH, or where its own installer puts it (which a Blender started from an icon does not see)."""
    home = Path.home()
    candidates = [
        tools / _NAME,
        Path(shutil.which("uv") or ""),
        home / ".local/bin" / _NAME,
        home / ".cargo/bin" / _NAME,
    ]
    return next((path for path in candidates if path.name and path.is_file() and os.access(path, os.X_OK)), None)


def wheel_for(machine: Machine) -> Wheel | None:
    """What to fetch for `machine`; None where uv has no build for it."""
    return WHEELS.get((machine.system, machine.architecture))


def fetch(wheel: Wheel, tools: Path, tell: Callable[[float], None]) -> Path:
    """Download `wheel`, verify it, and put its program into `tools`, whole or not at all.

    Args:
        wheel: what to fetch.
        tools: folder, made when missing.
        tell: called with the share that has come, 0 to 1, ten times a second at least; may raise to stop.

    Raises:
        EnvironmentFault: the network fails, or the file is not the one that was promised.
        OSError: `tools` cannot be written.
    """
    got = bytearray()
    blocks: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(wheel, blocks), daemon=True, name="unrender-fetch").start()
    while True:
        tell(min(1.0, len(got) / wheel.bytes))
        try:
            block = blocks.get(timeout=_LOOK)
        except queue.Empty:
            continue
        if isinstance(block, Exception):
            raise _fault(wheel, str(getattr(block, "reason", "") or block or type(block).__name__)) from block
        if not block:
            break
        got += block
    if len(got) < wheel.bytes:
        raise _fault(wheel, f"it broke off after {len(got)} of {wheel.bytes} bytes")
    return unpack(bytes(got), wheel.sha256, tools)


def _read(wheel: Wheel, blocks: queue.SimpleQueue[bytes | Exception]) -> None:
    """Give the file in blocks, an empty one at its end; in a thread, for a connection that hangs cannot be interrupted."""
    came = 0
    try:
        with urllib.request.urlopen(wheel.address, timeout=_PATIENCE) as answer:
            while came <= wheel.bytes and (
                block := answer.read(_BLOCK)
            ):  # a file too long is not the one that is wanted
                came += len(block)
                blocks.put(block)
        blocks.put(b"")
    except (OSError, http.client.HTTPException, ValueError) as error:
        blocks.put(error)


def _fault(wheel: Wheel, reason: str) -> EnvironmentFault:
    return EnvironmentFault(
        f"uv could not be fetched from {wheel.address}: {reason}",
        hint="Check the connection, install uv yourself, or name a folder of wheels.",
        code="network",
    )


def unpack(data: bytes, sha256: str, tools: Path) -> Path:
    """Put the program out of the wheel `data` into `tools`; EnvironmentFault where its checksum is not `sha256`."""
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise EnvironmentFault(
            f"the fetched uv has the checksum {found}; expected {sha256}. It was thrown away",
            hint="Try again; where it fails again, something on the way changes downloads: install uv yourself.",
            code="checksum",
        )
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        name = next(entry for entry in archive.namelist() if entry.endswith(f".data/scripts/{_NAME}"))
        program = archive.read(name)
    tools.mkdir(parents=True, exist_ok=True)
    partial = tools / f"{_NAME}.part"
    target = tools / _NAME
    try:
        partial.write_bytes(program)
        partial.chmod(0o755)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target
