"""What each failure is called, and how a process ends for it."""

from __future__ import annotations


class UnrenderError(Exception):
    """A failure that is explained to the user: what came, where, what was expected, and what to do about it.

    Attributes:
        code: a short slug that programs may rely on, such as 'image-unreadable'.
        message: what came, where, and what was expected.
        hint: what the user can do; may be empty.
        exit_status: how the process ends when nobody catches this.
    """

    exit_status = 1
    default_code = "failed"

    def __init__(self, message: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or self.default_code


class RequestError(UnrenderError):
    """The request or the data is at fault (exit status 2)."""

    exit_status = 2
    default_code = "request-invalid"


class EnvironmentFault(UnrenderError):  # noqa: N818 - EnvironmentError is Python's own, and another thing
    """The machine is at fault: a missing package or device, no permission, a full disk (exit status 3)."""

    exit_status = 3
    default_code = "environment"


class Cancelled(UnrenderError):  # noqa: N818 - a wish of the user, not an error
    """The run was asked to stop and left a checkpoint (exit status 130)."""

    exit_status = 130
    default_code = "cancelled"
