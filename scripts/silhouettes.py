"""Compare the renderings of two engines, view by view: outlines, alpha and linear values. Run by the backend's Python.

    python scripts/silhouettes.py job_one/images job_two/images [--outline 1.0] [--value 0.02]

Prints one line of JSON; the exit status is 1 where outlines lie farther apart than --outline pixels, or colours inside them differ by
more than the part --value.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from backend.dataset import pixels
from backend.dataset.picture_file import read_picture


def outline_distance(one: np.ndarray, other: np.ndarray) -> float:
    """How far, in pixels, the farthest pixel that only one of two [H, W] masks has lies from the other mask's own outline."""
    worst = 0.0
    for inside, reference in ((one & ~other, other), (other & ~one, ~other)):
        if inside.any():  # the distance to the nearest pixel of the reference
            worst = max(worst, float(ndimage.distance_transform_edt(~reference)[inside].max()))
    return worst


def compare(one: Path, other: Path) -> dict[str, float]:
    """Measures of one pair: premultiplied linear pictures of one size."""
    first, second = (pixels.light_of(read_picture(path)) for path in (one, other))
    if first.shape != second.shape:
        raise SystemExit(f"{one} is {first.shape}, {other} is {second.shape}; expected one size")
    within = ndimage.binary_erosion((first[..., 3] > 0.999) & (second[..., 3] > 0.999), iterations=2)
    outside = (first[..., 3] == 0.0) & (second[..., 3] == 0.0)
    colours = np.median(first[within], axis=0)[:3], np.median(second[within], axis=0)[:3]
    edge = (second[..., 3] > 0.05) & (second[..., 3] < 0.95)
    straight = second[..., :3][edge] / second[..., 3:][edge]
    return {
        "outline": outline_distance(first[..., 3] > 0.5, second[..., 3] > 0.5),
        "alpha": float(np.abs(first[..., 3] - second[..., 3]).mean()),
        "value": float(np.abs(colours[1] / colours[0] - 1.0).max()),
        "brightest": float(second[..., :3].max()),
        "background": float(np.abs(second[outside]).max()),
        "edge": float(np.abs(np.median(straight, axis=0) / colours[1] - 1.0).max())
        if edge.any()
        else 1.0,  # none is soft
    }


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs=2, type=Path, metavar="IMAGES")
    parser.add_argument("--outline", type=float, default=1.0, metavar="PIXELS")
    parser.add_argument("--value", type=float, default=0.02, metavar="PART")
    options = parser.parse_args()
    pairs = [sorted(folder.glob("*.exr")) for folder in options.folders]
    if not pairs[0] or [path.name for path in pairs[0]] != [path.name for path in pairs[1]]:
        raise SystemExit(f"{options.folders[0]} and {options.folders[1]} do not hold pictures of the same names")
    each = [compare(*pair) for pair in zip(*pairs, strict=True)]
    worst = {name: round(max(view[name] for view in each), 5) for name in each[0]}
    print(json.dumps({"views": len(each), **worst}))
    limits = {"outline": options.outline, "value": options.value, "edge": options.value, "background": 0.0}
    return int(any(worst[name] > limit for name, limit in limits.items()))


if __name__ == "__main__":
    sys.exit(main())
