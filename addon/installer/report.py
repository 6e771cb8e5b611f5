"""What `python -m backend doctor --json` said, in words. No bpy."""

from __future__ import annotations

import json
from typing import Any

_SHOWN = ("Python", "torch", "warp-lang")


def last_object(output: str) -> dict[str, Any]:
    """The last JSON object in the output: on a line of its own, or the whole output; empty where there is none."""
    for text in (output, *reversed(output.splitlines())):
        try:
            data = json.loads(text)
        except ValueError:
            continue
        if isinstance(data, dict):
            return data
    return {}


def why_not(report: dict[str, Any], said: str, status: int) -> str:
    """One sentence: what is missing and how to get it."""
    missing = [check for check in report.get("checks", ()) if check.get("state") == "missing"]
    what = "; ".join(f"{check['name']}: {check['value']}" for check in missing) or str(report.get("message") or "")
    hint = next((check["hint"] for check in missing if check.get("hint")), str(report.get("hint") or ""))
    if not what:
        what = next((line for line in reversed(said.splitlines()) if line.strip()), f"exit status {status}")
    return f"The backend is not ready. {what}" + (f". {hint}" if hint else "")


def lines(report: dict[str, Any]) -> list[str]:
    """What the preferences show of a ready backend: versions, device, engine."""
    checks = {str(check.get("name")): str(check.get("value")) for check in report.get("checks", ())}
    checks["Python"] = checks.get("Python", "").partition(" (")[0]  # its path was that of the environment in the making
    shown = [f"{name}: {checks[name]}" for name in _SHOWN if checks.get(name)]
    devices = [f"{name}: {value}" for name, value in checks.items() if name.startswith("cuda:")]
    shown += devices or ([f"cpu: {checks['cpu']}"] if "cpu" in checks else [])
    return shown + ([f"Check: {checks['proof']}"] if "proof" in checks else [])
