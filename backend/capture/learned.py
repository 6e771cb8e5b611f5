"""Masks by a network that was trained to tell objects from backgrounds: rembg's, where it and its model are installed."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from backend.contract import EnvironmentFault

PACKAGE = "rembg"


def model_files(model: str) -> tuple[Path, Path]:
    """Where rembg looks for a model: where it keeps it now (2.0.86), and where it did before."""
    data = os.environ.get("XDG_DATA_HOME")
    old = os.environ.get("U2NET_HOME") or Path(data or "~") / ".u2net"
    home = (
        os.environ.get("U2NET_HOME") or os.environ.get("REMBG_HOME") or (Path(data) / "rembg" if data else "~/.rembg")
    )
    return Path(home).expanduser() / "models" / model / f"{model}.onnx", Path(old).expanduser() / f"{model}.onnx"


def learned_masks(model: str, download: bool) -> Callable[[np.ndarray], np.ndarray]:
    """What takes [H, W, 3] float32, sRGB-encoded in [0, 1], to a mask [H, W] float32 in [0, 1].

    Raises:
        EnvironmentFault: package-missing, or model-missing where the model is not there and `download` is False.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise EnvironmentFault(
            f"the Python package {PACKAGE} is missing",
            hint=f"`{Path(sys.executable).name} -m pip install {PACKAGE}[cpu]` installs it; or use --method chroma or box",
            code="package-missing",
        )
    files = model_files(model)
    if not download and not any(file.is_file() for file in files):
        raise EnvironmentFault(
            f"the model {model} of {PACKAGE} is not installed: neither {files[0]} nor {files[1]} exists",
            hint="Add --download to let it be fetched (170 MB and more from the internet), or put the file there; or use another --method.",
            code="model-missing",
        )
    import rembg

    session = rembg.new_session(model)

    def mask(encoded: np.ndarray) -> np.ndarray:
        picture = (255 * encoded.clip(0.0, 1.0) + 0.5).astype(np.uint8)
        found = np.asarray(rembg.remove(picture, session=session, only_mask=True), np.float32)
        return (found[..., 0] if found.ndim == 3 else found) / 255

    return mask
