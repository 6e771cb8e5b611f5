"""What the demo's Blender scripts share: the extension, pictures as numpy arrays, and a small pixel font."""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np

_GLYPHS = {
    " ": "00000 00000 00000 00000 00000 00000 00000", "-": "00000 00000 00000 11111 00000 00000 00000",
    ".": "00000 00000 00000 00000 00000 00110 00110", ":": "00000 00110 00110 00000 00110 00110 00000",
    "/": "00001 00001 00010 00100 01000 10000 10000", ",": "00000 00000 00000 00000 00110 00010 00100",
    "*": "00100 01110 11111 11111 11111 01110 00100",
    "0": "01110 10001 10011 10101 11001 10001 01110", "1": "00100 01100 00100 00100 00100 00100 01110",
    "2": "01110 10001 00001 00110 01000 10000 11111", "3": "11110 00001 00001 01110 00001 00001 11110",
    "4": "00010 00110 01010 10010 11111 00010 00010", "5": "11111 10000 11110 00001 00001 10001 01110",
    "6": "00110 01000 10000 11110 10001 10001 01110", "7": "11111 00001 00010 00100 01000 01000 01000",
    "8": "01110 10001 10001 01110 10001 10001 01110", "9": "01110 10001 10001 01111 00001 00010 01100",
    "A": "01110 10001 10001 11111 10001 10001 10001", "B": "11110 10001 10001 11110 10001 10001 11110",
    "C": "01110 10001 10000 10000 10000 10001 01110", "D": "11110 10001 10001 10001 10001 10001 11110",
    "E": "11111 10000 10000 11110 10000 10000 11111", "F": "11111 10000 10000 11110 10000 10000 10000",
    "G": "01110 10001 10000 10111 10001 10001 01110", "H": "10001 10001 10001 11111 10001 10001 10001",
    "I": "01110 00100 00100 00100 00100 00100 01110", "J": "00111 00010 00010 00010 00010 10010 01100",
    "K": "10001 10010 10100 11000 10100 10010 10001", "L": "10000 10000 10000 10000 10000 10000 11111",
    "M": "10001 11011 10101 10101 10001 10001 10001", "N": "10001 11001 10101 10011 10001 10001 10001",
    "O": "01110 10001 10001 10001 10001 10001 01110", "P": "11110 10001 10001 11110 10000 10000 10000",
    "Q": "01110 10001 10001 10001 10101 10010 01101", "R": "11110 10001 10001 11110 10100 10010 10001",
    "S": "01111 10000 10000 01110 00001 00001 11110", "T": "11111 00100 00100 00100 00100 00100 00100",
    "U": "10001 10001 10001 10001 10001 10001 01110", "V": "10001 10001 10001 10001 10001 01010 00100",
    "W": "10001 10001 10001 10101 10101 11011 10001", "X": "10001 10001 01010 00100 01010 10001 10001",
    "Y": "10001 10001 01010 00100 00100 00100 00100", "Z": "11111 00001 00010 00100 01000 10000 11111",
}  # fmt: skip


def isolate() -> None:
    """Keep Blender's settings of this process in a folder of their own; call before bpy is imported."""
    os.environ.setdefault("BLENDER_USER_RESOURCES", tempfile.mkdtemp(prefix="unrender-demo-"))


def install_extension(archive: Path) -> None:
    """Install and enable the built extension as a user would."""
    import bpy

    if not archive.is_file():
        raise SystemExit(f"{archive} does not exist; build it with scripts/build_extension.py")
    bpy.ops.extensions.package_install_files(
        filepath=str(archive.resolve()), repo="user_default", enable_on_install=True
    )
    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)


def few_bounces() -> None:
    """One bounce beyond the first is all this scene shows, and the demo should be quick."""
    import bpy

    cycles = bpy.context.scene.cycles
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 2, 1, 1
    cycles.caustics_reflective = cycles.caustics_refractive = False


def lettering(text: str) -> np.ndarray:
    """[7, 6 len - 1] bool: the text in capitals, five columns a letter."""
    letters = [np.array([[bit == "1" for bit in row] for row in _GLYPHS[letter].split()]) for letter in text.upper()]
    return np.concatenate([np.pad(letter, ((0, 0), (0, 1))) for letter in letters], axis=1)[:, :-1]


def caption(text: str, width: int, scale: int = 2) -> np.ndarray:
    """[7 scale + 8, width, 3] float: black text on white, cut off at the width."""
    strip = np.ones((7 * scale + 8, width, 3))
    ink = lettering(text).repeat(scale, axis=0).repeat(scale, axis=1)[:, : width - 4]
    strip[4 : 4 + ink.shape[0], 4 : 4 + ink.shape[1]][ink] = 0.1
    return strip


def read_exr(path: Path) -> np.ndarray:
    """[H, W, 4] float32 as stored, row 0 on top."""
    import bpy

    image = bpy.data.images.load(str(path), check_existing=False)
    try:
        image.colorspace_settings.name = "Non-Color"
        pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
        image.pixels.foreach_get(pixels)
        return pixels.reshape(image.size[1], image.size[0], 4)[::-1]
    finally:
        bpy.data.images.remove(image)


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light to sRGB values in [0, 1]."""
    clipped = np.clip(linear, 0.0, 1.0)
    return np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * np.maximum(clipped, 1e-8) ** (1 / 2.4) - 0.055)


def over_white(image: np.ndarray) -> np.ndarray:
    """[H, W, 4] linear premultiplied -> [H, W, 3] sRGB values over white."""
    return encode_srgb(image[..., :3] + (1.0 - image[..., 3:]))


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Peak signal to noise in dB of two images in [0, 1]."""
    return float(-10.0 * np.log10(max(1e-12, np.mean((one - other) ** 2))))


def write_png(path: Path, image: np.ndarray) -> None:
    """Write [H, W, 3] values in [0, 1] as an 8-bit PNG."""
    rows = np.rint(np.clip(image, 0.0, 1.0) * 255).astype(np.uint8)
    raw = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(raw, 9)), chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
