"""Image files -> their pixels as stored. NumPy alone: photographs are read while torch is still being imported."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import imageio.v3 as imageio
import numpy as np
import OpenEXR
from PIL import Image

from backend.contract import RequestError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".exr", ".hdr")
_DAMAGE = (  # what the libraries raise at files that are damaged, or that say they are larger than any photograph
    OSError,
    ValueError,
    RuntimeError,
    SyntaxError,
    LookupError,
    TypeError,
    ArithmeticError,
    MemoryError,
    EOFError,
    struct.error,
    zlib.error,
    cv2.error,
    Image.DecompressionBombError,
)


@dataclass(frozen=True)
class Picture:
    """A file's pixels as they are stored.

    Attributes:
        values: [H, W, C] uint8, uint16 or float32, C from 1 (grey) to 4 (RGBA).
        linear: the values are linear light with alpha multiplied in (EXR, HDR), not sRGB-encoded with straight alpha (PNG, JPEG).
        orientation: EXIF's, 1 to 8; 1 is upright. The values are as stored, unturned.
    """

    values: np.ndarray
    linear: bool
    orientation: int = 1

    @property
    def has_alpha(self) -> bool:
        """The last channel is alpha."""
        return self.values.shape[2] in (2, 4)

    def scaled(self) -> np.ndarray:
        """[H, W, C] float32: integers divided by their largest value, floats as they are. Nothing is decoded."""
        if self.values.dtype.kind == "f":
            return self.values
        return self.values.astype(np.float32) / np.float32(np.iinfo(self.values.dtype).max)

    def upright(self) -> Picture:
        """The picture turned as its EXIF orientation asks."""
        values = self.values
        if self.orientation in (5, 6, 7, 8):  # stored on its side: transpose first
            values = values.transpose(1, 0, 2)
        if self.orientation in (2, 3, 6, 7):
            values = values[:, ::-1]
        if self.orientation in (3, 4, 7, 8):
            values = values[::-1]
        return Picture(np.ascontiguousarray(values), self.linear)

    def rows(self, first: int, last: int) -> Picture:
        """Rows `first` to `last`, the latter excluded, of the same memory."""
        return replace(self, values=self.values[first:last])


def picture_size(path: Path) -> tuple[int, int] | None:
    """(width, height) as the file's head has it, unturned; None where it cannot be told (reading the file then says why)."""
    try:
        if path.suffix.lower() == ".exr":
            with OpenEXR.File(str(path), header_only=True) as file:
                low, high = file.header()["displayWindow"]
                width, height = (high - low + 1).tolist()
                return width, height
        if path.suffix.lower() == ".hdr":
            height, width = _decode_cv2(path.read_bytes()).shape[:2]
            return width, height
        with Image.open(path) as file:
            return file.size
    except _DAMAGE:
        return None


def read_picture(path: Path) -> Picture:
    """Read PNG (8 or 16 bit), JPEG, EXR or Radiance HDR without changing a value.

    Raises RequestError (codes image-missing, image-unreadable, image-format), which names the file.
    """
    suffix = path.suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        raise RequestError(
            f"{path}: images of type '{suffix}' are not read",
            hint=f"convert it to one of {', '.join(IMAGE_SUFFIXES)}",
            code="image-format",
        )
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise RequestError(f"{path}: no such image", hint="put the file there", code="image-missing") from None
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None
    if suffix != ".exr":
        return decode_picture(data, str(path))
    try:
        return Picture(_read_exr(path), linear=True)
    except _DAMAGE as error:
        raise _unreadable(path, str(error) or type(error).__name__) from None


def decode_picture(data: bytes, name: str) -> Picture:
    """A PNG, JPEG or Radiance HDR held in memory; `name` is for messages. Raises RequestError (image-unreadable)."""
    try:
        if data.startswith(b"#?"):
            return Picture(_decode_cv2(data), linear=True)
        if data.startswith(b"\x89PNG"):
            values = _decode_cv2(data) if _beyond_imageio(data) else _checked(_by_pillow(data, ".png"))
            return Picture(values, linear=False)
        if data.startswith(b"\xff\xd8"):
            values = _checked(_by_pillow(data, ".jpg"))
            if values.shape[2] == 4:
                raise ValueError("its colours are CMYK; expected RGB or grey")
            return Picture(values, linear=False, orientation=_orientation(data))
        raise ValueError("its content is neither PNG, JPEG, EXR nor HDR" if data else "the file is empty")
    except _DAMAGE as error:
        raise _unreadable(name, str(error).splitlines()[0] if str(error) else type(error).__name__) from None


