"""Unrender for scripts: what the panel's buttons do, as functions that give plain values and raise errors with a hint.

    from bl_ext.user_default.unrender import api

The functions work on the current scene and return when they are done, in background mode and in the window's Python console alike.
Keyword arguments beyond the named ones are the scene's settings (`bpy.context.scene.unrender`) for this one call.

Every failure is an `api.UnrenderError` with `message`, `hint`, `code` and `exit_status`: 2 where the request or the data is at fault,
3 where the machine is, 130 where somebody cancelled.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import bpy

from ..backend import contract
from . import runs, slices, watch
from .exporter import capture
from .importer import scene as importing

UnrenderError = contract.UnrenderError
_READ_ONLY = {"rna_type", "name", "folder"}


def export_views(
    folder: Path | str | None = None, *, on_view: Callable[[int, int], None] | None = None, **settings: Any
) -> Path:
    """Photograph the scene into a job folder, in this Blender; returns the path of transforms.json.

    Args:
        folder: the job folder; None takes the scene's.
        on_view: called with (views done, views in all).
        settings: `source` 'RIG', 'SCENE', 'PHOTOS' or 'CLIP', `count`, `frames`, `held_out`, `resolution`, `samples`, `mask`, ...

    Raises UnrenderError; what is missing on the disk or cannot be written raises OSError.
    """
    _refuse_while_running()
    with _set(folder, settings) as scene:
        target = scene.unrender.job_folder()
        capture.export(bpy.context, target, on_view or _silent)
    return contract.JobFolder(target).transforms


def reconstruct(
    folder: Path | str | None = None,
    *,
    start_over: bool = False,
    changes: Mapping[str, Any] | Iterable[str] = (),
    on_event: Callable[[dict[str, Any]], object] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Find mesh, materials and light of a job folder's views, going on from its checkpoint where it has one. Blocks until it is done.

    Args:
        folder: the job folder; None takes the scene's.
        start_over: forget what an earlier run in it has found.
        changes: keys of the request that the panel does not show: {"shape.views_per_step": 2}, or lines 'shape.views_per_step=2'.
        on_event: called with each event of the backend as a dictionary; None prints the progress.
        settings: `preset`, `device`, `triangles`, `texture_size`, ...; with `advanced=True` those of the advanced panel too.

    Returns:
        'state' ('finished'), 'folder' and 'result' (Path), 'seconds', 'metrics' (PSNR in dB, ...), 'warnings', 'device', 'engine'.

    Raises UnrenderError, after Ctrl-C too (exit_status 130; the checkpoint is kept); a folder that cannot be written raises OSError.
    """
    _refuse_while_running()
    tell = None if on_event is None else (lambda event: on_event(json.loads(event.to_json())))
    with _set(folder, settings) as scene:
        names = contract.JobFolder(scene.unrender.job_folder())
        if missing := runs.missing_views(scene.unrender):
            raise contract.RequestError(missing, code="views-missing")
        runs.follow_to_end(runs.start(bpy.context, start_over, _lines(changes)), tell)
    result = contract.read_result(names.path)
    return {
        "state": "finished",
        "folder": names.path,
        "result": result.folder,
        "seconds": result.seconds,
        "metrics": dict(result.metrics),
        "warnings": list(result.warnings),
        "device": result.device,
        "engine": result.engine,
    }


def import_result(folder: Path | str | None = None, *, name: str = "Unrendered", **settings: Any) -> list[str]:
    """Add a finished asset to the scene; returns the names of the objects that came, the asset's first.

    Args:
        folder: a result folder, or the job folder around it; None takes the scene's.
        name: of the new collection and its object.
        settings: `import_world`, `import_cameras`, `pack_images`.

    Raises UnrenderError with the scene untouched.
    """
    with _set(None, settings) as scene:
        wish = scene.unrender
        result = importing.read(Path(folder) if folder is not None else wish.job_folder())
        before = set(scene.objects)
        wanted = importing.Wish(wish.import_world, wish.import_cameras, wish.pack_images)
        asset = slices.finish(importing.adding(scene, result, name, wanted, print))
    others = [thing.name for thing in scene.objects if thing not in before and thing != asset]
    return [asset.name, *others]


@contextlib.contextmanager
def _set(folder: Path | str | None, values: Mapping[str, Any]) -> Iterator[bpy.types.Scene]:
    """The current scene with these settings, which it has only inside the block; RequestError where Blender would clamp or drop one."""
    scene = bpy.context.scene
    stored = scene.unrender
    kinds = {kind.identifier: kind for kind in stored.bl_rna.properties if kind.identifier not in _READ_ONLY}
    if unknown := sorted(values.keys() - kinds.keys()):
        known = ", ".join(sorted(kinds))
        raise contract.RequestError(f"unknown setting {unknown[0]!r}; known settings: {known}", code="key-unknown")
    wanted = {**values, **({} if folder is None else {"folder": str(Path(folder).absolute())})}
    before = {key: getattr(stored, key) if stored.is_property_set(key) else None for key in wanted}
    try:
        for key, value in wanted.items():
            _assign(stored, key, str(value) if isinstance(value, Path) else value, kinds.get(key))
        yield scene
    finally:
        for key, value in before.items():
            if value is None:
                scene.unrender.property_unset(key)
            else:
                setattr(scene.unrender, key, value)


def _assign(stored: Any, key: str, value: Any, kind: Any) -> None:
    try:
        setattr(stored, key, value)
    except (TypeError, ValueError, OverflowError) as error:
        raise contract.RequestError(f"setting {key} is {value!r}: {error}", code="setting-invalid") from error
    if isinstance(value, (int, float)) and getattr(stored, key) != value:
        raise contract.RequestError(
            f"setting {key} is {value}; expected {kind.hard_min} to {kind.hard_max}", code="setting-invalid"
        )


def _lines(changes: Mapping[str, Any] | Iterable[str]) -> list[str]:
    if not isinstance(changes, Mapping):
        return list(changes)
    return [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in changes.items()]


def _refuse_while_running() -> None:
    if watch.running():
        raise contract.RequestError(
            "a reconstruction is running", hint="Cancel it or wait for its end.", code="job-running"
        )


def _silent(_done: int, _total: int) -> None:
    """Tells nobody."""
