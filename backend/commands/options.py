"""The options of each verb; in one light module, so that help and mistakes are answered at once."""

from __future__ import annotations

import argparse

from backend.contract import PRESETS
from backend.engines.names import KNOWN, PERMISSION

_ENGINE = (
    f"maker of the rendering primitives: {', '.join(KNOWN)} (default: auto, the fastest that is free for every use; "
    f"{PERMISSION}=1 in the environment lets it take one for research and evaluation only)"
)


def reconstruct(parser: argparse.ArgumentParser) -> None:
    """Options of `reconstruct`."""
    parser.add_argument(
        "source",
        nargs="?",
        help="folder of posed images, a transforms.json, or a mesh (.obj, .glb, .gltf); may be left out with --config",
    )
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="job folder; new, empty, or resumed")
    parser.add_argument(
        "--config", metavar="NAME", help="an example (bob, nerf_chair, ...) or a .json file to start from"
    )
    parser.add_argument("--source", dest="other_source", metavar="SOURCE", help="the same as SOURCE")
    parser.add_argument("--preset", choices=PRESETS, help="how much time to spend (default: standard)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="any key, such as shape.cells=64"
    )
    parser.add_argument(
        "--drop-bad", action="store_true", help="leave the photographs that hurt the result out of the fit (see check)"
    )
    parser.add_argument("--no-check", action="store_true", help="do not look for photographs that hurt before the run")
    _job(parser)


def check(parser: argparse.ArgumentParser) -> None:
    """Options of `check`."""
    parser.add_argument("source", metavar="FOLDER", help="folder of posed images, or a transforms.json")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the figures of every photograph as JSON")
    parser.add_argument("--strict", action="store_true", help="exit status 2 where a photograph hurts")
    parser.add_argument("--resolution", type=int, default=512, help="long side in pixels (default: 512)")
    parser.add_argument("--only", help="photographs that are looked at, as views.only has them (default: all)")


def poses(parser: argparse.ArgumentParser) -> None:
    """Options of `poses`."""
    parser.add_argument(
        "folder", metavar="FOLDER", help="photographs, in the folder itself or in images/; masks/ beside them"
    )
    parser.add_argument("-o", "--output", metavar="OUT", help="new or empty folder (default: FOLDER-posed)")
    parser.add_argument(
        "--quality",
        choices=("draft", "standard", "high"),
        default="standard",
        help="how closely the photographs are looked at (default: standard)",
    )
    parser.add_argument(
        "--matching",
        choices=("auto", "exhaustive", "sequential"),
        default="auto",
        help="which photographs are compared: every pair, or neighbours by name, as of a video (default: by their number)",
    )
    parser.add_argument(
        "--camera",
        choices=("shared", "each"),
        default="shared",
        help="one lens for the photographs of a size and an EXIF focal length, or one for each photograph (default: shared)",
    )
    parser.add_argument(
        "--lens",
        choices=("SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE"),
        default="SIMPLE_RADIAL",
        help="camera model, by COLMAP's names (default: SIMPLE_RADIAL)",
    )
    parser.add_argument(
        "--focal-35",
        type=float,
        metavar="MM",
        help="focal length as of 35 mm film (default: what EXIF says, else it is found)",
    )
    parser.add_argument(
        "--hold-focal",
        action="store_true",
        help="keep the focal length given or said by EXIF as it is, instead of fitting it on",
    )
    parser.add_argument("--ignore-masks", action="store_true", help="look at whole photographs though there are masks")
    parser.add_argument(
        "--device", default="auto", help="auto, cpu or cuda, for which pycolmap needs a build (default: auto)"
    )
    parser.add_argument("--threads", type=int, help="of the processor (default: all)")


def masks(parser: argparse.ArgumentParser) -> None:
    """Options of `masks`."""
    parser.add_argument("folder", metavar="FOLDER", help="photographs, with or without cameras")
    parser.add_argument(
        "--method",
        required=True,
        choices=("alpha", "chroma", "box", "rembg"),
        help="alpha: the images' own; chroma: an even backdrop; box: GrabCut from a box; rembg: a network, where it is installed",
    )
    parser.add_argument("-o", "--output", metavar="DIR", help="where the masks go (default: masks/ beside the images)")
    parser.add_argument("--replace", action="store_true", help="write over masks of the same names")
    parser.add_argument(
        "--color", metavar="COLOR", help="chroma: green, blue, white, ... or #rrggbb (default: found from the border)"
    )
    parser.add_argument(
        "--box",
        type=float,
        nargs="+",
        metavar="N",
        help="box: x y w h around the object in every picture, in pixels or shares; or six numbers, two corners in the cameras' space, as "
        "each camera sees them (default: the box of the solved points)",
    )
    parser.add_argument("--model", default="u2net", help="rembg: its model (default: u2net)")
    parser.add_argument("--download", action="store_true", help="rembg: fetch the model where it is not installed")
    parser.add_argument("--threads", type=int, help="of the processor (default: all)")


def run(parser: argparse.ArgumentParser) -> None:
    """Options of `run`."""
    parser.add_argument("request", help="request.json of a job folder, or the folder; its relative paths start there")
    _job(parser)


def convert_config(parser: argparse.ArgumentParser) -> None:
    """Options of `convert-config`."""
    parser.add_argument(
        "config", metavar="THEIRS.json", help="a configuration with the keys ref_mesh, iter, train_res, ..."
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="where the request goes (default: standard output)")
    parser.add_argument(
        "--partial", action="store_true", help="leave out the keys that have no counterpart, instead of refusing them"
    )


def evaluate(parser: argparse.ArgumentParser) -> None:
    """Options of `evaluate`."""
    _finished(parser)
    parser.add_argument(
        "source", metavar="FOLDER", help="posed images; the held-out views, or all when none are held out"
    )
    parser.add_argument("--resolution", type=int, help="long side in pixels (default: the run's; 0: as the images are)")


def render(parser: argparse.ArgumentParser) -> None:
    """Options of `render`."""
    _finished(parser)
    parser.add_argument(
        "--light", required=True, metavar="FILE", help="equirectangular .hdr or .exr, oriented as in Blender"
    )
    parser.add_argument(
        "--light-resolution",
        type=int,
        default=64,
        choices=(16, 32, 64, 128, 256, 512),
        help="side of a face of the light's cube in texels: more shows sharper reflections and takes longer (default: 64)",
    )
    parser.add_argument(
        "--views", metavar="FOLDER", help="posed images whose cameras are used (default: the result's own)"
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", help="new or empty folder (default: OUT/relit/NAME OF THE LIGHT)"
    )
    parser.add_argument("--resolution", type=int, default=0, help="long side in pixels (default: the cameras' own)")


def device(parser: argparse.ArgumentParser) -> None:
    """Options of `doctor` and `warm-up`."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")


def _finished(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("result", metavar="OUT", help="job folder or result folder of a finished run")
    device(parser)
    parser.add_argument("--engine", default="auto", help=_ENGINE)


def _job(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--display",
        action="store_true",
        help="show the run in a browser window; without a screen, in OUT/preview/index.html",
    )
    parser.add_argument(
        "--serve",
        nargs="?",
        type=int,
        const=0,
        metavar="PORT",
        help="serve that page to this machine alone, on PORT of 127.0.0.1 (default: any that is free)",
    )
    parser.add_argument("--device", help="auto, cpu, cuda or cuda:N (default: auto)")
    parser.add_argument("--engine", help=_ENGINE)
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint of the same request")
    parser.add_argument(
        "--follow-parent", action="store_true", help="cancel when standard input, a pipe, ends or says 'cancel'"
    )
