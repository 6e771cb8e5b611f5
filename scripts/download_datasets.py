"""Fetches the data sets that the configurations reconstruct, and prepares the folders they look for.

    python3 scripts/download_datasets.py                      what there is, what of it is here, and from where it comes
    python3 scripts/download_datasets.py nerf_lego nerf_ship  scenes of NeRF-synthetic, into data/nerf_synthetic/
    python3 scripts/download_datasets.py nerd                 NeRD's captures, photographs and masks at 512 pixels, into data/nerd/
    python3 scripts/download_datasets.py nerf_lego --archive ~/Downloads/nerf_synthetic.zip

Then: python -m backend reconstruct --config nerf_lego -o OUT. Use the backend's Python (`python3 scripts/environments.py backend` tells
which). What was broken off goes on with the next call. Exit status: 0 done, 2 the archive or the call is at fault, 3 the network or the
disk is, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from datasets_archive import open_container
from datasets_checksums import Checksums, hold
from datasets_fetch import fetch
from datasets_list import GROUPS, SCENES, Scene, chosen
from datasets_progress import say

from backend.contract import EnvironmentFault, RequestError, UnrenderError


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    data = Path(options.data)
    try:
        scenes = chosen(options.names)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if not scenes:
        _list(data)
        return 0
    try:
        return _work(scenes, data, options)
    except UnrenderError as error:
        print(f"error: {error.message}" + (f"\n  {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_status
    except ModuleNotFoundError as error:
        hint = "run this with the backend's Python: python3 scripts/environments.py backend tells which"
        print(f"error: {error.name} is not installed\n  {hint}", file=sys.stderr)
        return EnvironmentFault.exit_status
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return EnvironmentFault.exit_status
    except KeyboardInterrupt:
        print("interrupted; the same call goes on from here", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"configurations, or {', '.join(GROUPS)}")
    parser.add_argument("--data", default="data", metavar="FOLDER", help="where the sets go (default: data, here)")
    parser.add_argument("--archive", metavar="FILE", help="an archive (or a clone's folder) that is here already")
    parser.add_argument("--mirror", action="append", default=[], metavar="URL", help="an address that is tried first")
    parser.add_argument(
        "--size", type=_size, metavar="PIXELS", help="long side of the images; 0 keeps theirs (default: 512 for NeRD)"
    )
    parser.add_argument("--replace", action="store_true", help="make folders anew that are there already")
    parser.add_argument(
        "--accept-changed", action="store_true", help="take a file that is not the one its address gave before"
    )
    return parser


def _size(text: str) -> int:
    size = int(text)
    if size and not 16 <= size <= 16384:
        raise argparse.ArgumentTypeError(f"{size} is neither 0 nor from 16 to 16384")
    return size


def _list(data: Path) -> None:
    for archive in {scene.archive.name: scene.archive for scene in SCENES}.values():
        say(f"{archive.name}\n  licence: {archive.licence}\n  page: {archive.page}")
        for mirror in archive.mirrors:
            say(f"  mirror: {mirror.url} ({f'SHA-256 {mirror.sha256}' if mirror.sha256 else 'no stated checksum'})")
        for scene in SCENES:
            if scene.archive is archive:
                say(
                    f"  {scene.config:<16}{data / scene.folder}{'  (is here)' if (data / scene.folder).exists() else ''}"
                )


def _work(scenes: list[Scene], data: Path, options: argparse.Namespace) -> int:
    from datasets_prepare import prepare, prepared  # what it needs is asked for only where there is work

    archives = {scene.archive.name: scene.archive for scene in scenes}
    if options.archive and len(archives) > 1:
        raise RequestError(f"--archive gives one of {', '.join(archives)}; ask for scenes of that one", code="usage")
    checksums = Checksums(data / "downloads" / "checksums.json", options.accept_changed)
    for archive in archives.values():
        waiting = [scene for scene in scenes if scene.archive is archive]
        waiting = [
            scene for scene in waiting if _is_wanted(scene, data / scene.folder, prepared(data / scene.folder), options)
        ]
        if not waiting:
            continue
        if options.archive:
            path = Path(options.archive)
            if path.is_file():
                hold(archive, f"by hand: {archive.name}", path, checksums)
        else:
            say(f"{archive.name}: {archive.licence}")
            path = fetch(archive, data / "downloads", checksums, options.mirror)
        with open_container(path) as container:
            for scene in waiting:
                say(f"{scene.config}: from {path}")
                prepare(scene, container, data, options.size)
        if not options.archive:
            say(f"{path} is kept for other scenes; it may be deleted")
    return 0


def _is_wanted(scene: Scene, folder: Path, mark: dict[str, Any], options: argparse.Namespace) -> bool:
    """The folder has to be made. RequestError where that would take away something that was not asked to go."""
    size = scene.size if options.size is None else options.size
    if not folder.exists() or (mark and options.replace):
        return True
    if not mark and options.replace:
        raise RequestError(
            f"{folder} was not made by this script, so it is not replaced",
            hint="move it away; a clone or an unpacked archive can then be given with --archive",
            code="folder-foreign",
        )
    if mark and mark.get("size") != size:
        raise RequestError(
            f"{folder} is there with images of {mark.get('size')} pixels (0: their own); asked are {size}",
            hint="--replace makes it anew",
            code="folder-other",
        )
    say(f"{folder} is there{'; --replace makes it anew' if mark else ', not made by this script; it is left as it is'}")
    return False


if __name__ == "__main__":
    sys.exit(main())
