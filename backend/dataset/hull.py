"""The visual hull: what space the masks leave to the object (Laurentini 1994), and the box around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.contract import RequestError
from backend.dataset.asking import least_seen
from backend.dataset.posed import listed
from backend.dataset.views import Cameras

_VIEWS_AT_ONCE = 4  # after which points that are outside are dropped
POINTS_AT_ONCE = 1 << 17  # memory stays below about 50 MB


@dataclass(frozen=True)
class Box:
    """An axis-aligned box around the object, in the cameras' own space.

    Attributes:
        low, high: [3] float32 opposite corners.
        doubtful: indices of views whose masks contradict the rest and had no say.
    """

    low: Tensor
    high: Tensor
    doubtful: tuple[int, ...] = ()


def visual_hull(
    cameras: Cameras, masks: Tensor, resolution: int, low: Tensor, high: Tensor, forgiven: int = 0
) -> Tensor:
    """How much every view agrees that a point belongs to the object.

    The least bilinearly sampled mask over the views that can tell (see `sample_masks`); 0 where hardly any can (`asking.least_seen`).

    Args:
        cameras: N cameras.
        masks: [N, H, W] coverage in [0, 1], on one canvas as in `Views`.
        resolution: points along each axis; the first lie on `low`, the last on `high`.
        low: [3] corner of the box.
        high: [3] opposite corner.
        forgiven: so many dissenting views are overruled at each point (the least value but so many is taken).

    Returns:
        [R, R, R] float32 in [0, 1], indexed by x, y, z. No gradient.
    """
    axes = [torch.linspace(float(a), float(b), resolution, device=masks.device) for a, b in zip(low, high)]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3)
    values = torch.cat([_least(cameras, masks, part, forgiven) for part in points.split(POINTS_AT_ONCE)])
    return values.reshape(resolution, resolution, resolution)


def sample_masks(cameras: Cameras, masks: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """What V views [V, H, W] say of [P, 3] points: the mask there, bilinear, [V, P]; and whether it can tell, [V, P] bool.

    A view can tell of the points inside its image. If its mask keeps clear of the image's border, the whole object is in the picture,
    and the view can tell of all other points too: they are outside. Nothing here waits for the device.
    """
    poses, masks = cameras.camera_to_world.to(points), masks.to(points)
    fx, fy, cx, cy = cameras.intrinsics.to(points).t()[..., None]
    height, width = cameras.sizes.to(points).t()[..., None]
    local = (points - poses[:, None, :3, 3]) @ poses[:, :3, :3]
    depth = -local[..., 2]
    near = depth.clamp(min=1e-9)
    x, y = cx + fx * local[..., 0] / near, cy - fy * local[..., 1] / near
    inside = (depth > 1e-9) & (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
    rows, columns = masks.shape[1:]
    # the outer half pixel repeats the edge: beside it the canvas is another image's
    x, y = torch.minimum(x.clamp(min=0.5), width - 0.5), torch.minimum(y.clamp(min=0.5), height - 0.5)
    where = torch.stack([2 * x / columns - 1, 2 * y / rows - 1], dim=-1)
    value = F.grid_sample(masks[:, None], where[:, None], align_corners=False)[:, 0, 0]
    row, column = torch.arange(rows, device=points.device), torch.arange(columns, device=points.device)
    edge_rows = ((row == 0) | (row == height - 1))[:, :, None] & (column < width)[:, None]
    edge_columns = ((column == 0) | (column == width - 1))[:, None] & (row < height)[:, :, None]
    cut = ((masks > 0.5) & (edge_rows | edge_columns)).flatten(1).any(1, keepdim=True)
    return torch.where(inside, value, 0.0), inside | ~cut


def _together(cameras: Cameras, masks: Tensor) -> Iterator[tuple[Cameras, Tensor]]:
    """The views a few at a time, after which points may be dropped."""
    for first in range(0, len(cameras), _VIEWS_AT_ONCE):
        some = slice(first, first + _VIEWS_AT_ONCE)
        yield Cameras(cameras.camera_to_world[some], cameras.intrinsics[some], cameras.sizes[some]), masks[some]


def _least(cameras: Cameras, masks: Tensor, points: Tensor, forgiven: int) -> Tensor:
    """`visual_hull` of [P, 3] points. Points already certain to be outside are dropped on the way, which saves most of the work."""
    result = points.new_zeros(points.shape[0])
    alive = torch.arange(points.shape[0], device=points.device)
    count = torch.zeros_like(result)
    lowest = points.new_full((points.shape[0], forgiven + 1), 1.0)  # the least values so far, ascending
    for some, their_masks in _together(cameras, masks):
        value, seen = sample_masks(some, their_masks, points[alive])
        value = torch.where(seen, value, 1.0)
        count = count + seen.sum(0)
        if forgiven:
            lowest = torch.cat([lowest, value.t()], dim=1).sort(dim=1).values[:, : forgiven + 1]
        else:
            lowest = torch.minimum(lowest, value.amin(0)[:, None])
        kept = lowest[:, -1] > 0
        alive, lowest, count = alive[kept], lowest[kept], count[kept]
    result[alive] = torch.where(count >= least_seen(len(cameras)), lowest[:, -1], 0.0)
    return result


def find_box(
    cameras: Cameras,
    masks: Tensor,
    names: Sequence[str] | None = None,
    margin: float = 0.02,
    device: torch.device | None = None,
) -> Box:
    """The box of what the masks have in common, coarse to fine, widened by `margin` of its longest side.

    The start comes from where the rays through the masks' centres meet. Views that call a third of the common shape empty are overruled
    (at most a fifth of them) and listed in the result, so that a few wrong masks do no harm.

    Args:
        cameras: N cameras, N >= 2.
        masks: [N, H, W] coverage in [0, 1].
        names: N names for messages.
        margin: part of the longest side by which the box is widened on every side.
        device: where points are held against the masks, the masks' own if None. The box is on the CPU.

    Raises:
        RequestError: `mask-empty` when no mask shows anything, `mask-full` when all are white throughout,
            `no-common-box` when the views agree on no place (it names the views).
    """
    names = [f"view {index}" for index in range(len(cameras))] if names is None else list(names)
    cameras, masks = shrunk(cameras, masks, 128)
    masks = (masks > 0.5).float()
    filled = masks.flatten(1).any(dim=1)
    if int(filled.sum()) < 2:
        raise RequestError(
            f"the masks are empty: {listed([n for n, f in zip(names, filled.tolist()) if not f])}",
            hint="white marks the object: check that the masks are not inverted, black or transparent throughout",
            code="mask-empty",
        )
    if bool((masks.sum(dim=(1, 2)) >= cameras.sizes.prod(dim=1)).all()):
        raise RequestError(
            "every mask marks its whole image as the object, so nothing tells object from background",
            hint="make masks that are white on the object and black around it, or save images with the background transparent",
            code="mask-full",
        )
    usable = filled.nonzero()[:, 0]
    kept, used_masks = cameras.select(usable), masks[usable]
    centre, radius, miss = _meeting_point(kept, used_masks)
    device = device or masks.device
    kept, used_masks, centre = kept.to(device), used_masks.to(device), centre.to(device)
    agreed = _robust_hull(kept, used_masks, centre, radius)
    if agreed is None:
        worst = miss.argsort(descending=True)[: max(1, min(5, len(kept) // 2))]
        raise _no_common_box([names[int(usable[i])] for i in worst])
    points, spacing = agreed
    doubtful = _dissenters(kept, used_masks, points)
    if len(doubtful) > max(1, len(kept) // 5):
        raise _no_common_box([names[int(usable[i])] for i in doubtful])
    trusted = torch.tensor([i for i in range(len(kept)) if i not in set(doubtful)], device=device)
    first, last = points.amin(0) - spacing, points.amax(0) + spacing
    low, high = (corner.cpu() for corner in _tight(kept.select(trusted), used_masks[trusted], first, last))
    pad = margin * float((high - low).max())
    empty = [int(i) for i in (~filled).nonzero()[:, 0]]
    return Box(low - pad, high + pad, tuple(sorted(empty + [int(usable[i]) for i in doubtful])))


def shrunk(cameras: Cameras, masks: Tensor, longest: int) -> tuple[Cameras, Tensor]:
    """Cameras and masks shrunk so that the canvas's long side is at most `longest`."""
    height, width = masks.shape[1:]
    shrink = longest / max(height, width)
    if shrink >= 1:
        return cameras, masks.float()
    size = (max(round(height * shrink), 1), max(round(width * shrink), 1))
    down, across = size[0] / height, size[1] / width
    small = np.stack(
        [cv2.resize(mask.float().cpu().numpy(), size[::-1], interpolation=cv2.INTER_AREA) for mask in masks]
    )
    intrinsics = cameras.intrinsics * cameras.intrinsics.new_tensor([across, down, across, down])
    sizes = (cameras.sizes * cameras.intrinsics.new_tensor([down, across])).round().long().clamp(min=1)
    return Cameras(cameras.camera_to_world, intrinsics, sizes), torch.from_numpy(small).to(masks.device)


