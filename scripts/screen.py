"""See the extension in a real Blender window: a small reconstruction is driven through its panels, and pictures are taken.

    python3 scripts/screen.py /path/to/blender --backend /path/to/python --output FOLDER

Needs Xvfb (a screen in memory) and ImageMagick's import; without them or Blender it says so and ends well, since a server need not have
them. Installs the built zip into a folder of its own, renders views of a monkey at 64 pixels, fits them for some steps with the
backend's Python, imports the asset, and writes capture.png, progress.png and result.png. The exit status is 0 when all of it went well.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import build_extension
import environments
import processes

SIZE = (1280, 1120)  # of the screen, in pixels
LIMIT = 900.0  # seconds; under a minute or two where nothing else runs
INSIDE = Path(__file__).with_name("screen_inside.py")


class ScreenError(Exception):
    """The window did not do what it should; the message holds the end of its log."""


@contextmanager
def screen() -> Iterator[str]:
    """A virtual screen; gives its name. It ends with the block."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24", "-nolisten", "tcp"]
    server = subprocess.Popen(
        command,
        pass_fds=(write,),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    os.close(write)
    try:
        with os.fdopen(read) as stream:
            number = stream.readline().strip()
        if not number:
            raise ScreenError("Xvfb ended before it had a screen")
        yield f":{number}"
    finally:
        processes.end(server)


def see(blender: Path, backend: Path, output: Path) -> list[Path]:
    """Run the window to its end; returns the pictures. ScreenError where a step failed."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, screen() as display:
        folder = Path(temporary)
        archive = build_extension.build(build_extension.ROOT, folder)
        given = {"archive": str(archive), "folder": str(folder), "backend": str(backend)}
        variables = environments.clean_environment() | {
            "DISPLAY": display,
            "BLENDER_USER_RESOURCES": str(folder / "resources"),
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "UNRENDER_SCREEN": json.dumps(given),
        }
        (folder / "resources").mkdir()
        taken = []

        def hear(line: str) -> None:
            print(line, flush=True)
            if line.startswith("PICTURE "):  # the window waits until the file that it names is there
                path = output / f"{line.split()[1]}.png"
                time.sleep(1.0)  # for the last redraw
                command = ["import", "-display", display, "-window", "root", "-strip", str(path)]
                subprocess.run(command, check=True, timeout=60.0, env=variables)
                taken.append(path)
                (folder / f"{path.stem}.taken").touch()

        command = [str(blender), "--factory-startup", "--window-geometry", "0", "0", *map(str, SIZE), "-P", str(INSIDE)]
        log = output / "log.txt"
        outcome = processes.run(command, log, LIMIT, variables, folder, hear)
        if outcome.status != 0 or not (folder / "done").is_file():
            raise ScreenError(
                f"Blender ended with {outcome.status} before all was done; the end of {log}:\n{outcome.tail()}"
            )
    return taken


def missing(blender: Path) -> str:
    """What this machine lacks, in words; empty where nothing is missing."""
    if not blender.is_file():
        return f"there is no {blender}"
    lacking = [name for name in ("Xvfb", "import") if shutil.which(name) is None]
    return f"{' and '.join(lacking)} not found; on Debian: apt-get install xvfb imagemagick" if lacking else ""


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("blender", type=Path, help="Blender's program, 4.2 or newer")
    parser.add_argument(
        "--backend", type=Path, metavar="PYTHON", help="the backend's Python (default: the scripts' own)"
    )
    parser.add_argument("--output", type=Path, default=environments.ROOT / "dist" / "screen", metavar="FOLDER")
    options = parser.parse_args()
    if lack := missing(options.blender):
        print(f"SKIPPED: no window can be seen here: {lack}")
        return 0
    processes.leave_when_terminated()
    try:
        for path in see(options.blender, options.backend or environments.backend_python(), options.output.resolve()):
            print(path)
    except (
        ScreenError,
        build_extension.BuildError,
        environments.SetupError,
        subprocess.SubprocessError,
        OSError,
    ) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
