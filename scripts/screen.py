"""See the extension in a real Blender window: a small reconstruction is driven through its panels, and pictures are taken.

    python3 scripts/screen.py /path/to/blender --backend /path/to/python --output FOLDER

Needs Xvfb (a screen in memory) and ImageMagick's import; without them or Blender it says so and ends well, since a server need not have
them. Installs the built zip into a folder of its own, renders views of a monkey at 64 pixels, fits them for some steps with the
backend's Python, imports the asset, and writes capture.png, progress.png and result.png. With --restart Blender is killed in the middle
of the fit and started again with the saved file: the panel must offer to resume, the job must go on from its checkpoint to its end, and
offered.png and resumed.png show it. The exit status is 0 when all of it went well.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import build_extension
import environments
import processes

SIZE = (1280, 1250)  # of the screen, in pixels
LIMIT = 1200.0  # seconds for one window; a minute or two where nothing else runs
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


@dataclass(frozen=True)
class Stage:
    """Where a window is driven: Blender, the screen's name, the folder of scene, job and preferences, and that of the pictures."""

    blender: Path
    display: str
    folder: Path
    output: Path

    def sit(self, sitting: str, given: dict[str, str], options: list[str], expected: int) -> list[Path]:
        """One Blender, from its start to its end or its killing; returns the pictures. ScreenError where it ended otherwise."""
        variables = environments.clean_environment() | {
            "DISPLAY": self.display,
            "BLENDER_USER_RESOURCES": str(self.folder / "resources"),
            "LIBGL_ALWAYS_SOFTWARE": "1",
            "UNRENDER_SCREEN": json.dumps(given | {"sitting": sitting}),
        }
        taken = []

        def hear(line: str) -> None:
            print(line, flush=True)
            if line.startswith("PICTURE "):  # the window waits until the file that it names is there
                path = self.output / f"{line.split()[1]}.png"
                time.sleep(1.0)  # for the last redraw
                command = ["import", "-display", self.display, "-window", "root", "-strip", str(path)]
                subprocess.run(command, check=True, timeout=60.0, env=variables)
                taken.append(path)
                (self.folder / f"{path.stem}.taken").touch()
            elif line.startswith("KILL "):
                os.kill(int(line.split()[1]), signal.SIGKILL)

        geometry = ["--window-geometry", "0", "0", *map(str, SIZE)]
        command = [str(self.blender), *geometry, *options, "-P", str(INSIDE)]
        log = self.output / f"log-{sitting}.txt"
        outcome = processes.run(command, log, LIMIT, variables, self.folder, hear)
        if outcome.status != expected:
            raise ScreenError(
                f"Blender ended with {outcome.status}, not {expected}; the end of {log}:\n{outcome.tail()}"
            )
        return taken


def see(blender: Path, backend: Path, output: Path, restart: bool) -> list[Path]:
    """Run the window to its end; returns the pictures. ScreenError where a step failed."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, screen() as display:
        folder = Path(temporary)
        archive = build_extension.build(build_extension.ROOT, folder)
        given = {"archive": str(archive), "folder": str(folder), "backend": str(backend)}
        (folder / "resources").mkdir()
        stage = Stage(blender, display, folder, output)
        if restart:
            taken = stage.sit("killed", given, ["--factory-startup"], -signal.SIGKILL)
            wait_for_backend(folder / "job" / "status.json")
            taken += stage.sit("again", given, [str(folder / "monkey.blend")], 0)
        else:
            taken = stage.sit("whole", given, ["--factory-startup"], 0)
        if not (folder / "done").is_file():
            raise ScreenError("Blender ended before all was done; its log says why")
    return taken


def wait_for_backend(status: Path) -> None:
    """ScreenError where the backend outlives the Blender that started it by more than half a minute."""
    process = json.loads(status.read_text(encoding="utf-8"))["pid"]
    limit = time.monotonic() + 30.0
    began = time.monotonic()
    while alive(process):
        if time.monotonic() > limit:
            os.kill(process, signal.SIGKILL)
            raise ScreenError(f"the backend, process {process}, went on after Blender was killed")
        time.sleep(0.1)
    print(f"The backend ended {time.monotonic() - began:.1f} s after Blender was killed", flush=True)


def alive(process: int) -> bool:
    """True while it runs; one that has ended and that nobody asked about does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


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
    parser.add_argument("--restart", action="store_true", help="kill Blender in the middle, and go on in another")
    options = parser.parse_args()
    if lack := missing(options.blender):
        print(f"SKIPPED: no window can be seen here: {lack}")
        return 0
    processes.leave_when_terminated()
    try:
        backend = options.backend or environments.backend_python()
        for path in see(options.blender, backend, options.output.resolve(), options.restart):
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
