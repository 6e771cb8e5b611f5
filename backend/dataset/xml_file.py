"""XML files of cameras, and the numbers in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from backend.contract import RequestError
from backend.dataset.array_file import file_bytes, unreadable


def read_xml(path: Path) -> ElementTree.Element:
    """The root of an XML file without entities of its own. Raises RequestError (source-unreadable), which names the file."""
    data = file_bytes(path)
    if (
        b"<!ENTITY" in data or b"<!DOCTYPE" in data
    ):  # no camera file needs them, and a few bytes of them can fill a memory
        raise unreadable(path, "it declares entities; expected plain XML")
    try:
        return ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise unreadable(path, f"not valid XML: {error}") from None


def numbers(text: str | None, counts: Sequence[int], what: str, where: str) -> list[float]:
    """The finite numbers of a text, separated by blanks; one of `counts` of them. Raises RequestError (camera-invalid)."""
    try:
        values = [float(word) for word in (text or "").split()]
    except ValueError:
        values = []
    if len(values) not in counts or not all(map(math.isfinite, values)):
        wanted = " or ".join(str(count) for count in counts)
        raise RequestError(
            f"{where}: {what} is '{(text or '').strip()[:60]}'; expected {wanted} number{'' if counts == (1,) else 's'}",
            hint="export the cameras again",
            code="camera-invalid",
        )
    return values
