"""`python -m backend`: the command line. Exit status: 0 done, 1 a fault of ours, 2 request or data, 3 environment, 130 cancelled."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from backend.commands.failures import event_of, explain
from backend.console import Console
from backend.contract import RequestError, UnrenderError, version


class Verb(NamedTuple):
    """A command: where it lives (imported when it is called) and what it is for."""

    module: str
    arguments: str
    function: str
    help: str


VERBS = {
    "reconstruct": Verb("reconstruct", "add_arguments", "reconstruct", "posed images in, an asset out"),
    "run": Verb("reconstruct", "add_run_arguments", "run", "the same for a job folder that holds a request.json"),
    "evaluate": Verb("evaluate", "add_arguments", "evaluate", "measure a result against images"),
    "render": Verb("render", "add_arguments", "render", "render a result under another HDRI"),
    "doctor": Verb("doctor", "add_arguments", "doctor", "what this machine has, what is missing and how to get it"),
    "warm-up": Verb("warm_up", "add_arguments", "warm_up", "compile the kernels ahead of the first run"),
}


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors like any other."""

    def error(self, message: str) -> NoReturn:
        raise RequestError(message, hint=f"`{self.prog} --help` lists the options.", code="usage")


def build_parser(verb: str | None = None) -> argparse.ArgumentParser:
    """The command line; only `verb`'s own options are looked up, since that imports its module."""
    parser = _Parser(prog="python -m backend", description="Unrender: posed images in, a Blender asset out.")
    parser.add_argument("--version", action="version", version=version())
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Parser)
    for name, entry in VERBS.items():
        child = verbs.add_parser(name, help=entry.help, description=entry.help)
        child.add_argument("--json", action="store_true", help="speak JSON even on a terminal")
        if name == verb:
            getattr(_module(entry), entry.arguments)(child)
    return parser


def main(argv: Sequence[str]) -> int:
    """Run one command; the exit status."""
    words = list(argv)
    if words and words[0] not in VERBS and words[0].endswith(".json"):
        words.insert(0, "run")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: spinning threads starve the kernels' own
    verb = words[0] if words and words[0] in VERBS else None
    console = Console(json_lines=True if "--json" in words else None)
    try:
        arguments = build_parser(verb).parse_args(words)
        console.take_over()
        return getattr(_module(VERBS[arguments.verb]), VERBS[arguments.verb].function)(arguments, console) or 0
    except (Exception, KeyboardInterrupt) as error:
        failure = explain(error)
        if type(failure) is UnrenderError or failure.__cause__ is not None:
            console.note("".join(traceback.format_exception(error)))
        console(event_of(failure))
        return failure.exit_status
    finally:
        console.close()


def _module(verb: Verb) -> object:
    return importlib.import_module(f"backend.commands.{verb.module}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
