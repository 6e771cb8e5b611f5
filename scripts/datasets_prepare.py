"""A scene of an archive -> the folder that a configuration reads: complete, or not there. Needs the backend's packages."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

import datasets_rescale
from datasets_archive import Container
from datasets_list import Scene
from datasets_progress import say

from backend.contract import RequestError, write_json
from backend.dataset.formats import read_capture
from backend.dataset.llff import FILE
from backend.dataset.posed import listed

MARK = "prepared.json"
_NOTICES = ("README", "README.md", "README.txt", "LICENSE", "LICENSE.md", "LICENSE.txt")


def prepare(scene: Scene, container: Container, data: Path, size: int | None = None) -> Path:
    """Make the scene's folder and return it.

    Args:
        scene: what.
        container: the archive or folder that holds it.
        data: the folder of all data.
        size: pixels of the images' long side, 0 for their own; None takes the scene's.

    Raises:
        RequestError: the archive does not hold the scene, is damaged, or what it holds cannot be read.
        EnvironmentFault: the disk is too small.
    """
    folder, size = data / scene.folder, scene.size if size is None else size
    with _all_or_nothing(folder) as partial:
        lay_out = datasets_rescale.synthetic if scene.archive.synthetic else datasets_rescale.nerd
        root = _root(container, scene, datasets_rescale.SPLITS[0] if scene.archive.synthetic else FILE)
        lay_out(container, root, partial, size)
        for notice, name in _notices(container, root).items():
            (partial / notice).write_bytes(container.read(name))
        write_json(
            partial / MARK,
            {"config": scene.config, "size": size, "origin": container.origin, "from": container.path.name},
        )
        capture = read_capture(partial)
        for warning in capture.warnings:
            say(f"  {warning}")
    if scene.alias and not folder.with_name(scene.alias).exists():
        with suppress(OSError):  # not every system lets everybody make links, and none of ours needs it
            folder.with_name(scene.alias).symlink_to(folder.name, target_is_directory=True)
    say(f"{folder}: {len(capture.images)} images, ready for --config {scene.config}")
    return folder


def prepared(folder: Path) -> dict[str, Any]:
    """What `prepare` wrote about a folder; empty where it did not make it."""
    try:
        mark = json.loads((folder / MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return mark if isinstance(mark, dict) else {}


@contextmanager
def _all_or_nothing(folder: Path) -> Iterator[Path]:
    """A folder beside the final one, which takes its name when all went well; what a broken run left is removed first."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        old = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _root(container: Container, scene: Scene, marker: str) -> str:
    """The folder of the scene in the archive: the topmost that holds `marker`."""
    holders = [PurePosixPath(name).parent for name in container.sizes if PurePosixPath(name).name == marker]
    fitting = [holder for holder in holders if scene.inside in ("", holder.name)]
    if not fitting and len(holders) == 1 and holders[0].name == "":
        fitting = holders  # somebody packed the one scene without its folder
    if not fitting:
        names = listed(sorted(str(holder) for holder in holders)) or "none"
        raise RequestError(
            f"{container.path}: it does not hold {scene.config} (no {scene.inside or '*'}/{marker}; folders with one: {names})",
            hint=f"give the archive from {scene.archive.page}",
            code="archive-other",
        )
    shallowest = min(fitting, key=lambda holder: len(holder.parts))
    return "" if str(shallowest) == "." else str(shallowest)


def _notices(container: Container, root: str) -> dict[str, str]:
    """Who made the set and under which licence: files of the folder and of the one above."""
    above = root.rpartition("/")[0]
    found: dict[str, str] = {}
    for folder in (above, root):
        named = {notice: f"{folder}/{notice}" if folder else notice for notice in _NOTICES}
        found |= {notice: name for notice, name in named.items() if name in container.sizes}
    return found
