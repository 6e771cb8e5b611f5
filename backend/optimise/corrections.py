"""What is not as the photographs' data say, fitted along: each image's exposure and white balance, its camera's pose and focal length."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from backend.dataset.views import Cameras
from backend.optimise.adam import Group

_SAME_LENS = 1e-5  # relative difference of focal lengths up to which images are taken to share a lens


class Corrections(nn.Module):
    """Gains, motions and focal lengths of N images, all without effect at the start; shared by the stages of a run.

    A camera is moved about the box's centre, by an axis-angle and a translation in the world's axes: so an increment of 1 moves the object
    by about its own half size. A longer focal length moves the camera away as far as keeps the object's size in the image, so that what
    hardly shows, the perspective, is not mixed with what shows most. Images with equal focal lengths (portrait or landscape) share one.

    What no image can tell is held: the mean of the log gains (the light may be brighter instead), and, while the shape is free, the mean
    motion and the common change of scale (the object may move instead). They are taken out of what is fitted, not punished.

    Attributes:
        exposure, poses: what is fitted; the other has no effect and costs nothing.
        log_gains: [N, 3] natural logarithms of what the render is multiplied by.
        motions: [N, 6] axis-angle in radians, translation in the normalised box.
        log_focal: [L] natural logarithms of factors, one a lens.
    """

    _lens: Tensor
    _common: Tensor

    def __init__(
        self, cameras: Cameras, exposure: bool = False, poses: bool = False, shape_known: bool = False
    ) -> None:
        """For N cameras in the normalised box; with `shape_known` the object stands fast, and the cameras may all move alike."""
        super().__init__()
        self.exposure, self.poses, device = exposure, poses, cameras.intrinsics.device
        lens = _lenses(cameras)
        self.log_gains = nn.Parameter(torch.zeros(len(cameras), 3, device=device))
        self.motions = nn.Parameter(torch.zeros(len(cameras), 6, device=device))
        self.log_focal = nn.Parameter(torch.zeros(int(lens.max()) + 1, device=device))
        common = torch.zeros(6 * len(cameras), 0) if shape_known else _common_motions(cameras)
        self.register_buffer("_lens", lens.to(device), persistent=False)
        self.register_buffer("_common", common.to(device), persistent=False)

    def groups(self, rate_gains: float, rate_poses: float) -> list[Group]:
        """What an optimiser moves; nothing where nothing is fitted."""
        groups = [Group((self.log_gains,), rate_gains)] if self.exposure else []
        return [*groups, Group((self.motions, self.log_focal), rate_poses)] if self.poses else groups

    def exposed(self, images: Tensor, index: Tensor) -> Tensor:
        """Renders [B, H, W, 4] of the images at `index` ([B] int64) as those were exposed. Gradients reach the renders and the gains."""
        if not self.exposure:
            return images
        gains = self.gains(index)
        gains = torch.cat([gains, torch.ones_like(gains[:, :1])], -1)
        return images * gains[:, None, None, :]

    def gains(self, index: Tensor) -> Tensor:
        """[B, 3] what the renders of the images at `index` are multiplied by; their mean over all images is held. Gradients reach them."""
        return (self.log_gains - self.log_gains.mean(0)).index_select(0, index).exp()

    def cameras(self, cameras: Cameras, index: Tensor) -> Cameras:
        """The cameras at `index` ([B] int64) of all N where they really stood. Gradients reach motions and focal lengths.

        Args:
            cameras: the N this was made for, their images scaled if need be.
            index: which of them.
        """
        chosen = cameras.select(index)
        if not self.poses:
            return chosen
        turn, shift = self._held_motions().index_select(0, index).split(3, -1)
        longer = self.log_focal.index_select(0, self._lens.index_select(0, index)).exp()[:, None]
        rotation, pose = rotation_of(turn), chosen.camera_to_world
        place = rotation @ (longer[..., None] * pose[:, :3, 3:]) + shift[..., None]
        moved = torch.cat([rotation @ pose[:, :3, :3], place], -1)
        intrinsics = torch.cat([chosen.intrinsics[:, :2] * longer, chosen.intrinsics[:, 2:]], -1)
        return Cameras(torch.cat([moved, pose[:, 3:]], 1), intrinsics, chosen.sizes)

    def corrected(self, cameras: Cameras) -> Cameras:
        """All N cameras where they really stood, on their own device; no gradients."""
        with torch.no_grad():
            own = cameras.to(self.motions.device)
            return self.cameras(own, torch.arange(len(own), device=self.motions.device)).to(cameras.intrinsics.device)

    def _held_motions(self) -> Tensor:
        """[N, 6] the motions without what all cameras have in common."""
        flat = self.motions.reshape(-1)
        return (flat - self._common @ (self._common.T @ flat)).view_as(self.motions)


def rotation_of(axis_angle: Tensor) -> Tensor:
    """[..., 3] axes times radians -> [..., 3, 3] rotations (Rodrigues), differentiable at zero too."""
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    angle = (axis_angle.square().sum(-1) + 1e-12).sqrt()[..., None, None]
    half = torch.sin(0.5 * angle) / (0.5 * angle)
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return identity + torch.sin(angle) / angle * cross + 0.5 * half.square() * (cross @ cross)


def _lenses(cameras: Cameras) -> Tensor:
    """[N] int64: the number of each image's lens. The mean of both focal lengths tells, which a turned image leaves as it is."""
    logarithm, order = cameras.intrinsics[:, :2].cpu().double().log().sum(-1).mul(0.5).sort()
    number = torch.cat([torch.zeros(1), (logarithm.diff() > _SAME_LENS).cumsum(0)]).long()
    return torch.zeros_like(number).scatter_(0, order, number)


def _common_motions(cameras: Cameras) -> Tensor:
    """[6 N, C] orthonormal: motions of all cameras together that look like a turn, a shift or a change of size of the object."""
    places = cameras.camera_to_world[:, :3, 3].cpu().double()
    modes = torch.zeros(len(cameras), 6, 7, dtype=torch.float64)
    modes[:, torch.arange(6), torch.arange(6)] = 1.0
    modes[:, 3:, 6] = places
    left, lengths, _ = torch.linalg.svd(modes.view(-1, 7), full_matrices=False)
    return left[:, lengths > 1e-6 * lengths[0]].float()
