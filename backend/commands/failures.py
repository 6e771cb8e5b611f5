"""Any exception to an error a person can act on."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from backend.contract import Cancelled, EnvironmentFault, Failed, UnrenderError

_FULL = {errno.ENOSPC, errno.EFBIG} | ({errno.EDQUOT} if hasattr(errno, "EDQUOT") else set())
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_LEFT = 1 << 20  # bytes; a disk with less than this is full, whatever a library made of it


def explain(error: BaseException, folder: Path | None = None) -> UnrenderError:
    """`error` as an UnrenderError; `folder` is where the run writes, looked at for free space."""
    if isinstance(error, UnrenderError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Cancelled("The run was interrupted.", hint="Run the same command with --resume to go on.")
    text = " ".join(str(error).split()) or type(error).__name__
    if getattr(error, "errno", None) in _FULL or _disk_is_full(folder):
        return EnvironmentFault(
            f"the disk is full: {_file_of(error) or folder or text}",
            hint="Make room or choose another disk with -o, then run the same command with --resume to go on.",
            code="disk-full",
        )
    if isinstance(error, OSError) and error.errno in _FORBIDDEN:
        return EnvironmentFault(
            f"no permission: {_file_of(error) or text}",
            hint="Choose a folder you may write, or change the permissions of this one.",
            code="no-permission",
        )
    if isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("backend"):
        return EnvironmentFault(
            f"the Python package {error.name} is missing",
            hint="`python -m backend doctor` lists what is missing and how to get it.",
            code="package-missing",
        )
    if isinstance(error, OSError):
        return EnvironmentFault(f"the file system refused: {text}", code="file-system")
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in text:
        return EnvironmentFault(
            f"out of memory: {text}",
            hint="Close other programs, or lower views.resolution, shape.cells, asset.texture_size or views_per_step.",
            code="out-of-memory",
        )
    if isinstance(error, RuntimeError) and any(
        word in text for word in ("CUDA error", "CUDA driver", "CUDA GPUs", "cuDNN")
    ):
        return EnvironmentFault(
            f"the GPU failed: {text}",
            hint="Run with --device cpu, or see `python -m backend doctor` for the driver.",
            code="gpu-failed",
        )
    return UnrenderError(
        f"{type(error).__name__}: {text}",
        hint="This is a fault of Unrender itself; the log has the details to report.",
        code="internal",
    )


def event_of(error: UnrenderError) -> Failed:
    """The `error` event of a failure."""
    return Failed(code=error.code, message=error.message, hint=error.hint, exit_status=error.exit_status)


def _file_of(error: BaseException) -> str:
    return str(getattr(error, "filename", None) or "")


def _disk_is_full(folder: Path | None) -> bool:
    try:
        return folder is not None and shutil.disk_usage(folder).free < _LEFT
    except OSError:
        return False
