"""Projection matrices taken apart into a lens and a pose."""

from __future__ import annotations

import numpy as np

from backend.contract import RequestError
from backend.dataset.distortion import Distortion
from backend.dataset.posed import Lens, pose_of_opencv

CORNER = 0.5  # from a pixel's centre to its corner: what these formats count from, and what is counted from inside


def lens_of_matrix(matrix: np.ndarray, size: tuple[int, int] | None, where: str, corner: float = CORNER) -> Lens:
    """A [3, 3] matrix of intrinsics (any scale) as a lens; `corner` is added to its centre. Raises RequestError (camera-invalid)."""
    scale = matrix[2, 2] if matrix.shape == (3, 3) and np.isfinite(matrix).all() and matrix[2, 2] else 0.0
    K = matrix / scale if scale else np.zeros((3, 3))
    if not (K[0, 0] > 0 and K[1, 1] > 0) or np.abs(K[[1, 2, 2], [0, 0, 1]]).max() > 1e-6 * K[0, 0]:
        raise RequestError(
            f"{where}: the matrix of intrinsics is {np.array2string(matrix, precision=4)}; expected focal lengths above 0 on its diagonal "
            "and zeros below it",
            hint="export the cameras again",
            code="camera-invalid",
        )
    skew = float(K[0, 1] / K[0, 0])
    return Lens(
        focal=(float(K[0, 0]), float(K[1, 1])),
        centre=(float(K[0, 2]) + corner, float(K[1, 2]) + corner),
        size=size,
        # u = fx x + s y: in units of the image plane, x grows by (s / fx) y
        distortion=Distortion(skew=skew if abs(skew) > 1e-9 else 0.0),
    )


def decomposed(projection: np.ndarray, where: str) -> tuple[np.ndarray, np.ndarray]:
    """A [3, 4] projection (world -> pixels, up to scale) -> [3, 3] intrinsics with a positive diagonal, [4, 4] camera-to-world as inside.

    P = K R [I | -c] by RQ decomposition (Hartley and Zisserman 2004, section 6.2.4). Raises RequestError (pose-invalid).
    """
    left = projection[:, :3]
    if not np.isfinite(projection).all() or abs(np.linalg.det(left)) < 1e-12 * max(1e-12, np.abs(left).max()) ** 3:
        raise RequestError(
            f"{where}: the projection matrix cannot be taken apart into a lens and a pose",
            hint="export the cameras again",
            code="pose-invalid",
        )
    from scipy.linalg import rq  # a third of a second to import, and few formats need it

    centre = -np.linalg.solve(left, projection[:, 3])
    left = left * np.sign(np.linalg.det(left))  # its sign is free, a rotation's is not
    K, turn = rq(left)
    signs = np.sign(np.diag(K))
    K, turn = K * signs, signs[:, None] * turn
    return K / K[2, 2], pose_of_opencv(turn.T, centre, where)
