"""JSON files of cameras."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backend.contract import RequestError


def read_json(path: Path) -> dict[str, Any]:
    """The object a JSON file holds. Raises RequestError (source-unreadable, no-frames), which names the file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(
            f"{path}: {error.strerror}", hint="check the file and its permissions", code="source-unreadable"
        ) from None
    except (ValueError, RecursionError) as error:
        raise RequestError(
            f"{path}: not valid JSON ({error})", hint="export the cameras again", code="source-unreadable"
        ) from None
    if not isinstance(content, dict):
        raise RequestError(
            f"{path}: expected an object, it holds a {type(content).__name__}",
            hint="export the cameras again",
            code="no-frames",
        )
    return content
