"""The real command line as a process of its own, forked from one that has torch loaded already: seconds become a moment."""

import multiprocessing
import os
import signal
import sys
from pathlib import Path

from backend import contract
from backend.__main__ import main

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["torch", "backend.pipeline", "backend.commands.reconstruct"])


TINY = [
    word
    for setting in (
        "views.resolution=48",
        "views.holdout=4",
        "shape.steps=3",
        "shape.cells=16",
        "shape.start_cells=16",
        "shape.hash_levels=2",
        "shape.hash_log2_size=10",
        "asset.triangles=300",
        "asset.texture_size=64",
        "refine.steps=4",
        "light.resolution=16",
    )
    for word in ("--set", setting)
]
"""The smallest run that goes through every stage."""


def run(*words, output: Path, largest_file=None):
    """Exit status and events; `output` takes what is printed. `largest_file` (bytes) makes the disk refuse what is longer."""
    status, text = talk(*words, output=output, largest_file=largest_file)
    events = [contract.parse_event(line) for line in text.splitlines()]
    assert None not in events, text
    return status, events


def talk(*words, output: Path, largest_file=None):
    """Exit status and text, for verbs that answer in sentences."""
    process = _CONTEXT.Process(target=_child, args=([str(word) for word in words], str(output), largest_file))
    process.start()
    process.join(timeout=120)
    assert process.exitcode is not None, "the command hangs"
    return process.exitcode, output.read_text()


def _child(words, output, largest_file):
    for stream, path, mode in ((0, os.devnull, os.O_RDONLY), (1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)):
        os.dup2(os.open(path, mode), stream)
    if largest_file is not None:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    sys.exit(main(words))
