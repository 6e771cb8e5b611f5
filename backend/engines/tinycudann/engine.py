"""The built-in engine with tiny-cuda-nn's hash grid encoding in place of its own (CUDA only)."""

from __future__ import annotations

import importlib
import warnings

import torch
from torch import Tensor

from backend.engines.builtin.engine import BuiltinEngine
from backend.engines.hash_layout import FEATURES, HashLayout


class TinycudannEngine(BuiltinEngine):
    """`interface.Engine` on a CUDA device. Raises ImportError when tiny-cuda-nn is not installed."""

    name = "tinycudann"
    recordable = False  # the library's own memory pool may grow, and then waits for the device

    def __init__(self, device: torch.device, threads: int | None = None) -> None:
        super().__init__(device, threads)
        self.encoder = importlib.import_module("tinycudann").Encoding
        self.encodings: dict[HashLayout, torch.nn.Module | None] = {}  # None: left to the built-in

    def hash_encode(self, points: Tensor, table: Tensor, layout: HashLayout) -> Tensor:
        """See `Engine.hash_encode`. The library computes in half precision; values come back as the table's type.

        A layout whose table the library would lay out otherwise (its levels' sizes rounded another way) is left to the built-in, and
        a warning says so once.
        """
        if layout not in self.encodings:
            self.encodings[layout] = self._encoding(layout, table.device)
        encoding = self.encodings[layout]
        if points.shape[0] == 0 or encoding is None:
            return super().hash_encode(points, table, layout)
        # our table stands in for the module's own, so that gradients reach it
        half = torch.func.functional_call(encoding, {"params": table.reshape(-1)}, (points.contiguous(),))
        return half.to(table.dtype)

    def _encoding(self, layout: HashLayout, device: torch.device) -> torch.nn.Module | None:
        """The library's module for a layout, or None, with a warning, where its table differs."""
        encoding = self.encoder(3, encoding_config(layout), dtype=torch.float16).to(device)
        theirs, ours = encoding.get_parameter("params").numel(), FEATURES * layout.entries
        if theirs == ours:
            return encoding
        warnings.warn(
            f"engine {self.name}: tiny-cuda-nn lays {len(layout.levels)} levels out in {theirs} numbers where ours are {ours}; "
            "the built-in hash grid is used instead",
            RuntimeWarning,
            stacklevel=3,
        )
        return None


def encoding_config(layout: HashLayout) -> dict[str, str | int | float]:
    """The library's configuration of a layout; its rules of cells, sizes and hashing are those of `engines.hash_layout`."""
    first, last = layout.levels[0], layout.levels[-1]
    steps = max(1, len(layout.levels) - 1)
    most = max(level.size for level in layout.levels)
    return {
        "otype": "HashGrid",
        "n_levels": len(layout.levels),
        "n_features_per_level": FEATURES,
        "log2_hashmap_size": last.size.bit_length() - 1 if last.hashed else most.bit_length(),
        "base_resolution": round(first.scale + 1.0),
        "per_level_scale": ((last.scale + 1.0) / (first.scale + 1.0)) ** (1.0 / steps),
        "interpolation": "Linear",
    }
