"""An asset that can be seen through: what its files say of it, and what is read back."""

import dataclasses
import json
import os
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from assets import SIMILARITY, SIZE, asset

from backend.contract import Result
from backend.dataset.reference import read_mesh
from backend.export.asset import scene_arrays
from backend.export.folder import write_result
from backend.export.report import Report

VALIDATOR = Path(__file__).parents[3] / "scripts" / "validate_gltf.mjs"


@pytest.mark.parametrize("alpha", ["blend", "clip", "opaque"])
def test_the_files_say_what_the_alpha_means_and_it_is_read_back(alpha, tmp_path):
    thing = asset()
    opacity = torch.rand(SIZE, SIZE, 1, generator=torch.Generator().manual_seed(4))
    if alpha != "opaque":
        thing = dataclasses.replace(thing, maps=dataclasses.replace(thing.maps, opacity=opacity), alpha=alpha)
    report = Report(
        title="x", comparisons=(), held_out=False, curves={}, figures={}, timings={}, facts=(), warnings=(), settings={}
    )
    result = write_result(tmp_path, thing, SIMILARITY, {}, report, Result(files={}, alpha=alpha))
    read = read_mesh(result.path("mesh"))
    material = (tmp_path / "mesh.mtl").read_text()
    picture = cv2.imread(str(result.path("base_color")), cv2.IMREAD_UNCHANGED)
    assert len(read.faces) == len(scene_arrays(thing, SIMILARITY).faces)
    if alpha == "opaque":
        assert read.maps.opacity is None and picture.shape[2] == 3 and "map_d" not in material
        return
    expected = opacity if alpha == "blend" else (torch.round(opacity * 255) >= 127.5).float()
    assert torch.allclose(read.maps.opacity, expected, atol=0.5 / 255 + 1e-6)
    assert np.allclose(picture[..., 3:] / 255, opacity, atol=0.5 / 255 + 1e-6), "soft in the picture whatever it means"
    assert torch.allclose(read.maps.base_color, thing.maps.base_color, atol=0.01), "the colour is not premultiplied"
    assert "map_d textures/base_color.png" in material
    modules = Path(os.environ.get("UNRENDER_NODE_MODULES", "node_modules"))
    if shutil.which("node") and (modules / "gltf-validator").is_dir():
        done = subprocess.run(
            ["node", str(VALIDATOR), str(result.path("mesh"))], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0 and json.loads(done.stdout)["issues"]["numWarnings"] == 0, done.stdout