def _meeting_point(cameras: Cameras, masks: Tensor) -> tuple[Tensor, float, Tensor]:
    """Where the rays through the masks' centroids come closest together, about how large the object is there (radius), and by how much each
    ray misses, as a part of its length [N]. Least absolute distances, by reweighting, so that single wrong masks hardly count.
    """
    rotation, origin = cameras.camera_to_world[:, :3, :3].double(), cameras.camera_to_world[:, :3, 3].double()
    fx, fy, cx, cy = cameras.intrinsics.double().unbind(dim=1)
    height, width = masks.shape[1:]
    area = masks.sum(dim=(1, 2)).double()
    rows = torch.arange(height, device=masks.device, dtype=torch.float64) + 0.5
    columns = torch.arange(width, device=masks.device, dtype=torch.float64) + 0.5
    x = (masks.sum(dim=1).double() @ columns) / area
    y = (masks.sum(dim=2).double() @ rows) / area
    local = torch.stack([(x - cx) / fx, -(y - cy) / fy, -torch.ones_like(x)], dim=1)
    rays = F.normalize((rotation @ local[..., None])[..., 0], dim=1)
    across = (
        torch.eye(3, dtype=torch.float64, device=rays.device) - rays[:, :, None] * rays[:, None, :]
    )  # drops the part along the ray
    weight = torch.ones_like(x)
    for _ in range(20):
        matrix = (weight[:, None, None] * across).sum(0)
        spread = torch.linalg.eigvalsh(matrix)
        if spread[0] < 1e-4 * spread[2]:
            raise RequestError(
                "all cameras look the same way, so the masks do not tell how far away the object is",
                hint="add views from other sides, or give the object's box yourself",
                code="no-common-box",
            )
        point = torch.linalg.solve(matrix, (weight[:, None] * (across @ origin[..., None])[..., 0]).sum(0))
        miss = (across @ (point - origin)[..., None])[..., 0].norm(dim=1) / (point - origin).norm(dim=1).clamp(
            min=1e-12
        )
        weight = 1.0 / miss.clamp(min=1e-4)
    half = torch.sqrt(area / torch.pi)  # of a disc of the mask's area
    radius = (half / (0.5 * (fx + fy)) * (point - origin).norm(dim=1)).median()
    return point.float(), float(radius), miss


