"""`check FOLDER`: the check that a reconstruction begins with, for itself."""

from __future__ import annotations

import argparse
from pathlib import Path

from backend.console import Console
from backend.contract import RequestError, ViewSettings, Warned, write_json


def check(arguments: argparse.Namespace, console: Console) -> int:
    """The verb `check`: 0, or with --strict 2 where a photograph hurts. What cannot be read is an error as in `reconstruct`."""
    source = Path(arguments.source)
    if not source.exists():
        raise RequestError(f"{source} does not exist", hint="Check the path.", code="source-missing")
    settings = ViewSettings(resolution=arguments.resolution, holdout=0, only=arguments.only)

    from backend.dataset.load import load
    from backend.preflight.check import check_views

    dataset = load(source.parent if source.is_file() else source, settings)
    found = check_views(dataset.train)
    for message in dataset.warnings:
        console(Warned(message=message))
    for warning in found.warnings():
        console(warning)
    if arguments.output:
        write_json(Path(arguments.output), found.to_dict())
    lines = [f"{finding.view}: {finding.reason}" for finding in found.findings]
    hurting = len(found.hurting)
    verdict = f"{hurting} of {len(found.views)} photographs hurt" if hurting else "no photograph stands out"
    console.text("\n".join([*lines, f"{len(found.views)} photographs checked in {found.seconds:.1f} s: {verdict}."]))
    return RequestError.exit_status if hurting and arguments.strict else 0
