"""A mask that says yes or no -> one whose edge is as soft as the photograph's."""

from __future__ import annotations

import cv2
import numpy as np

_APART = (
    1e-3  # squared; below this distance object and background look the same in linear light, and nothing can be said
)


def soft_edge(light: np.ndarray, inside: np.ndarray, band: int) -> np.ndarray:
    """How much of each pixel the object covers.

    Along the edge a pixel's light is that of object and background mixed by area: c = a F + (1 - a) B (Porter and Duff 1984). F and B are
    the nearest pixels that are surely the one or the other, and a is where c projects onto the line between them. A colour cast that the
    background throws onto the object is in F too, and so makes nothing transparent.

    Args:
        light: [H, W, 3] float32 linear colour.
        inside: [H, W] bool, the object.
        band: pixels to each side of the edge within which a pixel may be mixed.

    Returns:
        [H, W] float32 in [0, 1]: 1 and 0 away from the edge.
    """
    inner = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
    outer = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 5)
    alpha = inside.astype(np.float32)
    sure_inside, sure_outside = inner > band, outer > band
    if not sure_inside.any() or not sure_outside.any():
        return alpha
    row, column = np.nonzero(np.maximum(inner, outer) <= band)
    colour = light[row, column]
    front = light[_nearest(sure_inside, row, column)]
    behind = light[_nearest(sure_outside, row, column)]
    apart = front - behind
    length = (apart * apart).sum(1)
    mixed = (((colour - behind) * apart).sum(1) / np.maximum(length, _APART)).clip(0.0, 1.0)
    told = np.where(length > _APART, mixed, alpha[row, column])
    # the first guess has a say that grows towards the band's ends, so that a light spot on the background does not become object
    lean = (inner[row, column] - outer[row, column]) / band
    alpha[row, column] = np.clip(told, np.clip(lean, 0.0, 1.0), np.clip(1.0 + lean, 0.0, 1.0))
    return alpha


def _nearest(sure: np.ndarray, row: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the `sure` pixel nearest to each one asked for."""
    _, labels = cv2.distanceTransformWithLabels(
        (~sure).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = np.nonzero(sure)
    place = np.zeros(int(labels.max()) + 1, np.int64)
    place[labels[rows, columns]] = np.arange(len(rows))
    index = place[labels[row, column]]
    return rows[index], columns[index]