def _robust_hull(cameras: Cameras, masks: Tensor, centre: Tensor, radius: float) -> tuple[Tensor, float] | None:
    """Points [P, 3] of the common shape and their spacing, with as few overruled views as explain the masks; None if nothing does."""
    grown = _grown(masks)
    best, best_explained = None, 0.8  # less than this part of the masks explained is no agreement
    for fraction in (0.05, 0.1, 0.2):
        half, middle = 2.0 * radius, centre
        for _ in range(6):
            points, spacing = _lattice(middle - half, middle + half, 32)
            points = points[_agreed(cameras, grown, points, fraction)]
            if len(points) == 0:
                break
            low, high = points.amin(0), points.amax(0)
            if bool(((low - (middle - half) < spacing) | (middle + half - high < spacing)).any()):
                half *= 1.6
            elif float((high - low).max()) < half:
                middle, half = 0.5 * (low + high), 0.7 * float((high - low).max())
            else:
                break
        explained = _explained(cameras, masks, points) if len(points) else 0.0
        if explained > best_explained + 0.02:
            best, best_explained = (points, float(spacing.max())), explained
        if explained > 0.97:
            break
    return best


def _tight(cameras: Cameras, masks: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Corners of the common shape on a finer lattice; the grown masks make up for the half cell beyond the outermost points."""
    points, _ = _lattice(low, high, 48)
    points = points[_agreed(cameras, _grown(masks), points, 0.05)]
    return points.amin(0), points.amax(0)


def _lattice(low: Tensor, high: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    """Centres of cells^3 cells [P, 3] and a cell's size [3]."""
    spacing = (high - low) / cells
    axes = [low[i] + spacing[i] * (torch.arange(cells, device=low.device) + 0.5) for i in range(3)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3), spacing


def _grown(masks: Tensor) -> Tensor:
    """Masks wider by a pixel, so that a part thinner than a cell is not missed between two cell centres."""
    return F.max_pool2d(masks[:, None], 3, stride=1, padding=1)[:, 0]


def _agreed(cameras: Cameras, masks: Tensor, points: Tensor, fraction: float) -> Tensor:
    """[P] bool: enough views can tell of the point, and at most `fraction` of these call it empty."""
    count = len(cameras)
    alive = torch.arange(points.shape[0], device=points.device)
    seen = torch.zeros(points.shape[0], device=points.device)
    against = torch.zeros_like(seen)
    for some, their_masks in _together(cameras, masks):
        value, inside = sample_masks(some, their_masks, points[alive])
        seen = seen + inside.sum(0)
        against = against + (inside & (value < 0.5)).sum(0)
        kept = against <= fraction * count
        alive, seen, against = alive[kept], seen[kept], against[kept]
    agreed = (seen >= least_seen(len(cameras))) & (against <= (fraction * seen).floor())
    result = torch.zeros(points.shape[0], dtype=torch.bool, device=points.device)
    result[alive] = agreed
    return result


def _explained(cameras: Cameras, masks: Tensor, points: Tensor) -> float:
    """The part of a mask that the points cover when projected: the median over views. Compared on tiles, as points lie apart."""
    tile = max(masks.shape[1:]) // 24 + 1
    covered = []
    for view in range(len(cameras)):
        wanted = F.max_pool2d(masks[view][None], tile, ceil_mode=True)[0] > 0
        reached = torch.zeros_like(wanted)
        pose, (fx, fy, cx, cy) = cameras.camera_to_world[view], cameras.intrinsics[view].unbind()
        local = (points - pose[:3, 3]) @ pose[:3, :3]
        depth = (-local[:, 2]).clamp(min=1e-9)
        x, y = cx + fx * local[:, 0] / depth, cy - fy * local[:, 1] / depth
        column, row = (x / tile).floor().long(), (y / tile).floor().long()
        inside = (local[:, 2] < 0) & (column >= 0) & (row >= 0) & (column < wanted.shape[1]) & (row < wanted.shape[0])
        reached[row[inside], column[inside]] = True
        covered.append(float((wanted & reached).sum() / wanted.sum()))
    return float(np.median(covered))


def _dissenters(cameras: Cameras, masks: Tensor, points: Tensor) -> list[int]:
    """Views that call a third or more of the common shape empty, the worst first."""
    parts = []
    for some, their_masks in _together(cameras, _grown(masks)):
        value, seen = sample_masks(some, their_masks, points)
        parts.append((seen & (value < 0.5)).sum(1) / seen.sum(1).clamp(min=1))
    shares = torch.cat(parts).tolist()
    return [view for view in sorted(range(len(cameras)), key=lambda view: -shares[view]) if shares[view] > 1 / 3]


def _no_common_box(names: Sequence[str]) -> RequestError:
    return RequestError(
        f"the cameras do not see a common object; these views disagree the most: {listed(names)}",
        hint="check these views' poses and masks, or give the object's box yourself",
        code="no-common-box",
    )
