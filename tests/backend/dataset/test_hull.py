import numpy as np
import pytest
import torch
from posed_scene import AXES, CENTRE, cameras_of, ellipsoid_mask, ellipsoid_views, pose_from, ring

from backend.contract import RequestError
from backend.dataset.hull import find_box, visual_hull

LOW, HIGH = CENTRE - AXES, CENTRE + AXES
LONGEST = 2 * AXES.max()


def test_box_is_tight_around_the_object():
    cameras, masks = ellipsoid_views()
    box = find_box(cameras, masks)
    assert box.doubtful == ()
    assert (box.low.numpy() < LOW).all() and (box.high.numpy() > HIGH).all()
    # the hull of 16 views is larger than the object; with margin and pixels, no side is off by a seventh of the longest
    np.testing.assert_allclose(box.low, LOW, atol=0.14 * LONGEST)
    np.testing.assert_allclose(box.high, HIGH, atol=0.14 * LONGEST)


def test_box_does_not_depend_on_where_the_cameras_aim_nor_on_scale():
    size, intrinsics = (64, 48), (50.0, 50.0, 30.0, 27.0)
    poses = []
    for index, pose in enumerate(ring(12)):
        aside = CENTRE + 0.6 * np.array([np.sin(index), np.cos(2 * index), np.sin(3 * index)])
        poses.append(pose_from(pose[:3, 3], aside))
    masks = np.stack([ellipsoid_mask(pose, intrinsics, size) for pose in poses])
    far = [pose.copy() for pose in poses]
    for pose in far:
        pose[:3, 3] = 100 * pose[:3, 3] + 1000
    box = find_box(cameras_of(poses, intrinsics, size), torch.from_numpy(masks))
    far_box = find_box(cameras_of(far, intrinsics, size), torch.from_numpy(masks))
    assert (box.low.numpy() < LOW).all() and (box.high.numpy() > HIGH).all()
    assert (box.high - box.low).max() < 1.3 * LONGEST
    np.testing.assert_allclose(far_box.low, 100 * box.low + 1000, atol=5)


def test_wrong_masks_are_overruled_and_named():
    cameras, masks = ellipsoid_views(20)
    expected = find_box(cameras, masks)
    masks[3] = 0
    masks[3, 2:6, 2:6] = 1  # a speck in a corner
    masks[11] = 1 - masks[11]  # inverted
    masks[17] = 0  # black
    box = find_box(cameras, masks)
    assert set(box.doubtful) == {3, 11, 17}
    np.testing.assert_allclose(box.low, expected.low, atol=0.06 * LONGEST)
    np.testing.assert_allclose(box.high, expected.high, atol=0.06 * LONGEST)


def test_black_masks_and_cameras_without_a_common_object_are_refused():
    cameras, masks = ellipsoid_views(8)
    with pytest.raises(RequestError, match="masks are empty") as caught:
        find_box(cameras, torch.zeros_like(masks))
    assert caught.value.code == "mask-empty"
    # every camera turned by a third of a circle about its own place: all look somewhere else
    poses = [pose_from(p[:3, 3], p[:3, 3] + np.cross(p[:3, 2], [0, 0, 1])) for p in ring(8)]
    with pytest.raises(RequestError, match=r"do not see a common object; .*view") as caught:
        find_box(cameras_of(poses, (90.0, 90.0, 30.0, 27.0), (64, 48)), masks)
    assert caught.value.code == "no-common-box"
    row = [pose_from([x, -4, 0], [x, 0, 0]) for x in range(8)]  # parallel: an object at infinity
    with pytest.raises(RequestError) as caught:
        find_box(cameras_of(row, (90.0, 90.0, 30.0, 27.0), (64, 48)), masks[:1].repeat(8, 1, 1))
    assert caught.value.code == "no-common-box"


def test_hull_holds_the_object_and_little_else():
    cameras, masks = ellipsoid_views(24)
    low, high = torch.tensor(LOW - 0.2), torch.tensor(HIGH + 0.2)
    hull = visual_hull(cameras, masks, 40, low, high)
    axes = [np.linspace(float(low[i]), float(high[i]), 40) for i in range(3)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    depth = np.linalg.norm((points - CENTRE) / AXES, axis=-1)
    assert (hull.numpy()[depth < 0.9] > 0.5).all()
    assert (hull.numpy()[depth > 1.6] < 0.5).all()
    masks[5] = 0
    assert visual_hull(cameras, masks, 40, low, high).max() == 0
    forgiving = visual_hull(cameras, masks, 40, low, high, forgiven=1).numpy()
    assert (forgiving[depth < 0.9] > 0.5).all() and (forgiving[depth > 1.8] < 0.5).all()


def test_hull_value_is_the_least_bilinear_sample_by_hand():
    # two cameras 2 away on +X and +Y looking at the origin; one pixel a unit at the origin's distance times 2
    poses = [pose_from([2, 0, 0], [0, 0, 0]), pose_from([0, 2, 0], [0, 0, 0])]
    cameras = cameras_of(poses, (4.0, 4.0, 2.0, 2.0), (4, 4))
    masks = torch.ones(2, 4, 4)
    masks[0, :2] = 0.25  # upper half
    box = torch.tensor([-0.01, -0.01, -0.01]), torch.tensor([0.01, 0.01, 0.01])
    value = visual_hull(cameras, masks, 3, *box)[1, 1, 1]
    assert value == pytest.approx(0.625)  # midway between the rows of 0.25 and of 1
    # a point that one image alone has in it counts as outside, one that neither has too
    assert (
        visual_hull(cameras, torch.ones(2, 4, 4), 2, torch.tensor([0.0, 1.5, 0.9]), torch.tensor([0.1, 1.6, 1.0])).max()
        == 0
    )
