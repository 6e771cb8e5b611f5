"""Check what only Blender's own program can show: docs/headless.md's three ways, with their exit statuses, in the program that is named.

    python3 scripts/check_program.py /path/to/blender --backend /path/to/python --checks ways eevee

Builds the extension, has the program install it into a folder of its own, and runs what the document shows on a scene with tiny
settings: good requests, bad ones, a missing environment, Ctrl-C. With the check eevee the views of both renderers are compared too;
without a display Blender needs the library EGL for that. Prints a table; the exit status is 0 when every line of it came out as expected.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import build_extension
import environments
import processes

DOCUMENT = environments.ROOT / "docs" / "headless.md"
SCENE = Path(__file__).with_name("check_program_scene.py")
SILHOUETTES = Path(__file__).with_name("silhouettes.py")
LIMIT = 600.0  # seconds for any one command; EEVEE without a GPU takes minutes
_BACKEND = "UNRENDER_BACKEND_PYTHON"


@dataclass(frozen=True)
class Row:
    """One line of the table: what was tried, the exit status that was expected and the one that came, and what is wrong."""

    name: str
    expected: int
    status: int | None
    seconds: float
    fault: str

    def __str__(self) -> str:
        verdict = "ok" if not self.fault else "WRONG"
        return f"{self.name:44} {self.expected:>8} {self.status!s:>6} {self.seconds:>7.1f} s  {verdict}"


@dataclass
class Ground:
    """Where it happens.

    Attributes:
        program: Blender.
        folder: of the scene, the jobs and the logs.
        variables: the environment of every command.
        rows: what was found so far.
    """

    program: Path
    folder: Path
    variables: dict[str, str]
    rows: list[Row] = field(default_factory=list)

    def check(self, name: str, words: Sequence[str], expected: int, says: str = "", **variables: str) -> str:
        """Run `words`, 'blender' being the program, and compare; returns what it said."""
        log = self.folder / f"log-{len(self.rows):02}.txt"
        command = [str(self.program) if word == "blender" else word for word in words]
        outcome = processes.run(command, log, LIMIT, self.variables | variables, self.folder)
        return self._judge(name, expected, outcome.status, outcome.seconds, says, log)

    def check_interrupted(self, name: str, words: Sequence[str], stage: str, says: str) -> str:
        """The same for a run that gets Ctrl-C once it tells of `stage`, which only `words` with --json do."""
        log = self.folder / f"log-{len(self.rows):02}.txt"
        began = time.monotonic()
        with log.open("wb") as written:
            command = [str(self.program) if word == "blender" else word for word in words]
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                text=True,
                env=self.variables,
                cwd=self.folder,
                start_new_session=True,
            )
        guard = threading.Timer(LIMIT, processes.end, [child])
        guard.start()
        try:
            while child.poll() is None and f'"stage": "{stage}"' not in _text(log):
                time.sleep(0.05)
            child.send_signal(signal.SIGINT)  # to Blender alone, as `kill -INT` does; a terminal tells its children too
            status = child.wait()
        finally:
            guard.cancel()
            processes.end(child)
        return self._judge(name, 130, status, time.monotonic() - began, says, log)

    def _judge(self, name: str, expected: int, status: int | None, seconds: float, says: str, log: Path) -> str:
        said = _text(log)
        faults = [] if status == expected else [f"ended with {status}; expected {expected}"]
        faults += [] if says in said else [f"does not say {says!r}"]
        faults += ["shows a Python traceback"] if expected != 1 and "Traceback (most" in said else []
        tail = "\n".join(said.splitlines()[-12:])
        self.rows.append(Row(name, expected, status, seconds, f"{'; '.join(faults)}:\n{tail}" if faults else ""))
        print(self.rows[-1], flush=True)
        return said


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def check(ground: Ground) -> None:
    """The document's three ways, right and wrong."""
    text = DOCUMENT.read_text(encoding="utf-8")
    blocks = re.findall(r"```(sh|python)\n(.*?)```", text, re.DOTALL)
    shell = [shlex.split(line) for kind, block in blocks if kind == "sh" for line in block.splitlines()]
    export, reconstruct, imported = (words for words in shell if "--command" in words)
    (operators,) = (words for words in shell if "--command" not in words)
    api_block, operator_block = (block for kind, block in blocks if kind == "python")
    folder, command = ground.folder, ["blender", "--command", "unrender"]
    (folder / "use_api.py").write_text(api_block, encoding="utf-8")
    (folder / "reconstruct.py").write_text(operator_block, encoding="utf-8")

    script = ["blender", "--background", "--python-exit-code", "1", "--python"]
    ground.check("the scene", [*script, str(SCENE), "--", "cup.blend"], 0, "scene saved")

    ground.check("command: --help", [*command, "--help"], 0, "exit status: 0 done")
    ground.check("command: export --help", [*command, "export", "--help"], 0, "--held-out")
    ground.check("command: no verb", command, 2)
    ground.check("command: reconstruct without views", reconstruct, 2, "no views yet")
    ground.check("command: export, word for a number", [*command, "export", "x", "--views", "many"], 2, "--views")
    ground.check("command: export, number out of range", [*command, "export", "x", "--views", "1"], 2, "expected 2 to")
    ground.check("command: export, no such object", [*export[:-1], "Cop"], 2, "no object 'Cop'")
    ground.check(
        "command: export, no such file", [*command, "export", "x", "--file", "no.blend"], 2, "cannot be opened"
    )
    ground.check("command: export", export, 0, "View 3 of 7")
    lost = {_BACKEND: "/no/such/python"}
    ground.check("command: reconstruct, no environment", reconstruct, 3, "does not exist", **lost)
    ground.check("command: import before there is a result", imported, 2)
    endless = [*reconstruct, "--json", "--set", "shape.steps=100000"]
    ground.check_interrupted("command: reconstruct, Ctrl-C", endless, "shape", '"event"')
    ground.check("command: reconstruct, settings changed", reconstruct, 2, "other settings (shape)")
    ground.check("command: reconstruct, over again", [*reconstruct, "--start-over"], 0, "Asset written to")
    ground.check("command: import", imported, 0, "Cup Found added to")
    ground.check("command: import without a file to save", [*command, "import", "cup_job"], 2, "would be lost")

    use_api = [*operators[:1], "cup.blend", *script[1:], "use_api.py"]
    ground.check("api in a script", use_api, 0, "finished")
    ground.check("api in a script, folder in use", use_api, 1, "holds a reconstruction")
    ground.check("operators in a script", operators, 0)
    ground.check("operators in a script, folder in use", operators, 1, "holds a reconstruction")


