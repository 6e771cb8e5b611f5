"""What a solved model is worth, in figures."""

from __future__ import annotations

from typing import Any

import numpy as np

MOST_RAYS = 12  # of a point's; the widest angle between them is hardly wider with more


def measure(model: Any) -> dict[str, Any]:
    """Figures of a pycolmap.Reconstruction.

    Returns:
        `registered`, `points`, `error` (mean reprojection error, pixels of the pictures it was solved from), `track` (photographs that see
        a point, mean), `angle` (degrees: the median over points of the widest angle between its rays), and `views`: for each photograph
        its `points`, its mean `error` in pixels and its `focal` length.
    """
    centres = {number: model.images[number].projection_center() for number in model.reg_image_ids()}
    errors: dict[int, list[float]] = {number: [] for number in centres}
    angles = []
    for point in model.points3D.values():
        elements = point.track.elements
        seen = [element.image_id for element in elements]
        rays = np.stack([centres[number] for number in seen[:MOST_RAYS]]) - point.xyz
        rays /= np.maximum(np.linalg.norm(rays, axis=1, keepdims=True), 1e-12)
        angles.append(float(np.degrees(np.arccos(np.clip((rays @ rays.T).min(), -1.0, 1.0)))))
        for number in seen:
            errors[number].append(point.error)
    return {
        "registered": len(centres),
        "points": len(angles),
        "error": float(model.compute_mean_reprojection_error()),
        "track": float(model.compute_mean_track_length()),
        "angle": float(np.median(angles)) if angles else 0.0,
        "views": {
            model.images[number].name: {
                "points": len(own),
                "error": float(np.mean(own)) if own else None,
                "focal": float(model.images[number].camera.mean_focal_length()),
            }
            for number, own in errors.items()
        },
    }
