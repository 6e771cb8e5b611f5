"""Which Unrender this is."""

from __future__ import annotations

import re
from pathlib import Path


def version() -> str:
    """The version of this Unrender, as its manifest has it; 'unknown' where the manifest was taken away."""
    try:
        manifest = (Path(__file__).parents[2] / "blender_manifest.toml").read_text(encoding="utf-8")
    except OSError:
        return "unknown"
    found = re.search(r'^version\s*=\s*"([^"]+)"', manifest, re.MULTILINE)
    return found.group(1) if found else "unknown"