def compare_renderers(ground: Ground, backend: Path) -> None:
    """Views by EEVEE against views by Cycles: same outline, linear values, straight from the exporter."""
    script = ["blender", "--background", "--python-exit-code", "1", "--python", str(SCENE), "--", "glow.blend"]
    ground.check("the glowing scene", script, 0, "scene saved")
    for renderer in ("cycles", "eevee"):
        words = ["blender", "glow.blend", "--command", "unrender", "export", f"glow_{renderer}", "--source", "rig"]
        words += ["--object", "Glow", "--renderer", renderer]
        ground.check(f"views by {renderer}", words, 0, "View 3 of 3", LIBGL_ALWAYS_SOFTWARE="1")
    words = [str(backend), str(SILHOUETTES), "glow_cycles/images", "glow_eevee/images"]
    said = ground.check("outlines and values agree", words, 0, '"views": 3')
    print(said.strip().splitlines()[-1], flush=True)


def run(program: Path, backend: Path, checks: Sequence[str]) -> list[Row]:
    """The `checks`, 'ways' or 'eevee', in a folder that goes afterwards."""
    with tempfile.TemporaryDirectory(prefix="unrender program ä ") as temporary:
        folder = Path(temporary)
        (folder / "resources").mkdir()
        archive = build_extension.build(build_extension.ROOT, folder)
        variables = environments.clean_environment() | {
            "BLENDER_USER_RESOURCES": str(folder / "resources"),
            _BACKEND: str(backend),
            "PWD": str(folder),  # where Blender 4 looks for a relative path, whatever its working directory
        }
        ground = Ground(program, folder, variables)
        install = ["blender", "--command", "extension", "install-file", "-r", "user_default", "-e", str(archive)]
        ground.check("extension validate", ["blender", "--command", "extension", "validate", str(archive)], 0)
        ground.check("extension install-file", install, 0)
        if "ways" in checks:
            check(ground)
        if "eevee" in checks:
            compare_renderers(ground, backend)
    return ground.rows


def faults(rows: Sequence[Row]) -> Iterator[str]:
    """What came out wrong, in words."""
    return (f"{row.name}: {row.fault}" for row in rows if row.fault)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("blender", type=Path, help="Blender's program, 4.2 or newer")
    parser.add_argument(
        "--backend", type=Path, metavar="PYTHON", help="the backend's Python (default: the scripts' own)"
    )
    parser.add_argument(
        "--checks", nargs="+", choices=("ways", "eevee"), default=["ways"], help="what to check (default: ways)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table there as well")
    options = parser.parse_args()
    if not options.blender.is_file():
        parser.error(f"there is no {options.blender}")
    processes.leave_when_terminated()
    try:
        rows = run(options.blender, options.backend or environments.backend_python(), options.checks)
    except (build_extension.BuildError, environments.SetupError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.json:
        options.json.write_text(json.dumps([vars(row) for row in rows], indent=1), encoding="utf-8")
    wrong = list(faults(rows))
    print(f"{len(rows) - len(wrong)} of {len(rows)} as expected", *wrong, sep="\n\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
