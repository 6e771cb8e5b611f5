"""`python -m backend`: the command line. Exit status: 0 done, 1 a fault of ours, 2 request or data, 3 environment, 130 cancelled."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from backend.commands import options
from backend.commands.failures import event_of, explain
from backend.console import Console
from backend.contract import RequestError, UnrenderError, version


class Verb(NamedTuple):
    """A command: the module and function that do it (imported when it is called), its options, and what it is for."""

    module: str
    function: str
    options: Callable[[argparse.ArgumentParser], None]
    help: str


VERBS = {
    "reconstruct": Verb("reconstruct", "reconstruct", options.reconstruct, "posed images in, an asset out"),
    "run": Verb("reconstruct", "run", options.run, "the same for a job folder that holds a request.json"),
    "check": Verb(
        "check", "check", options.check, "which photographs would hurt a reconstruction, and where some are missing"
    ),
    "poses": Verb("poses", "poses", options.poses, "bare photographs in, their cameras out"),
    "masks": Verb("masks", "masks", options.masks, "masks of photographs, by alpha, backdrop, box or network"),
    "convert-config": Verb(
        "convert_config",
        "convert_config",
        options.convert_config,
        "another program's configuration as a request of ours",
    ),
    "evaluate": Verb("evaluate", "evaluate", options.evaluate, "measure a result against images"),
    "render": Verb("render", "render", options.render, "render a result under another HDRI"),
    "doctor": Verb("doctor", "doctor", options.device, "what this machine has, what is missing and how to get it"),
    "warm-up": Verb("warm_up", "warm_up", options.device, "compile the kernels ahead of the first run"),
}


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors like any other."""

    def error(self, message: str) -> NoReturn:
        raise RequestError(message, hint=f"`{self.prog} --help` lists the options.", code="usage")


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = _Parser(prog="python -m backend", description="Unrender: posed images in, a Blender asset out.")
    parser.add_argument("--version", action="version", version=version())
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Parser)
    for name, entry in VERBS.items():
        child = verbs.add_parser(name, help=entry.help, description=entry.help)
        child.add_argument("--json", action="store_true", help="speak JSON even on a terminal")
        entry.options(child)
    return parser


def main(argv: Sequence[str]) -> int:
    """Run one command; the exit status."""
    words = list(argv)
    if words and words[0] not in VERBS and words[0].endswith(".json"):
        words.insert(0, "run")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: spinning threads starve the kernels' own
    console = Console(json_lines=True if "--json" in words else None)
    try:
        arguments = build_parser().parse_args(words)
        console.take_over()
        verb = VERBS[arguments.verb]
        module = importlib.import_module(f"backend.commands.{verb.module}")
        return getattr(module, verb.function)(arguments, console) or 0
    except (Exception, KeyboardInterrupt) as error:
        failure = explain(error)
        if type(failure) is UnrenderError or failure.__cause__ is not None:
            console.note("".join(traceback.format_exception(error)))
        console(event_of(failure))
        return failure.exit_status
    finally:
        console.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
