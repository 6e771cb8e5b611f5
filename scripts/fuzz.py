"""Feeds damaged files to every parser of binary files until one fails in another way than by a refusal in words.

    python scripts/fuzz.py [--seconds 60] [--jobs 5] [--parser NAME] [--seed 0]

With atheris installed (it is one of the tests' packages on Linux) the search is guided by coverage; without it bytes of sound files are
changed at random. Ends with status 1 when a parser failed and leaves the file that caused it beside, named crash-PARSER. So many parsers as
--jobs says are tried at once, at a low priority, so that other work on the machine goes first.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import fuzz_samples as samples

from backend.contract import RequestError

SLOW = 60  # seconds one small file may take, on a machine that has other work
LOW = 10  # added to the priority's number: other work goes first, and this still goes on


@dataclass(frozen=True)
class Target:
    """A parser: module and function under backend.dataset, a sound file for it and the ending of its name."""

    module: str
    function: str
    sound: Callable[[], bytes]
    suffix: str = ""

    def parser(self) -> Callable[[Path], Any]:
        """The function; imported here, so that a process imports only what it tries."""
        found: Callable[[Path], Any] = getattr(importlib.import_module(f"backend.dataset.{self.module}"), self.function)
        return found


PARSERS = {
    "colmap-cameras": Target("colmap_binary", "read_cameras_binary", samples.colmap_cameras),
    "colmap-images": Target("colmap_binary", "read_images_binary", samples.colmap_images),
    "colmap-points": Target("colmap_binary", "read_points_binary", samples.colmap_points),
    "npy": Target("array_file", "read_npy", samples.npy),
    "npz": Target("array_file", "read_npz", samples.npz),
    "png": Target("picture_file", "read_picture", samples.png, ".png"),
    "jpeg": Target("picture_file", "read_picture", samples.jpeg, ".jpg"),
    "hdr": Target("picture_file", "read_picture", samples.hdr, ".hdr"),
    "exr": Target("picture_file", "read_picture", samples.exr, ".exr"),
    "picture-head": Target("picture_file", "picture_size", samples.jpeg, ".jpg"),
    "glb": Target("gltf_file", "read_gltf", samples.glb, ".glb"),
}


def damaged(sound: bytes, chance: random.Random) -> bytes:
    """A copy with some bytes changed, cut out, doubled or lost at the end."""
    data = bytearray(sound)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(data) + 1)
        kind = chance.randrange(5)
        if kind == 0 and place < len(data):
            data[place] = chance.choice((0, 1, 127, 128, 255, chance.randrange(256)))
        elif kind == 1:
            del data[place:]
        elif kind == 2:
            del data[place : place + chance.randint(1, 8)]
        elif kind == 3:
            data[place:place] = data[place : place + chance.randint(1, 16)]
        else:
            data[place : place + 8] = struct.pack(
                "<q", chance.choice((-1, 2**31, 2**62, 2**63 - 1, chance.getrandbits(40)))
            )
    return bytes(data)


def attempt(parser: Callable[[Path], Any], data: bytes, path: Path) -> None:
    """Parses the bytes; a refusal is what is wanted of them, anything else raised goes on to the caller."""
    path.write_bytes(data)
    try:
        parser(path)
    except RequestError as refusal:
        assert str(path) in refusal.message and refusal.hint, refusal


def mutate(name: str, seconds: float, seed: int, folder: Path) -> int:
    """Random damage for so long; returns how many files were tried. Raises what the parser raised, with the file kept."""
    target = PARSERS[name]
    parser, sound, path = target.parser(), target.sound(), folder / f"crash-{name}{target.suffix}"
    chance, tried = random.Random(seed), 0
    parser_accepts(parser, sound, path)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        attempt(parser, damaged(sound, chance), path)
        tried += 1
    path.unlink(missing_ok=True)
    return tried


def parser_accepts(parser: Callable[[Path], Any], sound: bytes, path: Path) -> None:
    """The sound file is read: damage to one that is refused anyway would try nothing."""
    path.write_bytes(sound)
    assert parser(path) is not None


def _guided(name: str, seconds: int, seed: int) -> bool:
    """One parser under atheris, in a process of its own, as its engine ends the process it runs in. True where nothing failed."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sound").write_bytes(PARSERS[name].sound())
        command = [sys.executable, __file__, "--inside", name, folder]
        limits = [f"-max_total_time={seconds}", f"-seed={seed + 1}", "-max_len=4096", f"-timeout={SLOW}"]
        keep = f"-artifact_prefix={Path.cwd()}/crash-{name}-"
        quiet = {**os.environ, "OPENCV_LOG_LEVEL": "SILENT", "OMP_NUM_THREADS": "1"}
        ended = subprocess.run([*command, *limits, keep], check=False, capture_output=True, env=quiet)
    said = ended.stderr.decode(errors="replace") + ended.stdout.decode(errors="replace")
    tried = re.findall(r"Done (\d+) runs", said)
    sound = ended.returncode == 0 and bool(tried)
    print(f"{name}: {tried[-1] if tried else 'unknown'} files, {'none failed' if sound else 'FAILED'}", flush=True)
    if not sound:
        print(said[-6000:], flush=True)
    return sound


def _random(name: str, seconds: int, seed: int) -> bool:
    print(f"{name}: {mutate(name, seconds, seed, Path.cwd())} files", flush=True)
    return True


def _inside(name: str, arguments: list[str]) -> None:
    import atheris

    target = PARSERS[name]
    with atheris.instrument_imports(include=["backend.dataset"]):
        parser = target.parser()
    path = Path(tempfile.mkdtemp()) / f"{name}{target.suffix}"
    parser_accepts(parser, target.sound(), path)
    atheris.Setup([sys.argv[0], *arguments], lambda data: attempt(parser, data, path))
    atheris.Fuzz()


def main() -> int:
    """See the module."""
    if sys.argv[1:2] == ["--inside"]:
        _inside(sys.argv[2], sys.argv[3:])
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=60, help="for each parser")
    options.add_argument("--jobs", type=int, default=1, help="parsers tried at once")
    options.add_argument("--parser", choices=sorted(PARSERS), help="this one alone")
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    guided = importlib.util.find_spec("atheris") is not None
    if hasattr(os, "nice"):
        os.nice(LOW)
    names = [given.parser] if given.parser else list(PARSERS)
    print(
        f"{len(names)} parsers, {given.seconds} s each, {'by coverage (atheris)' if guided else 'at random'}",
        flush=True,
    )
    if not guided:
        return 0 if all(_random(name, given.seconds, given.seed) for name in names) else 1
    with ThreadPoolExecutor(max(1, given.jobs)) as pool:
        sound = list(pool.map(lambda name: _guided(name, given.seconds, given.seed), names))
    return 0 if all(sound) else 1


if __name__ == "__main__":
    sys.exit(main())
