"""The masks of rendered views, judged here."""

import numpy as np


def test_what_is_not_masked_in_still_lights_but_neither_shows_nor_hides(blender):
    found = blender("masks.py")
    alpha = {name: np.array(found[name]["alpha"]) for name in ("alone", "whole", "selected", "indexed")}
    mean = {name: np.array(found[name]["mean"]) for name in alpha}
    assert alpha["alone"].sum() > 50
    assert np.abs(alpha["selected"] - alpha["alone"]).max() < 0.2  # noise at the edge
    assert abs(alpha["selected"].sum() / alpha["alone"].sum() - 1) < 0.01
    assert mean["alone"].max() == 0.0  # nothing is left to light it
    assert 0.0 < mean["selected"][1] < 0.7 * mean["whole"][1]  # lit by the green ball, which does not show
    assert mean["selected"][2] == 0.0  # what a render hides does not light either
    assert np.array_equal(alpha["indexed"], alpha["selected"]) and np.allclose(mean["indexed"], mean["selected"])
    assert all(share > 0.3 for share in found["rig"])
    assert found["changed"] == []
    assert "pass index 9" in found["refusals"]["index"]
    assert "EEVEE cannot light" in found["refusals"]["eevee"] and "Choose Cycles" in found["refusals"]["eevee"]
