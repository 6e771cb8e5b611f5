"""NumPy's own files, read without trust: nothing in them is executed, and what they claim to hold is checked against their size."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from backend.contract import RequestError

LARGEST = 1 << 28  # bytes of one member of an .npz: camera files hold a few thousand


def read_npy(path: Path) -> np.ndarray:
    """The array of an .npy file as float64. Raises RequestError (source-unreadable), which names the file."""
    return _array(file_bytes(path), str(path))


def read_npz(path: Path) -> Mapping[str, np.ndarray]:
    """The arrays of an .npz file by name, as float64. Raises RequestError (source-unreadable), which names file and member."""
    try:
        with zipfile.ZipFile(io.BytesIO(file_bytes(path))) as archive:
            members = {}
            for member in archive.infolist():
                if member.file_size > LARGEST:
                    raise unreadable(path, f"{member.filename} claims {member.file_size} bytes")
                with archive.open(member) as content:
                    data = content.read(LARGEST)
                members[member.filename.removesuffix(".npy")] = _array(data, f"{path}: {member.filename}")
            return members
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        raise unreadable(path, f"not a complete .npz: {error}") from None


def file_bytes(path: Path) -> bytes:
    """What a camera file holds. Raises RequestError (source-unreadable)."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error.strerror or str(error)) from None


def unreadable(path: Path | str, reason: str) -> RequestError:
    """The error for a camera file that is damaged or of another kind than its name says."""
    return RequestError(
        f"{path}: the file cannot be read ({reason})",
        hint="it may be cut short or of another kind: export or copy it again",
        code="source-unreadable",
    )


def _array(data: bytes, where: str) -> np.ndarray:
    content = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(content)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran, kind = header(content)
        if kind.kind not in "fiu" or kind.itemsize > 8 or any(not 0 <= side <= LARGEST for side in shape):
            raise ValueError(f"it holds {kind} of shape {shape}; expected numbers")
        count = int(np.prod([int(side) for side in shape], dtype=object))
        given = len(data) - content.tell()
        if count * kind.itemsize != given:
            raise ValueError(f"{shape} numbers of {kind} take {count * kind.itemsize} bytes; it has {given}")
        flat = np.frombuffer(data, kind, count, content.tell())
        return flat.reshape(shape, order="F" if fortran else "C").astype(np.float64)
    except (
        Exception
    ) as error:  # the header is Python text, which NumPy evaluates: what it raises is not listed anywhere
        raise unreadable(
            where, f"not a complete .npy: {str(error).splitlines()[0] if str(error) else error!r}"
        ) from None
