"""`blender --command unrender export|reconstruct|import`: the interface for scripts as a command with exit statuses.

Exit status: 0 done, 1 a fault of ours, 2 request or data, 3 environment, 130 cancelled; as the backend's own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import bpy

from ..backend import contract
from . import api, runs

NAME = "unrender"
_STATUSES = "exit status: 0 done, 1 internal error, 2 request or data, 3 environment, 130 cancelled"


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors like any other."""

    def error(self, message: str) -> NoReturn:
        raise contract.RequestError(message, hint=f"`{self.prog} --help` lists the options.", code="usage")


class _Handle:
    """What Blender gave for the command; a class, so that it can be replaced without a global statement."""

    command: Any = None


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = _Parser(
        prog=f"blender [FILE.blend] --command {NAME}",
        description="Unrender: photograph the scene, reconstruct it, import the asset. All it needs is a job folder.",
        epilog=_STATUSES,
    )
    parser.add_argument("--version", action="version", version=contract.version())
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Parser)
    for name, options, says in (
        ("export", _export_options, "photograph the scene into a job folder"),
        ("reconstruct", _reconstruct_options, "find mesh, materials and light of a job folder's views"),
        ("import", _import_options, "add a finished asset to the scene and save it"),
    ):
        child = verbs.add_parser(name, help=says, description=says, epilog=_STATUSES)
        child.add_argument("folder", metavar="FOLDER", help="job folder")
        child.add_argument(
            "--file", metavar="FILE.blend", help="open this file first (default: the one Blender has open)"
        )
        child.add_argument(
            "--json", action="store_true", help="speak in lines of JSON; lines that are none are Blender's"
        )
        options(child)
    return parser


def main(argv: Sequence[str]) -> int:
    """Run one command; the exit status."""
    say = _Speaker("--json" in argv)
    try:
        options = build_parser().parse_args(list(argv))
        with runs.interruptible():
            if options.file:
                _open(Path(options.file))
            with _in_window():
                _VERBS[options.verb](options, say)
    except contract.UnrenderError as error:
        return say.failure(error)
    except KeyboardInterrupt:
        return say.failure(contract.Cancelled("cancelled"))
    except OSError as error:
        return say.failure(contract.EnvironmentFault(str(error), hint="Choose another folder, or free space."))
    except SystemExit as end:  # --help and --version
        return end.code if isinstance(end.code, int) else 0
    except Exception as error:
        traceback.print_exc()
        return say.failure(contract.UnrenderError(f"{type(error).__name__}: {error}"))
    return 0


class _Speaker:
    """Says what happens on standard output, as sentences or as lines of JSON, and failures as sentences on standard error."""

    def __init__(self, json_lines: bool) -> None:
        self.json_lines = json_lines
        self._failure_said = False

    def line(self, sentence: str, **event: Any) -> None:
        """Say a sentence, or the event in its place."""
        print(json.dumps(event, default=str) if self.json_lines else f"Unrender: {sentence}", flush=True)  # noqa: T201

    def event(self, event: dict[str, Any]) -> None:
        """Pass an event of the backend on."""
        self._failure_said = self._failure_said or event["event"] == contract.Failed.EVENT
        print(json.dumps(event, ensure_ascii=False), flush=True)  # noqa: T201

    def failure(self, error: contract.UnrenderError) -> int:
        """Say why it ends, once; returns the exit status."""
        if not self.json_lines:
            print(f"Unrender: {error.message}", file=sys.stderr)  # noqa: T201
            if error.hint:
                print(f"  {error.hint}", file=sys.stderr)  # noqa: T201
        elif not self._failure_said:
            failed = contract.Failed(
                code=error.code, message=error.message, hint=error.hint, exit_status=error.exit_status
            )
            print(failed.to_json(), flush=True)  # noqa: T201
        return error.exit_status


def _export_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source", choices=("rig", "scene", "photos", "clip"), help="cameras (default: the file's setting)"
    )
    parser.add_argument("--views", type=int, metavar="N", help="views of the rig that are fitted")
    parser.add_argument("--held-out", type=int, metavar="N", help="views that only measure the result")
    parser.add_argument("--resolution", type=int, metavar="PIXELS", help="side of the rig's views")
    parser.add_argument("--samples", type=int, metavar="N", help="Cycles samples of a pixel")
    parser.add_argument("--renderer", choices=("cycles", "eevee"), help="what renders the views")
    parser.add_argument(
        "--object", action="append", metavar="NAME", help="object to capture; may be repeated (default: the selected)"
    )
    parser.add_argument("--frames", type=int, metavar="N", help="most frames taken of a clip, a sequence or a movie")
    parser.add_argument("--mask", choices=("alpha", "selected", "index"), help="what the views' alpha marks")
    parser.add_argument("--mask-index", type=int, metavar="N", help="pass index of the objects, for --mask index")
    parser.add_argument("--all", action="store_true", help="show the whole scene in the views, not only the objects")


