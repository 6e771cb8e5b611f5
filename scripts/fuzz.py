"""Feeds damaged files to every parser of binary files until one fails in another way than by a refusal in words.

    python scripts/fuzz.py [--seconds 60] [--parser NAME] [--seed 0]

With atheris installed (pip install atheris) the search is guided by coverage; without it bytes of sound files are changed at random. Ends
with status 1 at the first failure and leaves the file that caused it beside, named crash-PARSER.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import io
import random
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from backend.contract import RequestError
from backend.dataset.array_file import read_npy, read_npz
from backend.dataset.colmap_binary import read_cameras_binary, read_images_binary, read_points_binary

Parser = Callable[[Path], object]


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def _npz() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, world_mat_0=np.eye(4), scale_mat_0=np.eye(4))
    return buffer.getvalue()


# name -> the parser and a sound file for it
PARSERS: dict[str, tuple[Parser, bytes]] = {
    "colmap-cameras": (read_cameras_binary, struct.pack("<QiiQQ4d", 1, 1, 1, 64, 48, 50.0, 50.0, 32.0, 24.0)),
    "colmap-images": (
        read_images_binary,
        struct.pack("<QI7dI", 1, 1, 1, 0, 0, 0, 0, 0, 1, 1) + b"a b.jpg\0" + struct.pack("<Qddq", 1, 1.5, 2.5, -1),
    ),
    "colmap-points": (read_points_binary, struct.pack("<QQ3d3BdQ2i", 1, 1, 0, 0, 0, 1, 2, 3, 0.5, 1, 1, 0)),
    "npy": (read_npy, _npy(np.arange(34.0).reshape(2, 17))),
    "npz": (read_npz, _npz()),
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


def attempt(parser: Parser, data: bytes, path: Path) -> None:
    """Parses the bytes; a refusal is what is wanted of them, anything else raised goes on to the caller."""
    path.write_bytes(data)
    try:
        parser(path)
    except RequestError as refusal:
        assert str(path) in refusal.message and refusal.hint, refusal


def mutate(name: str, seconds: float, seed: int, folder: Path) -> int:
    """Random damage for so long; returns how many files were tried. Raises what the parser raised, with the file kept."""
    parser, sound = PARSERS[name]
    chance, tried, path = random.Random(seed), 0, folder / f"crash-{name}"
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        attempt(parser, damaged(sound, chance), path)
        tried += 1
    path.unlink(missing_ok=True)
    return tried


def _guided(name: str, seconds: int, seed: int) -> int:
    """One parser under atheris, in a process of its own, as its engine ends the process it runs in."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "sound").write_bytes(PARSERS[name][1])
        command = [sys.executable, __file__, "--inside", name, folder]
        limits = [f"-max_total_time={seconds}", f"-seed={seed + 1}", "-max_len=4096", f"-artifact_prefix=crash-{name}-"]
        return subprocess.run([*command, *limits], check=False).returncode


def _inside(name: str, arguments: list[str]) -> None:
    import atheris

    plain = PARSERS[name][0]
    with atheris.instrument_imports(include=["backend.dataset"]):
        parser = getattr(importlib.reload(sys.modules[plain.__module__]), plain.__name__)
    path = Path(tempfile.mkdtemp()) / name
    atheris.Setup([sys.argv[0], *arguments], lambda data: attempt(parser, data, path))
    atheris.Fuzz()


def main() -> int:
    """See the module."""
    if sys.argv[1:2] == ["--inside"]:
        _inside(sys.argv[2], sys.argv[3:])
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=60, help="for each parser")
    options.add_argument("--parser", choices=sorted(PARSERS), help="this one alone")
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    guided = importlib.util.find_spec("atheris") is not None
    for name in [given.parser] if given.parser else PARSERS:
        print(f"{name}: {given.seconds} s, {'by coverage (atheris)' if guided else 'at random'}", flush=True)
        if guided:
            if _guided(name, given.seconds, given.seed):
                return 1
        else:
            print(f"{name}: {mutate(name, given.seconds, given.seed, Path.cwd())} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
