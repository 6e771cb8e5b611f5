"""Checkpoints: written in one piece, read back exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from backend.contract import RequestError, written_whole

_FORMAT = 1


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write `state` so that a reader, or a run that comes after a crash, sees the old file or the new one, never a part.

    Args:
        path: the file; its folder exists.
        state: tensors, numbers, text, and lists, tuples and dictionaries of them (state_dicts, generator states).

    Raises:
        OSError: the disk is full or may not be written; the old file is as it was.
    """
    with written_whole(path) as stream:
        writer = _Writer(stream.write)
        try:
            torch.save({"format": _FORMAT, "state": state}, writer)  # type: ignore[arg-type]
        except RuntimeError:
            if writer.error is None:
                raise
            raise writer.error from None  # torch hides what the disk said behind an error of its own


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """What `save_checkpoint` wrote, with its tensors on `device`; None when there is no file.

    Only tensors and plain values are read, never code. Raises RequestError for a damaged file.
    """
    if not path.exists():
        return None
    try:
        data = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for a damaged file
        raise _damaged(path, f"cannot be read ({type(error).__name__})") from error
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        raise _damaged(path, "is of another version")
    return data["state"]


def moved(state: Any, device: torch.device | str) -> Any:
    """A copy of a state, its tensors on `device`."""
    if isinstance(state, torch.Tensor):
        return state.detach().to(device, copy=True)
    if isinstance(state, dict):
        return {key: moved(value, device) for key, value in state.items()}
    if isinstance(state, (list, tuple)):
        return type(state)(moved(value, device) for value in state)
    return state


def is_sound(state: Any) -> bool:
    """Whether every floating-point number in a state is finite."""
    if isinstance(state, torch.Tensor):
        return not state.is_floating_point() or bool(state.isfinite().all())
    if isinstance(state, dict):
        return all(is_sound(value) for value in state.values())
    if isinstance(state, (list, tuple)):
        return all(is_sound(value) for value in state)
    return True


def _damaged(path: Path, what: str) -> RequestError:
    return RequestError(
        f"the checkpoint {path} {what}",
        hint="Delete the job's state folder and run again without --resume.",
        code="checkpoint-damaged",
    )


class _Writer:
    """A file for torch.save that remembers the error of its own `write`."""

    def __init__(self, write: Any) -> None:
        self._write = write
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        try:
            return self._write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        """Torch asks for it; the file is flushed once, at the end."""
