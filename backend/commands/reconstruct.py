"""`reconstruct SOURCE -o OUT` and `run JOB/request.json`: from posed images to an asset."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.commands.examples import Example, load
from backend.commands.failures import event_of, explain
from backend.console import Console
from backend.contract import (
    Event,
    Finished,
    MeshUpdate,
    Request,
    RequestError,
    Result,
    Started,
    Warned,
    assign,
    parse,
    read_result,
    version,
)
from backend.job import Job, absolute, read_request
from backend.live.show import shown

if TYPE_CHECKING:
    from backend.dataset.source import Reading


def reconstruct(arguments: argparse.Namespace, console: Console) -> None:
    """The verb `reconstruct`."""
    example = load(arguments.config) if arguments.config else Example(request={})
    source = arguments.source or arguments.other_source
    if arguments.source and arguments.other_source:
        raise RequestError("two sources are given; expected SOURCE or --source SOURCE", code="usage")
    if not source and not arguments.config:
        raise RequestError("no source is given; expected SOURCE or --config NAME", code="usage")
    data: dict[str, Any] = {**example.request, **({"source": source} if source else {})}
    if arguments.preset:
        data["preset"] = arguments.preset
    flags = [("views.drop_bad=true", arguments.drop_bad), ("views.preflight=false", arguments.no_check)]
    for assignment in (*(key for key, given in flags if given), *arguments.set):
        data = assign(data, assignment)
    request = absolute(parse(data), Path.cwd())
    _refuse_missing_files(request, example.needs)
    if example.differs:
        console(Warned(message=example.differs, code="config-differs"))
    _run(request, Path(arguments.output).absolute(), arguments, console)


def run(arguments: argparse.Namespace, console: Console) -> None:
    """The verb `run`."""
    path = Path(arguments.request).absolute()
    path = path / "request.json" if path.is_dir() else path
    _run(absolute(read_request(path), path.parent), path.parent, arguments, console)


def _run(request: Request, folder: Path, arguments: argparse.Namespace, console: Console) -> None:
    if int(os.environ.get("RANK", "0")) > 0:
        _follow(request, arguments)
        return
    began = time.monotonic()
    given = {key: getattr(arguments, key) for key in ("device", "engine") if getattr(arguments, key)}
    request = dataclasses.replace(request, **given)
    _refuse_missing_files(request)
    if request.threads:
        os.environ["OMP_NUM_THREADS"] = str(request.threads)  # read when torch is imported, below
    with contextlib.ExitStack() as stack:
        job = stack.enter_context(Job(folder, request, arguments.resume))
        console.log_to(job.names.log)
        job.cancellation.listen_to_signals()
        if arguments.follow_parent and _is_pipe(sys.stdin):
            job.cancellation.follow_parent()

        title = Path(request.source).stem
        show = stack.enter_context(shown(job.preview, title, arguments.display, arguments.serve, console))

        telling = threading.Lock()  # the first mesh comes from a thread of its own
        fit_shown = False

        def emit(event: Event) -> None:
            nonlocal fit_shown
            with telling:
                if isinstance(event, MeshUpdate) and event.stage == "views" and fit_shown:
                    return  # an outline that comes late would replace a better mesh
                fit_shown = fit_shown or (isinstance(event, MeshUpdate) and event.stage != "views")
                console(event)
                job.store_event(event)
                show(event)
                if console.reader_left:
                    job.cancellation.cancel("nobody reads the output any more")

        try:
            result = read_result(job.result) if job.finished() else _reconstruct(request, job, emit)
        except Exception as error:
            failure = explain(error, folder)
            job.store_event(event_of(failure))
            show(event_of(failure))
            raise failure from (None if failure is error else error)
        emit(Finished(result=str(job.result), seconds=time.monotonic() - began, metrics=result.metrics))


def _follow(request: Request, arguments: argparse.Namespace) -> None:
    """What the processes but the first do that torchrun started together: their part of each step, in silence."""
    from backend.commands.device import pick_device
    from backend.optimise.team import team_of
    from backend.pipeline import reconstruct as run_pipeline

    device = pick_device(arguments.device or request.device)
    request = dataclasses.replace(request, device=str(device), engine=arguments.engine or request.engine)
    with tempfile.TemporaryDirectory(prefix="unrender-") as folder, Job(Path(folder, "job"), request) as job:
        job.cancellation.listen_to_signals()  # the first process decides
        with team_of(device) as team:
            run_pipeline(request, job, lambda _: None, team)


def _reconstruct(request: Request, job: Job, emit: Any) -> Result:
    with _ahead(request) as ahead, _outline_shown(request, job, emit, ahead):
        return _with_torch(request, job, emit, ahead)


@contextlib.contextmanager
def _outline_shown(request: Request, job: Job, emit: Any, ahead: Reading | None) -> Iterator[None]:
    """The first mesh is shown meanwhile, where a run is not resumed and its box has to be found; none is told of after the end."""
    if ahead is None or job.resumed or request.keep_mesh is not None or request.views.box != "auto":
        yield
        return
    showing = threading.Thread(target=_show_outline, args=(ahead, job, emit), name="outline", daemon=True)
    showing.start()
    try:
        yield
    finally:
        ahead.leave()  # what is not read yet will not be
        showing.join()


def _show_outline(ahead: Reading, job: Job, emit: Any) -> None:
    """The first mesh, of the silhouettes alone: there while torch is still being imported."""
    import numpy as np

    found = ahead.outline()
    if found is not None:
        name = "views-000000.npz"
        np.savez(job.preview / name, vertices=found.vertices, faces=found.faces)
        emit(MeshUpdate(path=f"preview/{name}", stage="views", step=0, triangles=len(found.faces)))


@contextlib.contextmanager
def _ahead(request: Request) -> Iterator[Reading | None]:
    """Photographs that are read while torch is imported, which takes seconds; None where there is nothing to read, or something wrong."""
    from backend.dataset.source import read_ahead, survey

    ahead = None
    with contextlib.suppress(RequestError):  # the run itself comes upon it again, and says so in its turn
        source = survey(Path(request.source), request.views.holdout, request.views.only)
        if source is not None:
            ahead = read_ahead(source, request.views.resolution, request.threads or os.cpu_count() or 1)
    try:
        yield ahead
    finally:
        if ahead is not None:
            ahead.leave()


def _with_torch(request: Request, job: Job, emit: Any, ahead: Reading | None) -> Result:
    import torch

    from backend.commands.device import known_engine, pick_device
    from backend.optimise.team import team_of
    from backend.pipeline import reconstruct as run_pipeline

    device = str(pick_device(request.device))
    request = dataclasses.replace(request, device=device)
    emit(
        Started(
            folder=str(job.folder),
            pid=os.getpid(),
            version=version(),
            device=device,
            engine=known_engine(request.engine),
            preset=request.preset,
            resumed=job.resumed,
        )
    )
    job.raise_if_cancelled()
    with team_of(torch.device(device)) as team:
        return run_pipeline(request, job, emit, team, ahead)


def _refuse_missing_files(request: Request, hint: str = "") -> None:
    named = {
        "source": request.source,
        "keep_mesh": request.keep_mesh,
        "views.environment": request.views.environment,
        "light.file": request.light.file,
    }
    for key, path in named.items():
        if path is not None and not Path(path).exists():
            raise RequestError(
                f"{key} is {path}, which does not exist", hint=hint or "Check the path.", code=f"{key}-missing"
            )


def _is_pipe(stream: Any) -> bool:
    try:
        mode = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError, AttributeError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
