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


def model_file(model: str) -> Path:
    """Where rembg keeps a model."""
    home = os.environ.get("U2NET_HOME") or Path(os.environ.get("XDG_DATA_HOME", "~")) / ".u2net"
    return Path(home).expanduser() / f"{model}.onnx"


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
    file = model_file(model)
    if not file.is_file() and not download:
        raise EnvironmentFault(
            f"the model {model} of {PACKAGE} is not installed: {file} does not exist",
            hint="Add --download to let it be fetched (some 170 MB from the internet), or put the file there; or use another --method.",
            code="model-missing",
        )
    import rembg

    session = rembg.new_session(model)

    def mask(encoded: np.ndarray) -> np.ndarray:
        picture = (255 * encoded.clip(0.0, 1.0) + 0.5).astype(np.uint8)
        found = np.asarray(rembg.remove(picture, session=session, only_mask=True), np.float32)
        return (found[..., 0] if found.ndim == 3 else found) / 255

    return mask
