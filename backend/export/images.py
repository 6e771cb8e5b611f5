"""Pictures to files. Values are written as they come: what they mean (sRGB-encoded, linear, data) is the caller's to know."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import OpenEXR
from torch import Tensor

Picture = Tensor | np.ndarray
_COMPRESSION = 3  # of PNG, 0 to 9: a few per cent larger than at 6, in half the time


def write_png(path: Path, image: Picture, bits: int = 8) -> None:
    """Write a PNG without any colour tag.

    Args:
        path: the file.
        image: [H, W, C] with 1, 3 or 4 channels, values in [0, 1] (clamped), already encoded if it shall be.
        bits: 8 or 16 a channel.

    Raises:
        OSError: it cannot be written.
    """
    path.write_bytes(encode_png(image, bits))


def encode_png(image: Picture, bits: int = 8) -> bytes:
    """The bytes of `write_png`'s file."""
    if bits not in (8, 16):
        raise ValueError(f"bits is {bits}; expected 8 or 16")
    values = _array(image, (1, 3, 4))
    values = np.nan_to_num(values, nan=0.0, posinf=1.0, neginf=0.0)
    most = (1 << bits) - 1
    whole = np.rint(values.clip(0.0, 1.0) * most).astype(np.uint8 if bits == 8 else np.uint16)
    return _encode(".png", whole, [cv2.IMWRITE_PNG_COMPRESSION, _COMPRESSION])


def encode_jpeg(image: Picture, quality: int = 90) -> bytes:
    """The bytes of a JPEG of [H, W, 3] sRGB-encoded values in [0, 1]; for previews and the report alone."""
    whole = np.rint(np.nan_to_num(_array(image, (1, 3))).clip(0.0, 1.0) * 255).astype(np.uint8)
    return _encode(".jpg", whole, [cv2.IMWRITE_JPEG_QUALITY, quality])


def write_exr(path: Path, image: Picture, half: bool = True) -> None:
    """Write a linear OpenEXR, ZIP-compressed, channels R, G, B (A), or Y alone.

    Nothing but the channels is tagged: Blender 5 obeys a colour-space attribute, and would read another one than was meant.

    Args:
        path: the file.
        image: [H, W, C] linear, 1, 3 or 4 channels; with 4, premultiplied as the format has it.
        half: 16-bit floats (largest 65504, clamped), else 32-bit.

    Raises:
        OSError: it cannot be written.
    """
    values = np.nan_to_num(_array(image, (1, 3, 4)), nan=0.0)
    if half:
        values = values.clip(-65504.0, 65504.0)
    values = np.ascontiguousarray(values, np.float16 if half else np.float32)
    name = {1: "Y", 3: "RGB", 4: "RGBA"}[values.shape[2]]
    channels = {name: values[..., 0] if name == "Y" else values}
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    path.touch()  # the library reports neither a missing folder nor a missing permission as OSError
    try:
        with OpenEXR.File(header, channels) as file:
            file.write(str(path))
        with OpenEXR.File(str(path)) as file:  # a disk that fills while the file is closed goes unnoticed
            complete = bool(file.parts) and file.channels()[name].pixels.shape[:2] == values.shape[:2]
    except (RuntimeError, ValueError, KeyError) as error:
        raise OSError(f"{path} cannot be written: {error}") from error
    if not complete:
        raise OSError(f"{path} is not complete; the disk may be full")


def write_hdr(path: Path, image: Picture) -> None:
    """Write a Radiance .hdr (RGBE, run-length encoded) of [H, W, 3] linear values, negatives clamped to 0.

    Raises:
        OSError: it cannot be written.
    """
    values = np.nan_to_num(_array(image, (3,)), nan=0.0, posinf=1e8).clip(0.0, 1e8)
    path.write_bytes(_encode(".hdr", values.astype(np.float32), []))


def _array(image: Picture, channels: tuple[int, ...]) -> np.ndarray:
    values = image.detach().cpu().float().numpy() if isinstance(image, Tensor) else np.asarray(image, np.float32)
    if values.ndim != 3 or values.shape[2] not in channels:
        raise ValueError(f"image has shape {values.shape}; expected [H, W, C] with C one of {channels}")
    return values


def _encode(suffix: str, values: np.ndarray, options: list[int]) -> bytes:
    if values.shape[2] >= 3:  # OpenCV stores blue first
        values = values[..., [2, 1, 0, 3][: values.shape[2]]]
    done, data = cv2.imencode(suffix, np.ascontiguousarray(values), options)
    if not done:
        raise ValueError(f"OpenCV cannot encode {values.shape} {values.dtype} as {suffix}")
    return data.tobytes()
