"""One run's hold on its job folder: who may work in it, whether to go on, and where the result grows before it is shown.

How the pipeline uses a Job (made by the command line, already open):

    for each step:  if job.cancelled(): save a checkpoint, then raise contract.Cancelled(...)   # or job.raise_if_cancelled()
    checkpoints:    job.state / "shape.pt" with optimise.checkpoint; job.resumed says whether they may be read
    pictures:       job.preview / "shape-000100.png", then emit(contract.Preview(path="preview/shape-000100.png", ...))
    the result:     with job.staging_result() as folder:    # hidden; becomes job.result in one rename, or vanishes
                        ... write every file ...
                        contract.write_result(folder, contract.Result(...))
                    return contract.read_result(job.result)
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any, Literal

from backend.contract import (
    Cancelled,
    Event,
    JobFolder,
    Request,
    RequestError,
    Status,
    parse,
    read_result,
    read_status,
    to_dict,
    write_json,
)

_BEFORE_STEPS = ("request.json", "plan.json")  # what the state folder holds before there is anything to go on from
# Another machine or another number of threads may finish what one has begun.
_NOT_THE_JOB = ("device", "engine", "threads")


class Cancellation:
    """The wish to stop, from wherever it comes; asked by `cancelled()`, safe from any thread."""

    def __init__(self, stop_file: Path | None = None) -> None:
        self.reason = ""
        self._stop_file = stop_file

    def cancel(self, reason: str) -> None:
        """Ask the run to stop at the next step."""
        self.reason = self.reason or reason

    def cancelled(self) -> bool:
        """True once anybody asked."""
        if not self.reason and self._stop_file is not None and self._stop_file.exists():
            self.cancel(f"the file {self._stop_file.name} was found")
        return bool(self.reason)

    def listen_to_signals(self) -> None:
        """The first interrupt asks; the second ends the process at once, checkpoint or not."""
        received: list[int] = []  # another way to ask may come together with the first interrupt, and is no second one

        def interrupted(number: int, _: FrameType | None) -> None:
            received.append(number)
            if len(received) > 1:
                os._exit(Cancelled.exit_status)
            self.cancel(f"{signal.Signals(number).name} was received")

        for name in ("SIGINT", "SIGTERM", "SIGBREAK"):  # the last is Windows' CTRL_BREAK_EVENT
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), interrupted)

    def follow_parent(self, stream: IO[bytes] | None = None) -> None:
        """Ask when `stream` (standard input) ends, which it does when the parent dies, or brings the line 'cancel'."""
        # unbuffered: Python aborts at its own exit when a thread still waits inside the buffered standard input
        source: IO[bytes] | FileIO = stream if stream is not None else FileIO(sys.stdin.fileno(), closefd=False)

        def read() -> None:
            for line in source:
                if line.strip() == b"cancel":
                    self.cancel("standard input said cancel")
            self.cancel("the parent process went away")

        threading.Thread(target=read, name="follow-parent", daemon=True).start()


class Job:
    """A job folder that this process, and no other, works in. Use as a context manager.

    Attributes:
        folder, names: the job folder, and the names inside it.
        state, preview, result: the folders for checkpoints, for pictures, and where the result appears.
        request: the request with every path made absolute.
        resumed: True where checkpoints of this very request may be read.
        cancellation: where the wish to stop is kept.
    """

    def __init__(self, folder: Path, request: Request, resume: bool = False) -> None:
        """Look at `folder` and take it, or RequestError: it holds something else, or is worked in by another process.

        Args:
            folder: the job folder; made when it does not exist.
            request: with absolute paths.
            resume: go on from the checkpoints, or accept the finished result, of the same request.
        """
        self.folder = folder
        self.names = JobFolder(folder)
        self.request = request
        self.cancellation = Cancellation(self.names.stop)
        _refuse_others(self.names, request, resume)
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(folder / ".lock", self.names)
        self._stored = 0.0
        self._last: dict[str, Any] = {}
        self.resumed = resume and has_checkpoint(self.names)
        for name in (self.state, self.preview):
            name.mkdir(exist_ok=True)
        if not self.names.request.exists():
            write_json(self.names.request, to_dict(request))
        write_json(self.state / "request.json", to_dict(request))
        self.names.stop.unlink(missing_ok=True)  # left by the run before
        for leftover in folder.glob(".result-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        self.store_status("running")

    @property
    def state(self) -> Path:
        """Folder of the checkpoints."""
        return self.names.state

    @property
    def preview(self) -> Path:
        """Folder of pictures and meshes of the running job."""
        return self.names.preview

    @property
    def result(self) -> Path:
        """Folder of the result; absent until it is complete."""
        return self.names.result

    def finished(self) -> bool:
        """True when the result of this request is there already, complete."""
        try:
            read_result(self.result)
        except RequestError:
            return False
        return True

    def cancelled(self) -> bool:
        """True once the run should stop: an interrupt, the `stop` file, or the parent's death."""
        return self.cancellation.cancelled()

    def raise_if_cancelled(self) -> None:
        """Raise Cancelled once the run should stop."""
        if self.cancelled():
            raise Cancelled(
                f"The run was cancelled: {self.cancellation.reason}.",
                hint="Run the same command with --resume to go on.",
            )

    @contextlib.contextmanager
    def staging_result(self) -> Iterator[Path]:
        """A hidden folder beside `result`; renamed to `result` when the block ends, removed when it raises.

        The block must write result.json (contract.write_result), else RequestError and nothing appears.
        """
        staging = self.folder / f".result-{os.getpid()}"
        staging.mkdir()
        try:
            yield staging
            read_result(staging)
            staging.rename(self.result)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def store_event(self, event: Event) -> None:
        """Keep the last event in status.json, at most once a second."""
        self._last = json.loads(event.to_json())
        if time.monotonic() - self._stored > 1.0:
            self.store_status("running")

    def store_status(self, state: Literal["running", "finished", "failed", "cancelled"]) -> None:
        """Write status.json; a full disk does not hide the failure that is being reported."""
        self._stored = time.monotonic()
        status = Status(pid=os.getpid(), state=state, updated=time.time(), event=self._last)
        with contextlib.suppress(OSError):
            write_json(self.names.status, vars(status))

    def close(self) -> None:
        """Let another process work in the folder."""
        self._lock.close()

    def __enter__(self) -> Job:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.store_status("finished")
        else:
            self.store_status("cancelled" if isinstance(error, Cancelled) else "failed")
        self.close()