def mask_channels(picture: Picture) -> Picture:
    """The channels of a mask picture whose mean is its coverage: alpha where the picture is a cut-out, else its grey or colours."""
    values = picture.values
    full = 1.0 if values.dtype.kind == "f" else np.iinfo(values.dtype).max
    if picture.has_alpha and values[..., -1].min() < full:
        return replace(picture, values=values[..., -1:])
    return replace(picture, values=values[..., : 1 if values.shape[2] < 3 else 3])


def _checked(values: np.ndarray) -> np.ndarray:
    """[H, W, C] of a type that `Picture` allows."""
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim != 3 or values.shape[2] > 4:
        raise ValueError(f"its pixels have the shape {values.shape}; expected one image of 1 to 4 channels")
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)
    if values.dtype not in (np.uint8, np.uint16, np.float32):
        raise ValueError(f"its pixels are of type {values.dtype}; expected 8 or 16 bits")
    return np.ascontiguousarray(values)


def _by_pillow(data: bytes, suffix: str) -> np.ndarray:
    """Named, as imageio otherwise tries others at what Pillow refuses, and its OpenCV never comes back from some damaged files."""
    try:
        values: np.ndarray = imageio.imread(data, extension=suffix, plugin="pillow")
    except OSError as error:
        raise ValueError("the file is damaged" if "can not handle" in str(error) else str(error)) from None
    return values


def _beyond_imageio(png: bytes) -> bool:
    """PNGs of 16 bits (imageio cuts them to 8) and with a palette (imageio drops its transparency): bytes 24 and 25 of the header."""
    if len(png) < 26 or b"IEND\xaeB`\x82" not in png:
        raise ValueError("the file ends early")
    return png[24] == 16 or png[25] == 3


def _decode_cv2(data: bytes) -> np.ndarray:
    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None:
        raise ValueError("the file is damaged")
    values = _checked(values)
    order = {3: [2, 1, 0], 4: [2, 1, 0, 3]}.get(values.shape[2])  # OpenCV's order is blue, green, red
    return np.ascontiguousarray(values[..., order]) if order else values


def _orientation(data: bytes) -> int:
    """EXIF orientation of a JPEG, 1 where it states none."""
    with Image.open(io.BytesIO(data)) as file:
        orientation = int(file.getexif().get(0x0112, 1))
    return orientation if 1 <= orientation <= 8 else 1


def _read_exr(path: Path) -> np.ndarray:
    """[H, W, 3 or 4] over the display window. Of a multilayer file, the first layer whose channels end in R, G, B."""
    with OpenEXR.File(str(path), separate_channels=True) as file:
        header = dict(file.header())  # the file's own is emptied when it closes
        channels = {name: np.asarray(channel.pixels, dtype=np.float32) for name, channel in file.channels().items()}
    prefixes = sorted((name[:-1] for name in channels if name == "R" or name.endswith(".R")), key=_layer_order)
    if prefixes:
        names = [prefixes[0] + letter for letter in "RGBA" if prefixes[0] + letter in channels]
    else:
        names = [name for name in ("Y", "A") if name in channels]
    if not names or names in (["A"], ["R"]):
        raise ValueError(f"it has the channels {', '.join(channels)}; expected R, G, B and perhaps A")
    pixels = np.stack([channels[name] for name in names], axis=2)
    (data_low, data_high), (low, high) = header["dataWindow"], header["displayWindow"]
    if np.array_equal(data_low, low) and np.array_equal(data_high, high):
        return pixels
    width, height = (high - low + 1).tolist()
    whole = np.zeros((height, width, len(names)), dtype=np.float32)
    first, last = np.maximum(data_low, low), np.minimum(data_high, high) + 1
    source = pixels[first[1] - data_low[1] : last[1] - data_low[1], first[0] - data_low[0] : last[0] - data_low[0]]
    whole[first[1] - low[1] : last[1] - low[1], first[0] - low[0] : last[0] - low[0]] = source
    return whole


def _layer_order(prefix: str) -> tuple[bool, bool, str]:
    """The nameless layer first, then Blender's Combined, then by name."""
    return prefix != "", not prefix.endswith("Combined."), prefix


def _unreadable(path: Path | str, reason: str) -> RequestError:
    return RequestError(
        f"{path}: the image cannot be read ({reason})",
        hint="open it in an image editor and save it again, or take it out of the set",
        code="image-unreadable",
    )