def _reconstruct_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--images", metavar="FOLDER", help="posed images to start from, instead of views in the job folder"
    )
    parser.add_argument(
        "--preset", choices=contract.PRESETS, help="how much time to spend (default: the file's setting)"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), help="what computes")
    parser.add_argument("--triangles", type=int, metavar="N", help="most triangles of the asset")
    parser.add_argument(
        "--texture-size", choices=("512", "1024", "2048", "4096"), help="side of the textures in texels"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any key of the request, such as shape.cells=64"
    )
    parser.add_argument("--start-over", action="store_true", help="forget what an earlier run in the folder has found")


def _import_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--name", default="Unrendered", help="name of the collection and its object (default: %(default)s)"
    )
    parser.add_argument("--no-world", action="store_true", help="leave the scene's light as it is")
    parser.add_argument("--cameras", action="store_true", help="add the cameras the views were taken with")
    parser.add_argument(
        "--save", metavar="FILE.blend", help="where the file is saved (default: where it was opened from)"
    )


def _export(options: argparse.Namespace, say: _Speaker) -> None:
    given = {
        "source": options.source and options.source.upper(),
        "count": options.views,
        "held_out": options.held_out,
        "resolution": options.resolution,
        "samples": options.samples,
        "engine": options.renderer and options.renderer.upper(),
        "frames": options.frames,
        "mask": options.mask and options.mask.upper(),
        "mask_index": options.mask_index,
        "only_selected": False if options.all else None,
    }
    if options.object:
        _select(options.object)

    def tell(done: int, total: int) -> None:
        say.line(f"View {done} of {total}", event="progress", stage="export_views", step=done, steps=total)

    written = api.export_views(options.folder, on_view=tell, **_given(given))
    say.line(f"Views written to {written.parent}", event="exported", transforms=written)


def _reconstruct(options: argparse.Namespace, say: _Speaker) -> None:
    given = {
        "source": "FOLDER" if options.images else None,
        "image_folder": options.images and str(Path(options.images).absolute()),
        "preset": options.preset,
        "device": options.device,
        "triangles": options.triangles,
        "texture_size": options.texture_size,
    }
    done = api.reconstruct(
        options.folder,
        start_over=options.start_over,
        changes=options.set,
        on_event=say.event if say.json_lines else None,
        **_given(given),
    )
    if not say.json_lines:  # the backend's own last event says the same
        say.line(f"Asset written to {done['result']}")


def _import(options: argparse.Namespace, say: _Speaker) -> None:
    target = options.save or bpy.data.filepath
    if not target:
        raise contract.RequestError(
            "the asset would be lost: no file is open", hint="Name one with --save FILE.blend.", code="usage"
        )
    names = api.import_result(
        options.folder, name=options.name, import_world=not options.no_world, import_cameras=options.cameras
    )
    try:
        bpy.ops.wm.save_as_mainfile(filepath=str(Path(target).absolute()), check_existing=False)
    except RuntimeError as error:
        raise contract.EnvironmentFault(f"{target} cannot be saved: {error}", code="not-written") from error
    say.line(f"{names[0]} added to {target}", event="imported", objects=names, file=target)


def _open(path: Path) -> None:
    try:
        bpy.ops.wm.open_mainfile(filepath=str(path.absolute()))
    except RuntimeError as error:
        raise contract.RequestError(f"{path} cannot be opened: {error}", code="file-unreadable") from error


def _in_window() -> contextlib.AbstractContextManager[object]:
    """The file's first window as the context's. `--command` gives none, without which Blender 4.3 dies when a scene is removed."""
    window = next(iter(bpy.context.window_manager.windows), None)
    return bpy.context.temp_override(window=window) if window is not None else contextlib.nullcontext()


def _select(names: Sequence[str]) -> None:
    layer = bpy.context.view_layer
    if missing := [name for name in names if name not in layer.objects]:
        there = ", ".join(thing.name for thing in layer.objects)
        raise contract.RequestError(f"the scene has no object {missing[0]!r}; it has {there}", code="object-missing")
    for thing in layer.objects:
        thing.select_set(thing.name in names)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """Those that were named on the command line; the others are the file's settings."""
    return {key: value for key, value in values.items() if value is not None}


_VERBS: dict[str, Callable[[argparse.Namespace, _Speaker], None]] = {
    "export": _export,
    "reconstruct": _reconstruct,
    "import": _import,
}


def register() -> None:
    """Add the command."""
    add: Callable[..., Any] = bpy.utils.register_cli_command  # whose stubs know nothing of the handle it gives
    _Handle.command = add(NAME, main)


def unregister() -> None:
    """Take it away."""
    if _Handle.command is not None:
        bpy.utils.unregister_cli_command(_Handle.command)
        _Handle.command = None
