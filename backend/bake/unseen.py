from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.bake.texels import Texels
from backend.dataset.views import Cameras
from backend.engines.interface import Engine
from backend.geometry.mesh import Mesh
from backend.geometry.normals import face_normals
from backend.render.camera import clip_positions, world_to_camera
from backend.render.layers import peel

GRAZING = 0.1  # least cosine between the surface and the line of sight: a flatter view tells next to nothing
LEAST_THROUGH = 0.1  # share of a surface's light that must come through what is before it: less tells next to nothing
STIFFNESS = 1e-3  # how much a value that was seen gives way to its neighbours


def seen_texels(
    engine: Engine,
    mesh: Mesh,
    texels: Texels,
    cameras: Cameras,
    canvas: tuple[int, int],
    opacity: Tensor | None = None,
    layers: int = 1,
) -> Tensor:
    """Which texels at least one view sees, neither hidden, nor at a grazing angle, nor beyond the image's edge.

    Each view's depth is rasterised at the size given, and only texels that no earlier view saw are looked up in it.

    Args:
        engine: who rasterises.
        mesh: in the normalised box, as the texels are.
        texels: M texels.
        cameras: N training cameras.
        canvas: (height, width) of the images that contain each camera's own.
        opacity: [size, size, 1] texture of a surface that can be seen through, from both sides; None for an opaque one.
        layers: surfaces behind one another that a pixel shows at the most.

    Returns:
        [M] bool.
    """
    normals = face_normals(mesh.vertices, mesh.faces)[texels.triangle]
    seen = torch.zeros(len(texels), dtype=torch.bool, device=texels.pixel.device)
    for index in range(len(cameras)):
        left = (~seen).nonzero().squeeze(1)
        if left.numel() == 0:
            break
        one = cameras.select(torch.tensor([index], device=texels.pixel.device))
        visible = _visible(engine, mesh, texels.positions[left], normals[left], one, canvas, opacity, layers)
        seen[left[visible]] = True
    return seen


def fill_unseen(values: Tensor, seen: Tensor, texels: Texels, mesh: Mesh) -> Tensor:
    """Continue values over the surface to texels that were not seen.

    Seen values are averaged onto the vertices, spread by Laplace's equation over the mesh's edges, and read back where nothing was
    seen; pieces of which nothing was seen take the mean of all that was.

    Args:
        values: [M, C] at the texels.
        seen: [M] bool.
        texels: M texels on `mesh`.
        mesh: welded, so that the values cross the seams of the texture.

    Returns:
        [M, C]; seen texels keep their values bit for bit. Where nothing at all was seen, `values`. No gradients.
    """
    if seen.all() or not seen.any():
        return values.detach().clone()
    count = mesh.vertices.shape[0]
    corners = mesh.faces[texels.triangle].long().cpu()
    weight = texels.barycentric.cpu().double() * seen.cpu()[:, None]
    known = values.detach().cpu().double()
    mass = torch.zeros(count, dtype=torch.float64).index_add_(0, corners.flatten(), weight.flatten())
    total = torch.zeros(count, known.shape[1], dtype=torch.float64)
    for corner in range(3):
        total.index_add_(0, corners[:, corner], weight[:, corner, None] * known)
    mean = known[seen.cpu()].mean(0)
    at_vertices = _spread((total / mass.clamp_min(1e-12)[:, None]).numpy(), mass.numpy(), mesh, mean.numpy())
    continued = texels.at(torch.from_numpy(at_vertices).to(values), mesh.faces)
    return torch.where(seen[:, None], values.detach(), continued)


