"""The demo's middle, run by a Python that has bpy: the extension's own operator reconstructs what was captured.

UNRENDER_BACKEND_PYTHON=... python scripts/demo_reconstruct.py --extension dist/unrender-0.1.0.zip --job demo/job
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import demo_common

demo_common.isolate()

import bpy  # noqa: E402


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--extension", type=Path, required=True, help="the built zip")
    parser.add_argument("--job", type=Path, required=True, help="job folder with the views")
    parser.add_argument("--preset", default="draft", choices=("draft", "standard", "high"), help="default: %(default)s")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="default: %(default)s")
    options = parser.parse_args()
    demo_common.install_extension(options.extension)
    settings = bpy.context.scene.unrender
    settings.folder = str(options.job.resolve())
    settings.preset, settings.device = options.preset, options.device
    try:
        bpy.ops.unrender.reconstruct()
    except RuntimeError as error:  # what the operator reported
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
