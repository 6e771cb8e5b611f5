"""Masks by the colour of the backdrop."""

from __future__ import annotations

import cv2
import numpy as np

from backend.dataset.pixels import srgb_light

BORDER = 0.03  # of the short side: where the backdrop is looked for
COLOURED = 15.0  # CIELAB chroma; a backdrop below it is grey, white or black, and only its lightness tells it apart
SHADE = 0.25  # what a difference of lightness counts for before a coloured backdrop, whose folds and shadows are the backdrop still
NAMED = {
    "green": (0, 177, 64),
    "blue": (0, 71, 187),
    "red": (200, 16, 46),
    "magenta": (255, 0, 255),
    "white": (255, 255, 255),
    "grey": (128, 128, 128),
    "black": (0, 0, 0),
}
_LEAST, _MOST = 6.0, 30.0  # CIELAB distance between backdrop and object; 2.3 is just seen


def backdrop_colour(encoded: np.ndarray) -> tuple[np.ndarray, float]:
    """The colour most of the border has, CIELAB [3], and the share of the border that has it (within 12 in a and b, 25 in L).

    Args:
        encoded: [H, W, 3] float32, sRGB-encoded in [0, 1].
    """
    lab = _lab(encoded)
    wide = max(1, round(BORDER * min(lab.shape[:2])))
    border = np.concatenate(
        [
            lab[:wide].reshape(-1, 3),
            lab[-wide:].reshape(-1, 3),
            lab[:, :wide].reshape(-1, 3),
            lab[:, -wide:].reshape(-1, 3),
        ]
    )
    reach = np.array([25.0, 12.0, 12.0])
    centre = np.median(border, axis=0)
    cells, counts = np.unique(np.round(border / reach), axis=0, return_counts=True)
    start = cells[counts.argmax()] * reach
    for _ in range(5):  # the mean of what is near, moved to where it is densest
        near = (np.abs(border - start) < reach).all(1)
        start = border[near].mean(0) if near.any() else centre
    share = float((np.abs(border - start) < reach).all(1).mean())
    return start, share


def named_colour(text: str) -> np.ndarray | None:
    """CIELAB [3] of one of `NAMED` or of '#rrggbb'; None where it is neither."""
    if text in NAMED:
        red, green, blue = NAMED[text]
    else:
        digits = text.removeprefix("#")
        try:
            red, green, blue = bytes.fromhex(digits)
        except ValueError:
            return None
    return _lab(np.array([[[red, green, blue]]], np.float32) / 255)[0, 0]


def chroma_inside(encoded: np.ndarray, backdrop: np.ndarray) -> np.ndarray:
    """[H, W] bool: what is no backdrop.

    The distance is CIELAB's, in which equal steps look equal; before a coloured backdrop lightness counts for little. The threshold is
    Otsu's (1979) between 6 and 30, so that backdrops of more or less even light are told from objects of more or less other colour.

    Args:
        encoded: [H, W, 3] float32, sRGB-encoded in [0, 1].
        backdrop: CIELAB [3].
    """
    difference = _lab(encoded) - backdrop.astype(np.float32)
    if np.hypot(backdrop[1], backdrop[2]) >= COLOURED:
        difference[..., 0] *= SHADE
    far = cv2.GaussianBlur(np.linalg.norm(difference, axis=2), (3, 3), 0)
    scaled = (far.clip(0.0, 2 * _MOST) * (255 / (2 * _MOST))).astype(np.uint8)
    otsu, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return far > np.clip(otsu * (2 * _MOST) / 255, _LEAST, _MOST)


def encoded_to_light(encoded: np.ndarray) -> np.ndarray:
    """sRGB-encoded [H, W, 3] in [0, 1] -> linear float32."""
    return srgb_light(encoded).astype(np.float32)


def _lab(encoded: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(np.ascontiguousarray(encoded, np.float32), cv2.COLOR_RGB2Lab)
