"""What the views are made of, inside Blender."""

import pytest


def test_photographs_on_backgrounds_are_where_blender_draws_them(blender):
    found = blender("photographs.py")
    assert found["seen"] == 9  # three frame methods in three sensor fits
    assert found["worst"] < 1e-3  # pixels
    assert found["splits"] == ["train", "test", "train"] and found["same"] and found["untouched"]
    assert "is flipped" in found["refusals"]["flip"] and "Mirror the image" in found["refusals"]["flip"]
    assert "is mirrored" in found["refusals"]["mirrored"]
    assert "is not there" in found["refusals"]["missing"]
    assert "shows no background image" in found["refusals"]["none"]
    assert "has no mask for 'shot 0" in found["refusals"]["mask"]
    assert found["box"] == pytest.approx([-1, -1, -2, 3, 1, 2]) and found["source"]
    assert found["said"]["well"] == ["Only 2 views to fit; 24 and more work well"]
    assert any("shows no background image" in said for said in found["said"]["spoilt"])
    assert found["said"]["folder"] == [
        "Found: transforms.json, cameras of instant-ngp, nerfstudio, NeRF-synthetic, Unrender"
    ]
    assert found["said"]["rig"] == ["No object is selected"]
