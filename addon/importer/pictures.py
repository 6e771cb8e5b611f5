"""Whether a picture is whole, found without decoding it: Blender would take most of a second for each. No bpy, for a thread."""

from __future__ import annotations

import mmap
import struct
import zlib
from pathlib import Path

from ...backend.contract import RequestError

_PNG, _EXR = b"\x89PNG\r\n\x1a\n", b"\x76\x2f\x31\x01"
_TILED_OR_MORE = 0x1A00  # bits of an EXR's version: tiles, deep data, several parts; the backend writes none of them
_EXR_LINES = {0: 1, 1: 1, 2: 1, 3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256}  # of a chunk, by compression


def check(path: Path) -> None:
    """RequestError where `path` is no whole PNG or EXR: cut off, damaged, or something else."""
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            whole = _whole_png(data) if data[:8] == _PNG else data[:4] == _EXR and _whole_exr(data)
    except (ValueError, struct.error, KeyError, IndexError):  # empty; or ends where more was promised
        whole = False
    if not whole:
        raise RequestError(f"{path} cannot be read as an image", code="result-unreadable")


def _whole_png(data: mmap.mmap) -> bool:
    """Each chunk has its checksum, the first is the header and the last the end."""
    at, kind = len(_PNG), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", data, at)
        if (at == len(_PNG)) != (kind == b"IHDR"):
            return False
        (said,) = struct.unpack_from(">I", data, at + 8 + length)
        with memoryview(data)[at + 4 : at + 8 + length] as body:
            if zlib.crc32(body) != said:
                return False
        at += 12 + length
    return True


def _whole_exr(data: mmap.mmap) -> bool:
    """The header, and each chunk of lines where the table says and within the file."""
    if struct.unpack_from("<I", data, 4)[0] & _TILED_OR_MORE:
        return True  # not looked into
    at, lines, rows = 8, 0, 0
    while data[at] != 0:
        end = _end(data, at)
        name, kind_end = data[at:end], _end(data, end + 1)
        (size,) = struct.unpack_from("<I", data, kind_end + 1)
        at = kind_end + 5
        if name == b"dataWindow":
            _, top, _, bottom = struct.unpack_from("<4i", data, at)
            rows = bottom - top + 1
        elif name == b"compression":
            lines = _EXR_LINES[data[at]]
        at += size
    count = -(-rows // lines) if lines else 0
    table = struct.unpack_from(f"<{count}Q", data, at + 1)
    return count > 0 and all(
        place >= at and place + 8 + struct.unpack_from("<iI", data, place)[1] <= len(data) for place in table
    )


def _end(data: mmap.mmap, at: int) -> int:
    """Where the text that begins at `at` ends."""
    end = data.find(b"\0", at)
    if end < 0:
        raise ValueError("the text has no end")
    return end