def _spread(values: np.ndarray, mass: np.ndarray, mesh: Mesh, elsewhere: np.ndarray) -> np.ndarray:
    """Solve (W + s L) x = W values, with W whether a vertex is known and L the mesh's uniform Laplacian."""
    faces = mesh.faces.cpu().numpy().astype(np.int64)
    edges = np.unique(np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
    count = len(values)
    from scipy.sparse import (  # scipy takes a third of a second to import, and the first mesh waits for none of it
        coo_matrix,
        diags,
    )
    from scipy.sparse.csgraph import connected_components
    from scipy.sparse.linalg import splu

    one_way = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count)).tocsc()
    joined = one_way + one_way.T
    degree = np.asarray(joined.sum(1)).ravel()
    known = np.minimum(mass, 1.0)
    piece = connected_components(joined, directed=False)[1]
    reached = np.bincount(piece, known) > 1e-6
    known, values = np.where(reached[piece], known, 1.0), np.where(reached[piece][:, None], values, elsewhere)
    system = diags(known + STIFFNESS * degree) - STIFFNESS * joined
    return splu(system.tocsc()).solve(known[:, None] * values)


def _visible(
    engine: Engine,
    mesh: Mesh,
    points: Tensor,
    normals: Tensor,
    camera: Cameras,
    canvas: tuple[int, int],
    opacity: Tensor | None,
    layers: int,
) -> Tensor:
    """[K, 3] points and normals -> [K] bool: in front of one camera, inside its image, facing it and behind nothing."""
    away = camera.camera_to_world[0, :3, 3] - points
    distance = away.norm(dim=1)
    facing = (normals * away).sum(1) / distance.clamp_min(1e-9)
    facing = facing if opacity is None else facing.abs()
    x, y, depth = _project(points, camera)
    height, width = camera.sizes[0].tolist()
    inside = (depth > 0) & (x >= 0) & (y >= 0) & (x < width) & (y < height) & (facing > GRAZING)
    view = world_to_camera(camera)[0]
    depths = _deepest(engine, mesh, -(mesh.vertices @ view[2:3, :3].T + view[2, 3]), camera, canvas, opacity, layers)
    column = x.long().clamp(0, canvas[1] - 1)
    row = y.long().clamp(0, canvas[0] - 1)
    deepest = depths[row, column]
    # Over one pixel the surface's own depth changes by this much; a texel may lie anywhere in the pixel that shows it.
    slope = (1.0 / facing.clamp_min(GRAZING).square() - 1.0).clamp_min(0.0).sqrt()
    tolerance = depth / camera.intrinsics[0, 0] * (1.0 + slope)
    return inside & (depth <= deepest + tolerance)


def _deepest(
    engine: Engine,
    mesh: Mesh,
    towards: Tensor,
    camera: Cameras,
    canvas: tuple[int, int],
    opacity: Tensor | None,
    layers: int,
) -> Tensor:
    """[H, W] depth of the last surface that each pixel of one camera shows, inf where it sees past all; `towards` [V, 1] are depths."""
    found = peel(
        engine, clip_positions(mesh.vertices, camera, canvas), mesh.faces, canvas, layers, False, stop_early=True
    )
    deepest = torch.full(canvas, torch.inf, device=towards.device)
    through = torch.ones_like(deepest)
    for layer, raster in enumerate(found, 1):
        barycentric, triangle = raster.barycentric[0], raster.triangle[0]
        if opacity is None or mesh.uvs is None or mesh.uv_faces is None:
            through = torch.zeros_like(through)
        else:
            uv = engine.interpolate(mesh.uvs, mesh.uv_faces, barycentric, triangle)
            through = through * (1.0 - engine.texture_2d(opacity, uv.view(-1, 2)).view(canvas))
        last = (triangle >= 0) & deepest.isinf() & ((through < LEAST_THROUGH) | (layer == layers))
        deepest = torch.where(last, engine.interpolate(towards, mesh.faces, barycentric, triangle)[..., 0], deepest)
    return deepest


def _project(points: Tensor, camera: Cameras) -> tuple[Tensor, Tensor, Tensor]:
    """[K, 3] points -> pixel x, pixel y (down) and depth along the camera's axis, [K] each."""
    view = world_to_camera(camera)[0]
    seen_from = points @ view[:3, :3].T + view[:3, 3]
    depth = -seen_from[:, 2]
    fx, fy, cx, cy = camera.intrinsics[0]
    safe = depth.clamp_min(1e-6)
    return cx + fx * seen_from[:, 0] / safe, cy - fy * seen_from[:, 1] / safe, depth