def has_checkpoint(names: JobFolder) -> bool:
    """True when the job folder holds anything a run could go on from."""
    return names.state.is_dir() and any(item.name not in _BEFORE_STEPS for item in names.state.iterdir())


def _refuse_others(names: JobFolder, request: Request, resume: bool) -> None:
    """RequestError unless `names` is new, or an unstarted job of this request, or resumed."""
    folder = names.path
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RequestError(f"{folder} is a file; expected a folder for the result", code="output-not-a-folder")
    if not names.request.exists():
        if any(folder.iterdir()):
            raise RequestError(
                f"{folder} is not empty and holds no job of Unrender",
                hint="Give a new or empty folder with -o; nothing in this one was touched.",
                code="output-not-empty",
            )
        return
    before = names.state / "request.json" if (names.state / "request.json").exists() else names.request
    started = names.result.exists() or has_checkpoint(names)
    came, there = _identity(request), _stored_identity(before, names.path)
    if came != there and (started or before == names.request):
        raise RequestError(
            f"{folder} holds another job: {_difference(there, came)}",
            hint="Give another folder with -o, or the same request as before; nothing in this one was touched.",
            code="output-holds-another-job",
        )
    if started and not resume:
        what = "a finished result" if names.result.exists() else "a run that has begun"
        raise RequestError(
            f"{folder} holds {what} of this request",
            hint="Add --resume to go on with it, or give another folder with -o.",
            code="output-holds-a-run",
        )


def _identity(request: Request) -> dict[str, Any]:
    return {key: value for key, value in to_dict(request).items() if key not in _NOT_THE_JOB}


def _stored_identity(path: Path, base: Path) -> dict[str, Any]:
    try:
        return _identity(absolute(read_request(path), base))
    except (OSError, RequestError):
        return {}


def _difference(there: Any, came: Any, path: str = "") -> str:
    """Where two requests part first, in words."""
    if not there:
        return "its request cannot be read"
    for key in came:
        here = f"{path}.{key}" if path else key
        if there.get(key) != came[key]:
            if isinstance(came[key], dict) and isinstance(there.get(key), dict):
                return _difference(there[key], came[key], here)
            return f"its {here} is {there.get(key)!r}, not {came[key]!r}"
    return "it has more keys"


def read_request(path: Path) -> Request:
    """The request in a job folder, its paths as they stand there; without a source it means the folder's own transforms.json.

    Raises RequestError for a file that is missing, no JSON, or no request.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RequestError(f"{path} does not exist; expected a request", code="request-missing") from None
    except ValueError as error:
        raise RequestError(f"{path} is not JSON: {error}", code="request-unreadable") from None
    return parse({"source": ".", **data} if isinstance(data, dict) else data)


def absolute(request: Request, base: Path) -> Request:
    """The request with each path made absolute: relative ones are understood from `base`."""
    data = to_dict(request)
    for section, key in (
        (data, "source"),
        (data, "keep_mesh"),
        (data["views"], "environment"),
        (data["light"], "file"),
    ):
        if section[key] is not None:
            section[key] = str(Path(os.path.normpath(base.absolute() / Path(section[key]).expanduser())))
    return parse(data)


def _lock(path: Path, names: JobFolder) -> IO[bytes]:
    """Hold `path` until it is closed or the process dies; RequestError when another process holds it."""
    stream = path.open("a+b")
    try:
        if sys.platform == "win32":
            import msvcrt

            stream.seek(0)
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        stream.close()
        status = read_status(names.path)
        who = f"process {status.pid}" if status else "another process"
        raise RequestError(
            f"{names.path} is being worked in by {who}",
            hint=f"Wait for it, cancel it (make the file {names.stop}), or give another folder with -o.",
            code="job-running",
        ) from None
    return stream
